import { describe, expect, it } from 'vitest';
import { dataset } from '../../src/define/dataset.ts';
import { type ModelDefinition, model } from '../../src/define/model.ts';
import { fromFeature } from '../../src/define/model-input.ts';
import type { Bundle, Manifest } from '../../src/inference/bundle.ts';
import { OnnxRuntime } from '../../src/inference/onnx/runtime.ts';
import { DATASET_LIMITS } from '../../src/training/datasets/limits.ts';
import { datasetId } from '../../src/training/datasets/spec.ts';
import type { DriftProfile } from '../../src/training/drift/profile.ts';
import { verdictOf } from '../../src/training/runs/evaluation.ts';
import type { RunFigures, RunnerPorts } from '../../src/training/runs/ports.ts';
import { isEnded, newRun, type TrainingRun } from '../../src/training/runs/run.ts';
import { TrainingRunner } from '../../src/training/runs/runner.ts';
import { customer } from '../support/catalog/entities.ts';
import { type Made, makeDataset, specOf } from '../support/datasets/memory.ts';
import { PAID } from '../support/datasets/models.ts';
import { type Visit, visit } from '../support/point-in-time/history.ts';
import { historyInMemory } from '../support/point-in-time/in-memory.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const NOW = Date.UTC(2026, 10, 23, 12);
const RUN = '00000000-0000-4000-8000-000000000001';
const never: Iterator<boolean> = { next: () => ({ done: false, value: false }) };

/** Guests 0 to 4 come once in 1 to 5 hours, and who comes often pays little. */
const events = Array.from({ length: 5 }, (_, guest) =>
  Array.from({ length: Math.floor(480 / (guest + 1)) }, (_visit, index) => ({
    ...{ type: 'visit.v1', guest, occurredAt: NOW - 20 * DAY_MS + index * (guest + 1) * HOUR_MS + guest },
  })),
)
  .flat()
  .sort((a, b) => a.occurredAt - b.occurredAt)
  .map(({ type, guest, occurredAt }, index) => ({
    ...{ seq: index + 1, type, occurredAt, recordedAt: occurredAt },
    data: { guests: [String(guest)], paid: 10 * guest + ((index * 7) % 5), room: String(index % 3) },
  }));
const history = historyInMemory(events, never, 2_000);
const { inputs } = PAID as { readonly inputs: Parameters<typeof model.regression>[0]['inputs'] };

function paid(changes: Partial<Parameters<typeof model.regression>[0]> = {}): ModelDefinition {
  return model.regression({
    ...{
      name: 'paid',
      description: 'What a visit costs.',
      entity: customer,
      inputs,
      outputs: { value: 'y' },
    },
    dataset: dataset.ofEvents({
      ...{ entity: customer, event: visit, key: ({ guests }: Visit) => guests },
      ...{
        split: { validationDays: 3, testDays: 4 },
        warmUpDays: 2,
        value: ({ paid: cents }: Visit) => cents,
      },
    }),
    training: { kind: 'trees', trees: 12, leaves: 7, leafRows: 10 },
    retraining: { historyDays: 14 },
    ...changes,
  });
}

const FIGURES: RunFigures = {
  ...{ deadLetters: 0, waitingChanges: 3, kafkaLag: null, qualityMin: 0.95 },
  quality: { window: '24h', events: 400, score: 0.99 },
  history: { from: NOW - 20 * DAY_MS, to: NOW },
};

/** The services around a run, in memory, but for the ONNX runtime, which is the worker's own. */
class Services {
  readonly runtime = new OnnxRuntime(64 * 1024 * 1024);
  readonly kept = new Map<string, Uint8Array<ArrayBuffer>>();
  readonly profiles: DriftProfile[] = [];
  readonly registered: Bundle[] = [];
  readonly ended: TrainingRun[] = [];
  challenger: string | undefined;
  champion: { readonly manifest: Manifest; readonly bytes: Uint8Array<ArrayBuffer> } | undefined;
  readonly #definition: ModelDefinition;
  readonly #made: Promise<Made>;
  readonly #figures: RunFigures;

  constructor(definition: ModelDefinition, figures: Partial<RunFigures> = {}) {
    this.#definition = definition;
    this.#figures = { ...FIGURES, ...figures };
    const spec = specOf(definition, { asOf: NOW, from: null, to: null, knowledge: 'row', seed: 1 });
    // Several parts, so that rows come from several files.
    this.#made = makeDataset(definition, spec, history, {
      limits: { ...DATASET_LIMITS, partTouchesMax: 600 },
    });
    this.#made.catch(() => undefined);
  }

  get ports(): RunnerPorts {
    let now = NOW;
    const report = async (id: string) => ({
      ...{ id, spec: (await this.#made).manifest.spec, state: 'ready' as const, begunMs: NOW, endedMs: NOW },
      ...{ failure: null, progress: { labelEvents: 0, parts: 1, partsMade: 1, rows: 0, bytes: 0 } },
    });
    return {
      ...{ models: [this.#definition], now: () => now++, pause: async () => undefined, codeVersion: 'test' },
      measure: async () => this.#figures,
      datasets: {
        begin: async (spec) => await report(datasetId(spec)),
        read: async (id) => ({ report: await report(id), manifest: (await this.#made).manifest }),
        remove: async () => undefined,
        file: async (_, name) => (await this.#made).files.get(name),
      },
      kept: {
        put: async (_, name, bytes) => void this.kept.set(name, bytes),
        get: async (_, name) => this.kept.get(name),
        remove: async () => this.kept.clear(),
      },
      load: this.runtime.load,
      keepProfile: async (profile) => void this.profiles.push(profile),
      registry: {
        champion: async () => this.champion?.manifest,
        artifact: async () => this.champion?.bytes,
        register: async (_, bundle) => void this.registered.push(bundle),
        challenge: async (_, version) => {
          this.challenger = version;
          return true;
        },
      },
      lineage: {
        began: async () => undefined,
        ended: async (run) => void this.ended.push(run),
      },
    };
  }
}

const BEGUN = newRun({
  ...{ id: RUN, model: 'paid', reason: 'hand', by: 'test', begunMs: NOW, asOf: NOW, lastSeq: 0, seed: 1 },
});

/** Takes a run to its end. @param lostAt stages with what is done of them, at each of which all memory is lost once. */
async function finished(services: Services, lostAt: readonly string[] = []): Promise<TrainingRun> {
  let run = BEGUN;
  let runner = new TrainingRunner(services.ports);
  const left = new Set(lostAt);
  while (!isEnded(run)) {
    if (left.delete(`${run.stage} ${run.progress.done}`)) {
      run = await runner.keep(run);
      runner = new TrainingRunner(services.ports);
    }
    // As from the disk.
    run = (await runner.step(JSON.parse(JSON.stringify(run)))).run;
  }
  expect(left).toEqual(new Set());
  return run;
}

describe('a training run', () => {
  it('trains, judges, registers and challenges, with the same bytes if memory is lost on the way', async () => {
    const services = new Services(paid());
    const run = await finished(services);
    expect([run.failure, run.state, run.isChallenger]).toEqual([null, 'done', true]);
    const [bundle] = services.registered;
    expect(bundle?.manifest.version).toBe(run.version);
    expect(services.challenger).toBe(run.version);
    expect(run.evaluation).toMatchObject({ verdict: 'better', champion: null, entities: 5 });
    expect(run.evaluation && verdictOf(run.evaluation)).toBe('better');
    expect(run.cost).toMatchObject({ r2Writes: 1, r2Reads: expect.any(Number) });
    expect(run.cost.rows).toBeGreaterThan(500);
    expect(bundle?.card).toContain('Verdict: better');
    expect(services.kept.size).toBe(0);

    const interrupted = new Services(paid());
    const again = await finished(interrupted, [
      'training 1',
      'training 7',
      'training 10',
      'evaluation 1',
      'registration 0',
    ]);
    expect(again.cost.r2Writes).toBeGreaterThan(1);
    expect(interrupted.registered[0]?.model).toEqual(bundle?.model);
    expect(interrupted.registered[0]?.golden).toEqual(bundle?.golden);
  });

  it('trains a network, which is not better than a champion that is the same', async () => {
    const definition = paid({ training: { kind: 'network', hidden: [4], epochs: 3, batch: 32 } });
    const first = new Services(definition);
    await finished(first);
    const [bundle] = first.registered;
    if (bundle?.model === undefined) throw new Error('It registers one.');
    const second = new Services(definition);
    second.champion = { manifest: bundle.manifest, bytes: bundle.model };
    const run = await finished(second, ['training 2']);
    expect([run.state, run.isChallenger, second.challenger]).toEqual(['done', false, undefined]);
    expect(run.evaluation).toMatchObject({
      verdict: 'not_better',
      gains: { champion: { value: 0, low: 0, high: 0 } },
      champion: { version: bundle.manifest.version, why: null },
    });
    expect(second.registered[0]?.model).toEqual(bundle.model);
  });

  it('is refused with the figures of the gates that do not hold', async () => {
    const services = new Services(paid({ retraining: {} }), { quality: null, deadLetters: 2 });
    const run = await finished(services);
    expect([run.state, run.failure?.code]).toEqual(['refused', 'gates_closed']);
    expect(run.failure?.detail).toMatch(
      /pipeline \(deadLetters 2.*quality \(.*score unknown.*history \(days 20/,
    );
    expect(run.gates.map(({ gate, holds }) => [gate, holds])).toEqual([
      ['pipeline', false],
      ['quality', false],
      ['history', false],
      ['streaming', true],
    ]);
    expect(services.ended).toMatchObject([{ state: 'refused', failure: run.failure, gates: run.gates }]);
  });

  it.each([
    [
      'not_trainable',
      paid({ inputs: { ...inputs, other: { columns: { a: fromFeature(referenceIn(), { default: 0 }) } } } }),
    ],
    ['not_trainable', paid({ training: undefined as never })],
    ['too_few_rows', paid({ training: { kind: 'trees', leafRows: 5_000 } })],
  ])('is refused with the code %s', async (code, definition) => {
    const run = await finished(new Services(definition));
    expect([run.state, run.failure?.code]).toEqual(['refused', code]);
  });

  it('lets an error of a peer through, so that the step is repeated', async () => {
    const services = new Services(paid());
    const ports = { ...services.ports, measure: () => Promise.reject(new Error('It hangs.')) };
    await expect(new TrainingRunner(ports).step(BEGUN)).rejects.toThrow('It hangs.');
  });
});

function referenceIn() {
  const [column] = Object.values(Object.values(inputs)[0]?.columns ?? {});
  if (column?.from !== 'feature') throw new Error('All columns are features.');
  return column.reference;
}
