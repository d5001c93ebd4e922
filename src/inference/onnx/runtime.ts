import { withTimeout } from '../../platform/clock.ts';
import { Failure } from '../../platform/failure.ts';
import type { Session } from '../graph.ts';
import type { Tensors } from '../tensors.ts';
import { OnnxError, OnnxInstance, OutOfMemory } from './instance.ts';
import { OnnxSession } from './session.ts';

/** Far beyond the start of an instance, in milliseconds. */
const START_MS = 10_000;
/**
 * How much of a graph's memory is compared with its file where the instance did not have to grow: weights, and what the
 * runtime makes of them to run faster.
 */
const MEMORY_OF_FILE = 2;
/**
 * The most that failed loads may leave behind in an instance, in bytes: the runtime does not free what it has parsed
 * of a graph that it refuses, about as much as the file.
 */
const LEFT_BEHIND_BYTES_MAX = 4 * 1024 * 1024;

/** The ONNX runtime of an isolate: one instance, and a new one when that is retired. */
export class OnnxRuntime {
  readonly #bytesMax: number;
  #instance: OnnxInstance | undefined;
  #starting: Promise<OnnxInstance> | undefined;
  /** Loads in the current instance. */
  #loads = 0;
  #leftBehindBytes = 0;

  /** @param bytesMax the bound of the WASM memory. */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** The WASM memory of the current instance, in bytes. */
  get heapBytes(): number {
    return this.#instance?.heapBytes ?? 0;
  }

  /**
   * Loads a graph. If the memory of the instance has no room, another instance takes its place, and the sessions of the
   * former are lost.
   *
   * @throws Failure `invalid_model` if the bytes are not a graph, if it does not fit in an instance of its own, or if an
   *   input or output is not a tensor of a known type.
   */
  readonly load = async (bytes: Uint8Array): Promise<Session> => {
    for (;;) {
      const instance = await this.#current();
      const isFirst = this.#loads === 0;
      this.#loads += 1;
      const before = instance.heapBytes;
      try {
        const session = new OnnxSession(instance, bytes);
        return sized(session, Math.max(bytes.length * MEMORY_OF_FILE, instance.heapBytes - before));
      } catch (error) {
        this.#leftBehindBytes += bytes.length;
        if (this.#leftBehindBytes > LEFT_BEHIND_BYTES_MAX) instance.retire();
        if (error instanceof OutOfMemory && !isFirst) continue;
        throw refusal(error, this.#bytesMax);
      }
    }
  };

  async #current(): Promise<OnnxInstance> {
    if (this.#instance !== undefined && !this.#instance.isRetired) return this.#instance;
    this.#instance = undefined;
    this.#starting ??= this.#start();
    // The request that starts the instance may be cancelled. Then its promise never settles, and a later request starts
    // another.
    return await withTimeout(this.#starting, START_MS, () => {
      this.#starting = undefined;
      return new Error(`The ONNX runtime did not start within ${START_MS} ms.`);
    });
  }

  async #start(): Promise<OnnxInstance> {
    try {
      const instance = await OnnxInstance.start(this.#bytesMax);
      this.#instance = instance;
      this.#loads = 0;
      this.#leftBehindBytes = 0;
      return instance;
    } finally {
      this.#starting = undefined;
    }
  }
}

function sized(session: OnnxSession, bytes: number): Session {
  return {
    inputs: session.inputs,
    outputs: session.outputs,
    bytes,
    get isReleased() {
      return session.isReleased;
    },
    run: (tensors, outputs) => runIn(session, tensors, outputs),
    release: () => session.release(),
  };
}

function runIn(session: OnnxSession, tensors: Tensors, outputs: readonly string[] | undefined): Tensors {
  try {
    return session.run(tensors, outputs);
  } catch (error) {
    if (!(error instanceof OutOfMemory)) throw error;
    const detail = 'The run needs more memory than the models have. Send fewer rows.';
    throw new Failure('model_unavailable', detail, { retryAfterS: 1, cause: error });
  }
}

function refusal(error: unknown, bytesMax: number): Failure {
  if (error instanceof Failure) return error;
  const detail =
    error instanceof OutOfMemory
      ? `The graph needs more than the ${bytesMax} bytes of memory that a model may take while it is loaded.`
      : `The runtime cannot load this graph. ${error instanceof OnnxError ? reasonIn(error.message) : ''}`.trim();
  return new Failure('invalid_model', detail, { pointer: '/model', cause: error });
}

/** What the publisher of a graph can use of the runtime's message. */
const REASON_CHARACTERS_MAX = 300;
const MISSING =
  /Could not find an implementation for (\w+)\((\d+)\)|Failed to find kernel for (\w+)\((\d+)\)/;

/** The reason in a message of the runtime, without the place in its own source text. */
function reasonIn(message: string): string {
  const [, operator, version, other, otherVersion] = MISSING.exec(message) ?? [];
  const name = operator ?? other;
  if (name !== undefined)
    return `It has no ${name} of opset ${version ?? otherVersion} for these element types.`;
  return message
    .replace(/^\S+\.(cc|h):\d+ .*?\)(?= [^)]*$)/s, '')
    .trim()
    .slice(0, REASON_CHARACTERS_MAX);
}
