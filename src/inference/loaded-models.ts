import type { Candidates, ModelDefinition } from '../define/model.ts';
import type { Time } from '../platform/clock.ts';
import { Failure } from '../platform/failure.ts';
import { assertDigest, CANDIDATES_BYTES_MAX, type Manifest, MODEL_BYTES_MAX } from './bundle.ts';
import type { Graph, Session } from './graph.ts';
import { artifactKey, type LoadPorts, parseCandidates } from './registry.ts';
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
  readonly #loading = new Map<string, Promise<InMemory>>();
  /** By version, the failure of its last load or run if the version may not be loaded, and until when it holds. */
  readonly #refused = new Map<string, { readonly failure: Failure; readonly untilMs: number }>();
  /** Loads that read artifacts, with the bytes that they read. */
  readonly #reading = new Map<Promise<unknown>, number>();

  /** @param bytesMax the most memory of all models together. */
  constructor(time: Time, bytesMax: number) {
    this.#time = time;
    this.#bytesMax = bytesMax;
  }

  /** The memory of the models, in bytes: an estimate from above. */
  get bytes(): number {
    return sum(this.#loaded.values(), ({ bytes }) => bytes);
  }

  /**
   * Returns the model of a manifest, and loads it if it is not in memory.
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
    const current = () => this.#inMemory(definition, manifest, ports, keepAlive);
    const { session, candidates } = await current();
    const run = async (tensors: Tensors, outputs?: readonly string[]): Promise<Tensors> => {
      for (let attempt = 0; attempt < RUN_ATTEMPTS; attempt += 1) {
        const { session: loaded } = await current();
        if (!loaded.isReleased)
          return this.#run(`${manifest.name}/${manifest.version}`, loaded, tensors, outputs);
      }
      throw new Failure('model_unavailable', 'Other models took the memory of this one. Retry the request.', {
        retryAfterS: 1,
      });
    };
    return { manifest, graph: { inputs: session.inputs, outputs: session.outputs, run }, candidates };
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

  async #inMemory(
    definition: ModelDefinition,
    manifest: Manifest,
    ports: LoadPorts,
    keepAlive: (promise: Promise<unknown>) => void,
  ): Promise<InMemory> {
    const version = `${manifest.name}/${manifest.version}`;
    const loaded = this.#loaded.get(version);
    if (loaded !== undefined) {
      this.#loaded.delete(version);
      if (!loaded.session.isReleased) {
        this.#loaded.set(version, loaded);
        return loaded;
      }
    }
    const refused = this.#refused.get(version);
    if (refused !== undefined) {
      if (this.#time.now() < refused.untilMs) throw refused.failure;
      this.#refused.delete(version);
    }
    let loading = this.#loading.get(version);
    if (loading === undefined) {
      loading = this.#load(version, definition, manifest, ports);
      this.#loading.set(version, loading);
      keepAlive(loading.catch(() => undefined));
    }
    // The promise may belong to another request. If that one is cancelled, the promise never settles.
    const waitMs = hasFallback(definition) ? WAIT_WITH_FALLBACK_MS : WAIT_MS;
    return await this.#time.withTimeout(loading, waitMs, () => tooSlow(waitMs));
  }

  async #load(
    version: string,
    definition: ModelDefinition,
    manifest: Manifest,
    ports: LoadPorts,
  ): Promise<InMemory> {
    try {
      const loading = this.#loadInTurn(definition, manifest, ports);
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

  async #loadInTurn(definition: ModelDefinition, manifest: Manifest, ports: LoadPorts): Promise<InMemory> {
    const bytes = manifest.model.bytes + (manifest.candidates?.bytes ?? 0);
    while (this.#reading.size > 0 && sum(this.#reading.values(), Number) + bytes > READING_BYTES_MAX)
      await Promise.race(this.#reading.keys());
    const loading = load(definition, manifest, ports);
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
      session.release();
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

async function load(definition: ModelDefinition, manifest: Manifest, ports: LoadPorts): Promise<InMemory> {
  const artifact = async (what: 'model' | 'candidates', { sha256 }: { readonly sha256: string }) => {
    const bytes = await ports.store.get(artifactKey(sha256));
    if (bytes === undefined) throw new Error(`the store has no artifact ${sha256}`);
    await assertDigest(what, bytes, manifest);
    return bytes;
  };
  try {
    const [model, candidates] = await Promise.all([
      artifact('model', manifest.model),
      manifest.candidates === undefined ? undefined : artifact('candidates', manifest.candidates),
    ]);
    const session = await ports.loadGraph(model);
    try {
      return {
        session,
        bytes: session.bytes + (candidates?.length ?? 0) * MEMORY_OF_CANDIDATES,
        candidates:
          candidates === undefined || definition.task !== 'ranking'
            ? undefined
            : parseCandidates(definition, candidates),
      };
    } catch (error) {
      session.release();
      throw error;
    }
  } catch (error) {
    throw new Failure('model_unavailable', 'The model cannot be loaded.', { retryAfterS: 5, cause: error });
  }
}
