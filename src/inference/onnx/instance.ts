import start, { type OnnxModule } from 'onnxruntime-web/ort-wasm-simd-threaded.mjs';
import wasmModule from 'onnxruntime-web/ort-wasm-simd-threaded.wasm';
import { sleep } from '../../platform/clock.ts';
import { Failure } from '../../platform/failure.ts';

const PAGE_BYTES = 65_536;
/**
 * For one allocation the loader tries to grow the memory by 20 %, then by 10 % and by 5 %, or by what it needs if that
 * is more.
 */
const GROWTH_ATTEMPTS = 3;
/** The size of a pointer and of a C `int` in the WASM module. */
export const WORD_BYTES = 4;
/** The runtime's level for its own log: errors. Warnings about a graph are of no use to its publisher. */
const LOG_ERRORS = 3;
/** All optimisations of a graph. */
const OPTIMIZE_ALL = 99;
const SEQUENTIAL = 0;

/** The memory of an instance has no room for what it was asked. */
export class OutOfMemory extends Error {
  override readonly name = 'OutOfMemory';

  constructor(what: string, bytesMax: number) {
    super(`The ONNX runtime ran out of its ${bytesMax} bytes of memory: it could not ${what}.`);
  }
}

/**
 * An instance of the ONNX runtime with a memory of its own. The memory of a WASM instance grows and never shrinks, so it
 * has a bound here: a growth beyond it is refused, and what needed it fails.
 *
 * An instance is retired when an allocation was refused or the WASM code trapped. The runtime does not free what a
 * failed load had allocated, so a retired instance is not used for another load; its memory is freed with it.
 */
export class OnnxInstance {
  readonly module: OnnxModule;
  /** Options of all sessions, and of all runs. */
  readonly sessionOptions: number;
  readonly runOptions: number;
  readonly #memory: BoundedMemory;
  #isRetired = false;
  #isBroken = false;

  private constructor(module: OnnxModule, memory: BoundedMemory) {
    this.module = module;
    this.#memory = memory;
    this.check(module._OrtInit(1, LOG_ERRORS), 'start');
    this.sessionOptions = module._OrtCreateSessionOptions(
      ...([OPTIMIZE_ALL, false, false, SEQUENTIAL, false, 0, 0, LOG_ERRORS, 0, 0] as const),
    );
    this.runOptions = module._OrtCreateRunOptions(LOG_ERRORS, 0, false, 0);
    if (this.sessionOptions === 0 || this.runOptions === 0) throw this.failure('start');
  }

  /**
   * workerd does not compile WebAssembly from bytes at run time, so the module that was compiled at deployment is
   * instantiated.
   */
  static async start(bytesMax: number): Promise<OnnxInstance> {
    const memory = new BoundedMemory(bytesMax);
    const starting = inOneThread(() =>
      start({
        numThreads: 1,
        instantiateWasm: (imports, receive) => {
          memory.bind(imports);
          receive(new WebAssembly.Instance(wasmModule, imports), wasmModule);
        },
        printErr: () => undefined,
      }),
    );
    // Each part of a start holds the thread for 10 to 50 ms. Between them, requests that came meanwhile go on.
    const module = await starting;
    await sleep(0);
    const instance = new OnnxInstance(module, memory);
    await sleep(0);
    return instance;
  }

  get heapBytes(): number {
    return this.#memory.bytes;
  }

  /** Whether no other graph may be loaded, and those that are loaded may not run. */
  get isRetired(): boolean {
    return this.#isRetired || this.#isBroken || this.#memory.wasRefused;
  }

  /** Whether the WASM code trapped: nothing in the instance may be called. */
  get isBroken(): boolean {
    return this.#isBroken;
  }

  /** Ends the use of the instance. Its memory is freed when no one refers to it. */
  retire(): void {
    this.#isRetired = true;
  }

  /**
   * Calls the WASM module. After a trap its memory is in an unknown state, so nothing in it is called again.
   */
  call<T>(work: () => T): T {
    const { module } = this;
    const stack = module.stackSave();
    try {
      return work();
    } catch (error) {
      // The errors of this room are reported by the module between its calls. Any other has left its code half-way: a
      // trap, a stack overflow, or a C++ exception, which is a number.
      this.#isBroken ||= !(
        error instanceof OnnxError ||
        error instanceof OutOfMemory ||
        error instanceof Failure
      );
      throw error;
    } finally {
      if (!this.#isBroken) module.stackRestore(stack);
    }
  }

  /** @throws OutOfMemory. The caller frees the memory by `module._free`. */
  allocate(bytes: number): number {
    // An allocation of 0 bytes may return 0, which is otherwise a failure.
    const pointer = this.module._malloc(Math.max(1, bytes));
    if (pointer === 0) throw new OutOfMemory(`allocate ${bytes} bytes`, this.#memory.bytesMax);
    return pointer;
  }

  /** Memory for words that lives until the current `call` ends. */
  words(count: number): number {
    return this.module.stackAlloc(Math.max(1, count) * WORD_BYTES);
  }

  /** Throws the module's last error unless the status is 0. */
  check(status: number, what: string): void {
    if (status !== 0) throw this.failure(what);
  }

  /** The module's last error. */
  failure(what: string): Error {
    if (this.#memory.wasRefused) return new OutOfMemory(what, this.#memory.bytesMax);
    const { module } = this;
    const [code, message] = [this.words(1), this.words(1)];
    module._OrtGetLastError(code, message);
    const pointer = module.getValue(message, '*');
    return new OnnxError(pointer === 0 ? `The runtime failed to ${what}.` : module.UTF8ToString(pointer));
  }
}

/**
 * Calls the loader with two features of the environment hidden, which it looks for in the synchronous part of its start:
 *
 * - `process`, which workerd has too: the loader would take workerd for Node and use its file system.
 * - `Atomics.waitAsync`, by which the loader waits for messages of other threads. There are none, and the wait would
 *   keep the memory of the instance for as long as the isolate lives.
 */
function inOneThread<T>(call: () => T): T {
  const process: unknown = Reflect.get(globalThis, 'process');
  const { waitAsync } = Atomics;
  if (isObject(process)) Reflect.set(process, 'type', 'renderer');
  Reflect.set(Atomics, 'waitAsync', undefined);
  try {
    return call();
  } finally {
    Reflect.set(Atomics, 'waitAsync', waitAsync);
    if (isObject(process)) Reflect.deleteProperty(process, 'type');
  }
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}

/** An error that the runtime reports: the graph or its input is wrong. */
export class OnnxError extends Error {
  override readonly name = 'OnnxError';
}

/**
 * The memory of an instance, with a bound. The loader makes the memory itself, with a maximum of 4 GB, and grows it by
 * its method `grow`; a growth that throws is to the module an allocation that fails.
 */
class BoundedMemory {
  readonly bytesMax: number;
  #memory: WebAssembly.Memory | undefined;
  #refusals = 0;

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax;
  }

  get bytes(): number {
    return this.#memory?.buffer.byteLength ?? 0;
  }

  /** Whether an allocation failed. */
  get wasRefused(): boolean {
    return this.#refusals >= GROWTH_ATTEMPTS;
  }

  bind(imports: WebAssembly.Imports): void {
    const memory = Object.values(imports)
      .flatMap((group) => Object.values(group))
      .find((value) => value instanceof WebAssembly.Memory);
    if (memory === undefined) throw new Error('The ONNX runtime does not import its memory.');
    this.#memory = memory;
    const grow = memory.grow.bind(memory);
    Object.defineProperty(memory, 'grow', { value: (pages: number) => this.#grow(grow, pages) });
  }

  #grow(grow: (pages: number) => number, pages: number): number {
    if (this.bytes + pages * PAGE_BYTES > this.bytesMax) {
      this.#refusals += 1;
      throw new RangeError('The memory has reached its bound.');
    }
    if (!this.wasRefused) this.#refusals = 0;
    return grow(pages);
  }
}
