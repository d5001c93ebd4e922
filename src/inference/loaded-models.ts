import type { Candidates } from '../define/candidates.ts';
import type { ModelDefinition } from '../define/model.ts';
import type { Time } from '../platform/clock.ts';
import { Failure } from '../platform/failure.ts';
import { log } from '../platform/logger.ts';
import { readArtifacts } from './artifacts.ts';
import { isBroken } from './broken.ts';
import { CANDIDATES_BYTES_MAX, type Manifest, MODEL_BYTES_MAX } from './bundle.ts';
import { type ColdModel, ColdModels } from './cold-models.ts';
import type { Graph, Session } from './graph.ts';
import { RuntimeSwitchedOff } from './phase.ts';
import { Quiet } from './quiet.ts';
import type { LoadPorts } from './registry.ts';
import type { Tensors } from './tensors.ts';

/** A version that is loaded and can answer. */
export interface LoadedModel {
  readonly manifest: Manifest;
  readonly graph: Graph;
  /** Only for a ranking. */
  readonly candidates: Candidates | undefined;
}

/** A loaded version of a ranking. */
export interface LoadedRanking extends LoadedModel {
  readonly candidates: Candidates;
}

/**
 * @throws Failure `model_unavailable` if the version has no candidates, because it was published for another kind of
 *   model.
 */
export function asRanking(model: LoadedModel): LoadedRanking {
  const { candidates } = model;
  if (candidates !== undefined) return { ...model, candidates };
  throw new Failure(
    'model_unavailable',
    'The published version has no candidates. Publish one with candidates.',
    {
      retryAfterS: 60,
    },
  );
}

/**
 * How long a request waits for a model that is being loaded, in milliseconds: shorter where a fallback can answer. The
 * load goes on, and a later request finds the model in memory.
 */
const WAIT_MS = 5_000;
const WAIT_WITH_FALLBACK_MS = 800;
/** A load that takes longer counts as lost, in milliseconds: the request that began it may have been cancelled. */
const LOAD_MS = 20_000;

/**
 * The most bytes of artifacts that are read at once, in bytes: the largest model and a smaller one. They are in memory
 * beside the models until the runtime has its copy.
 */
const READING_BYTES_MAX = MODEL_BYTES_MAX + CANDIDATES_BYTES_MAX + MODEL_BYTES_MAX / 4;
/**
 * The memory of a graph while it is loaded, compared with its file: the runtime has a copy of the file, what it has
 * parsed of it, and the weights. Trees take more, and the runtime's own bound holds for them.
 */
const LOADING_OF_FILE = 3;
/**
 * How long a graph that the runtime refuses, or that has broken the runtime, is not loaded again, in milliseconds. Each
 * attempt reads the artifact, and one that has no room or breaks replaces the runtime's memory.
 */
const REFUSED_MS = 60_000;
/** Refused versions that are remembered: more than a catalog has models. */
const REFUSED_MAX = 64;
/** The memory of parsed candidates, compared with their file. */
const MEMORY_OF_CANDIDATES = 5;
/** A run whose session is evicted between its load and the run loads it again, this often at most. */
const RUN_ATTEMPTS = 3;

/** A version that is asked for. */
interface Asked {
  readonly version: string;
  readonly definition: ModelDefinition;
  readonly manifest: Manifest;
  readonly ports: LoadPorts;
  readonly keepAlive: (promise: Promise<unknown>) => void;
}

/** A load that is under way: the evaluator comes first, if it computes the graph. */
interface Loading {
  readonly cold: Promise<ColdModel | undefined>;
  readonly whole: Promise<InMemory>;
  /** Ends the load's wait for a pause of the requests. */
  readonly hurry: () => void;
}

/** What a load tells and is told while it is under way. */
interface Progress {
  /** Tells the evaluator of the version, or that there is none. */
  readonly isCold: (model: ColdModel | undefined) => void;
  /** Settles when the load may not wait for a pause of the requests. */
  readonly wanted: Promise<void>;
}

/** A version in memory. */
interface InMemory {
  readonly session: Session;
  readonly candidates: Candidates | undefined;
  readonly bytes: number;
}

/**
 * The models of an isolate, by name and version, because two models may have the same graph. The least recently used are
 * evicted and released when another needs their memory. A run is synchronous, so none is under way then; a model that
 * was evicted while its caller waited for something else is loaded again by its next run.
 */
export class LoadedModels {
  readonly #time: Time;
  readonly #bytesMax: number;
  /** In the order of their last use, the least recent first. */
  readonly #loaded = new Map<string, InMemory>();
  readonly #loading = new Map<string, Loading>();
  readonly #cold = new ColdModels();
  readonly #quiet: Quiet;
  /** By version, the failure of its last load or run if the version may not be loaded, and until when it holds. */
  readonly #refused = new Map<string, { readonly failure: Failure; readonly untilMs: number }>();
  /** Versions that the evaluator does not compute, so that their artifacts are not read in vain while there is no runtime. */
  readonly #notEvaluated = new Set<string>();
  readonly #hasRuntime: () => boolean;
  /** Loads that read artifacts, with the bytes that they read. */
  readonly #reading = new Map<Promise<unknown>, number>();

  /**
   * @param bytesMax the most memory of all models together.
   * @param hasRuntime whether the runtime may run graphs now. Otherwise only the evaluator does.
   */
  constructor(time: Time, bytesMax: number, hasRuntime: () => boolean = () => true) {
    this.#hasRuntime = hasRuntime;
    this.#time = time;
    this.#bytesMax = bytesMax;
    this.#quiet = new Quiet(time);
  }

  /** The memory of the models, in bytes: an estimate from above. */
  get bytes(): number {
    return sum(this.#loaded.values(), ({ bytes }) => bytes);
  }

  /**
   * Returns the model of a manifest, and loads it if it is not in memory. The evaluator answers for a graph that it
   * computes until the runtime has loaded it, which begins when the requests pause (`quiet.ts`).
   *
   * @param keepAlive keeps the load running if its request is cancelled, because other requests may wait for it.
   * @throws Failure `model_unavailable` if an artifact is missing or does not match its digest, or the load takes long.
   */
  async get(
    definition: ModelDefinition,
    manifest: Manifest,
    ports: LoadPorts,
    keepAlive: (promise: Promise<unknown>) => void,
  ): Promise<LoadedModel> {
    this.#quiet.asked();
    const asked = { version: `${manifest.name}/${manifest.version}`, definition, manifest, ports, keepAlive };
    const cold = await this.#coldModel(asked);
    const { session, candidates } =
      cold === undefined ? await this.#inMemory(asked) : { session: manifest, ...cold };
    const run = (tensors: Tensors, outputs?: readonly string[]) => this.#runModel(asked, tensors, outputs);
    const { inputs, outputs } = session;
    const additive: Graph['additive'] = (...of) => this.#cold.find(asked.version)?.additive(...of);
    return { manifest, graph: { inputs, outputs, run, additive }, candidates };
  }

  /** The version if it can run at once: the runtime has its graph, or the evaluator computes it. */
  loaded(manifest: Manifest): LoadedModel | undefined {
    const version = `${manifest.name}/${manifest.version}`;
    const known = this.#loaded.get(version);
    const inMemory = known?.session.isReleased === false ? known : undefined;
    const cold = this.#cold.find(version);
    if (inMemory === undefined && cold === undefined) return undefined;
    const { inputs, outputs } = inMemory?.session ?? manifest;
    const session = () => (this.#hasRuntime() ? inMemory?.session : undefined);
    const run = async (tensors: Tensors, wanted?: readonly string[]) => {
      this.#quiet.asked();
      const computed =
        session()?.isReleased === false && inMemory !== undefined
          ? this.#run(version, inMemory.session, tensors, wanted)
          : cold?.run(tensors, wanted);
      if (computed !== undefined) return computed;
      throw new Failure('model_unavailable', 'The version is not in memory.', { retryAfterS: 1 });
    };
    return { manifest, graph: { inputs, outputs, run }, candidates: (inMemory ?? cold)?.candidates };
  }

  async #runModel(asked: Asked, tensors: Tensors, outputs: readonly string[] | undefined): Promise<Tensors> {
    const { version, manifest, ports } = asked;
    this.#quiet.asked();
    for (let attempt = 0; attempt < RUN_ATTEMPTS; attempt += 1) {
      const evaluated = (await this.#coldModel(asked))?.run(tensors, outputs);
      if (evaluated !== undefined) {
        ports.tiers?.ran(manifest.name, 'evaluator');
        return evaluated;
      }
      if (!this.#hasRuntime()) throw new RuntimeSwitchedOff();
      const { session } = await this.#inMemory(asked);
      if (session.isReleased) continue;
      const computed = this.#run(version, session, tensors, outputs);
      ports.tiers?.ran(manifest.name, 'runtime');
      if (ports.tiers?.isSampled() === true) {
        const verdict = this.#cold.compare(version, tensors, computed);
        if (verdict !== undefined) ports.tiers.compared(manifest.name, verdict);
      }
      return computed;
    }
    throw new Failure('model_unavailable', 'Other models took the memory of this one. Retry the request.', {
      retryAfterS: 1,
    });
  }

  /** The version's evaluator while the runtime does not have its graph; undefined without one. The load goes on. */
  async #coldModel(asked: Asked): Promise<ColdModel | undefined> {
    const { version } = asked;
    const hasRuntime = this.#hasRuntime();
    if (hasRuntime && this.#loaded.get(version)?.session.isReleased === false) return undefined;
    const known = this.#cold.find(version);
    if (!hasRuntime && (known !== undefined || this.#notEvaluated.has(version))) return known;
    if (this.#refusalOf(version) !== undefined) return known;
    const { cold } = this.#loadingOf(asked);
    return known ?? (await this.#waitFor(asked, cold));
  }

  /**
   * A run that ends the runtime ends it for all models, which are loaded again on their next use. So the version that
   * did it is refused for a time: otherwise each of its requests would cost the others their memory again.
   */
  #run(version: string, session: Session, tensors: Tensors, outputs: readonly string[] | undefined): Tensors {
    try {
      return session.run(tensors, outputs);
    } catch (error) {
      if (error instanceof Failure || !session.isReleased) throw error;
      const detail =
        'The model broke the runtime. It is not run again for a minute; the other models are loaded anew.';
      const failure = new Failure('model_unavailable', detail, {
        retryAfterS: REFUSED_MS / 1_000,
        cause: error,
      });
      this.#refuse(version, failure);
      throw failure;
    }
  }

  #refuse(version: string, failure: Failure): void {
    if (this.#refused.size >= REFUSED_MAX) this.#refused.clear();
    this.#refused.set(version, { failure, untilMs: this.#time.now() + REFUSED_MS });
  }

  async #inMemory(asked: Asked): Promise<InMemory> {
    const { version } = asked;
    if (!this.#hasRuntime()) throw new RuntimeSwitchedOff();
    const loaded = this.#loaded.get(version);
    if (loaded !== undefined) {
      this.#loaded.delete(version);
      if (!loaded.session.isReleased) {
        this.#loaded.set(version, loaded);
        return loaded;
      }
    }
    const refused = this.#refusalOf(version);
    if (refused !== undefined) throw refused;
    const { whole, hurry } = this.#loadingOf(asked);
    hurry();
    return await this.#waitFor(asked, whole);
  }

  #refusalOf(version: string): Failure | undefined {
    const refused = this.#refused.get(version);
    if (refused === undefined || this.#time.now() < refused.untilMs) return refused?.failure;
    this.#refused.delete(version);
    return undefined;
  }

  /** The load that is under way, or a new one. */
  #loadingOf(asked: Asked): Loading {
    const known = this.#loading.get(asked.version);
    if (known !== undefined) return known;
    const { promise: cold, resolve: isCold, reject } = Promise.withResolvers<ColdModel | undefined>();
    const { promise: wanted, resolve: hurry } = Promise.withResolvers<void>();
    const whole = this.#load(asked, { isCold, wanted });
    whole.catch(reject);
    const loading = { cold, whole, hurry };
    this.#loading.set(asked.version, loading);
    asked.keepAlive(Promise.allSettled([whole, cold]));
    return loading;
  }

  /** The promise may belong to another request. If that one is cancelled, the promise never settles. */
  async #waitFor<T>({ definition }: Asked, loading: Promise<T>): Promise<T> {
    const waitMs = hasFallback(definition) ? WAIT_WITH_FALLBACK_MS : WAIT_MS;
    return await this.#time.withTimeout(loading, waitMs, () => tooSlow(waitMs));
  }

  async #load(asked: Asked, progress: Progress): Promise<InMemory> {
    const { version } = asked;
    try {
      const loading = this.#loadInTurn(asked, progress);
      const loaded = await this.#time.withTimeout(loading, LOAD_MS, () => tooSlow(LOAD_MS));
      this.#loaded.set(version, loaded);
      this.#evict(0, version);
      return loaded;
    } catch (error) {
      if (isRefusal(error)) this.#refuse(version, error);
      throw error;
    } finally {
      this.#loading.delete(version);
    }
  }

  async #loadInTurn(asked: Asked, progress: Progress): Promise<InMemory> {
    const { manifest } = asked;
    const bytes = manifest.model.bytes + (manifest.candidates?.bytes ?? 0);
    while (this.#reading.size > 0 && sum(this.#reading.values(), Number) + bytes > READING_BYTES_MAX) {
      // The loads that wait for a pause hold their artifacts meanwhile.
      for (const { hurry } of this.#loading.values()) hurry();
      await Promise.race(this.#reading.keys());
    }
    const loading = this.#readAndLoad(asked, progress);
    // A load that never settles counts as long as its callers wait for it.
    const read = this.#time
      .withTimeout(loading, LOAD_MS, () => tooSlow(LOAD_MS))
      .then(
        () => undefined,
        () => undefined,
      );
    this.#reading.set(read, bytes);
    void read.then(() => this.#reading.delete(read));
    return await loading;
  }

  /** Evicts models until a graph can be loaded, as far as its file tells. */
  makeRoom(fileBytes: number): void {
    this.#evict(fileBytes * LOADING_OF_FILE, undefined);
  }

  /** Releases the least recently used models until there is room for `bytes` more, or only `kept` is left. */
  #evict(bytes: number, kept: string | undefined): void {
    for (const [version, { session }] of this.#loaded) {
      if (this.bytes + bytes <= this.#bytesMax) return;
      if (version === kept) continue;
      this.#loaded.delete(version);
      this.#cold.drop(version);
      session.release();
    }
  }

  async #readAndLoad(asked: Asked, { isCold, wanted }: Progress): Promise<InMemory> {
    const { version, definition, manifest, ports } = asked;
    try {
      const { model, candidates, candidatesBytes } = await readArtifacts(definition, manifest, ports);
      const cold = this.#cold.add(version, model, manifest, candidates);
      isCold(cold);
      if (cold === undefined && this.#notEvaluated.size < REFUSED_MAX) this.#notEvaluated.add(version);
      if (cold !== undefined && this.#hasRuntime()) await this.#quiet.comes(cold.hasRun, wanted);
      if (!this.#hasRuntime()) throw new RuntimeSwitchedOff();
      const session = await ports.loadGraph(model);
      return { session, candidates, bytes: session.bytes + candidatesBytes * MEMORY_OF_CANDIDATES };
    } catch (error) {
      if (error instanceof RuntimeSwitchedOff) throw error;
      const failure = new Failure('model_unavailable', 'The model cannot be loaded.', {
        retryAfterS: 5,
        cause: error,
      });
      if (isBroken(failure)) {
        const message = 'A version cannot be loaded because of its artifacts. The version before answers.';
        log('error', message, { 'event.action': 'load', 'millrace.model.version': version }, error);
      }
      throw failure;
    }
  }
}

/** Whether the runtime refused the graph, so that another load would fail too. */
function isRefusal(error: unknown): error is Failure {
  if (!(error instanceof Failure) || !(error.cause instanceof Failure)) return false;
  return error.cause.code === 'invalid_model' && error.cause.pointer === '/model';
}

function sum<T>(values: Iterable<T>, of: (value: T) => number): number {
  let total = 0;
  for (const value of values) total += of(value);
  return total;
}

function hasFallback(definition: ModelDefinition): boolean {
  return definition.task !== 'ranking' && definition.fallback !== undefined;
}

function tooSlow(ms: number): Failure {
  return new Failure('model_unavailable', `The model was not loaded within ${ms} ms. Retry the request.`, {
    retryAfterS: 1,
  });
}
