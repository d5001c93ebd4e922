import type { Candidates } from '../define/candidates.ts';
import { log } from '../platform/logger.ts';
import type { Manifest } from './bundle.ts';
import { Evaluator } from './evaluator/evaluator.ts';
import { NotEvaluated } from './evaluator/not-evaluated.ts';
import { differenceOf } from './evaluator/parity.ts';
import type { AdditiveRows } from './evaluator/sums.ts';
import type { Graph } from './graph.ts';
import type { Tensors } from './tensors.ts';

/**
 * The memory of all evaluators of an isolate, in bytes. It is a part of what the models leave to the worker's code and
 * requests.
 */
const EVALUATORS_BYTES_MAX = 6 * 1024 * 1024;
/** The lists of a graph, compared with its file: numbers that take a byte or two there take four. */
const MEMORY_OF_FILE = 2;
/** Larger batches take longer than a request has, and are left to the runtime. */
export const EVALUATED_ELEMENTS_MAX = 16_384;
/**
 * The most multiplications of a run, about 12 ms. A run cannot be interrupted, so a large network with many rows would pass
 * the deadline of its own request and of all others in the isolate.
 */
const MULTIPLICATIONS_MAX = 4_000_000;
/** Versions that are put aside and remembered: more than a catalog has models. */
const ASIDE_MAX = 64;

/** A version that the evaluator answers while the runtime has not loaded it. */
export interface ColdModel {
  readonly candidates: Candidates | undefined;
  /** Settles with the first run. The runtime's start waits for it, so that it does not delay the answer. */
  readonly hasRun: Promise<void>;
  /** The outputs; undefined if the runtime has to compute these inputs. */
  run(inputs: Tensors, outputs?: readonly string[]): Tensors | undefined;
  /** As `Graph.additive`. */
  additive(...asked: Parameters<NonNullable<Graph['additive']>>): AdditiveRows | undefined;
}

interface Kept extends ColdModel {
  readonly bytes: number;
}

/** The evaluators of an isolate, by version. The least recently read are dropped when another needs their memory. */
export class ColdModels {
  readonly #kept = new Map<string, Kept>();
  /** Versions whose evaluator differed from the runtime. */
  readonly #aside = new Set<string>();

  /** Reads a version's graph. Undefined if the evaluator does not compute it. */
  add(
    version: string,
    bytes: Uint8Array,
    manifest: Manifest,
    candidates: Candidates | undefined,
  ): ColdModel | undefined {
    const known = this.find(version);
    if (known !== undefined || this.#aside.has(version)) return known;
    try {
      const evaluator = Evaluator.read(bytes, manifest);
      const made = { ...coldModel(evaluator, candidates), bytes: bytes.length * MEMORY_OF_FILE };
      this.#kept.set(version, made);
      this.#evict(version);
      return made;
    } catch (error) {
      if (error instanceof NotEvaluated) return undefined;
      throw error;
    }
  }

  find(version: string): ColdModel | undefined {
    return this.#kept.get(version);
  }

  drop(version: string): void {
    this.#kept.delete(version);
  }

  /**
   * Compares a run of the runtime with the evaluator's. An evaluator that differs is put aside for this version.
   *
   * @returns undefined if the evaluator does not compute these inputs.
   */
  compare(version: string, inputs: Tensors, computed: Tensors): 'agrees' | 'differs' | undefined {
    const evaluated = this.find(version)?.run(inputs, Object.keys(computed));
    if (evaluated === undefined) return undefined;
    if (differenceOf(evaluated, computed) === undefined) return 'agrees';
    if (this.#aside.size >= ASIDE_MAX) this.#aside.clear();
    this.#aside.add(version);
    this.drop(version);
    const message =
      'The evaluator differs from the runtime, which alone answers for this version from now on.';
    log('error', message, { 'event.action': 'parity', 'millrace.model.version': version });
    return 'differs';
  }

  #evict(added: string): void {
    let total = 0;
    for (const { bytes } of this.#kept.values()) total += bytes;
    for (const [version, { bytes }] of this.#kept) {
      if (total <= EVALUATORS_BYTES_MAX) return;
      if (version === added) continue;
      this.#kept.delete(version);
      total -= bytes;
    }
  }
}

function coldModel(evaluator: Evaluator, candidates: Candidates | undefined): ColdModel {
  const { promise: hasRun, resolve } = Promise.withResolvers<void>();
  return {
    candidates,
    hasRun,
    additive: (...asked) => {
      try {
        return evaluator.additive(...asked);
      } catch (error) {
        if (error instanceof NotEvaluated) return undefined;
        throw error;
      }
    },
    run: (inputs, outputs) => {
      const elements = Object.values(inputs).reduce((sum, { data }) => sum + data.length, 0);
      if (elements > EVALUATED_ELEMENTS_MAX) return undefined;
      if (rowsOf(inputs) * evaluator.multiplicationsOfRow > MULTIPLICATIONS_MAX) return undefined;
      try {
        return evaluator.run(inputs, outputs);
      } catch (error) {
        // A defect of the evaluator is no reason to fail: the runtime computes the same graph.
        if (!(error instanceof NotEvaluated))
          log('error', 'The evaluator failed.', { 'event.action': 'evaluate' }, error);
        return undefined;
      } finally {
        resolve();
      }
    },
  };
}

function rowsOf(inputs: Tensors): number {
  return Math.max(0, ...Object.values(inputs).map(({ shape }) => shape[0] ?? 1));
}
