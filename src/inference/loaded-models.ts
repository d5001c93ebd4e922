import type { Candidates, ModelDefinition } from '../define/model.ts';
import type { Time } from '../platform/clock.ts';
import { Failure } from '../platform/failure.ts';
import { assertDigest, type Manifest } from './bundle.ts';
import type { Graph } from './graph.ts';
import { artifactKey, parseCandidates, type RegistryPorts } from './registry.ts';

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

/** The most versions held at once: the current one and the one that it replaces. An isolate has 128 MB. */
const LOADED_MAX = 2;

/** The models of an isolate, by name and version, because two models may have the same graph. */
export class LoadedModels {
  readonly #time: Pick<Time, 'withTimeout'>;
  readonly #loaded = new Map<string, LoadedModel>();
  readonly #loading = new Map<string, Promise<LoadedModel>>();

  constructor(time: Pick<Time, 'withTimeout'>) {
    this.#time = time;
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
    ports: RegistryPorts,
    keepAlive: (promise: Promise<unknown>) => void,
  ): Promise<LoadedModel> {
    const version = `${manifest.name}/${manifest.version}`;
    const loaded = this.#loaded.get(version);
    if (loaded !== undefined) return loaded;
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
    ports: RegistryPorts,
  ): Promise<LoadedModel> {
    try {
      const loading = load(definition, manifest, ports);
      const model = await this.#time.withTimeout(loading, LOAD_MS, () => tooSlow(LOAD_MS));
      this.#keep(version, model);
      return model;
    } finally {
      this.#loading.delete(version);
    }
  }

  #keep(version: string, model: LoadedModel): void {
    this.#loaded.set(version, model);
    for (const oldest of this.#loaded.keys()) {
      if (this.#loaded.size <= LOADED_MAX) break;
      this.#loaded.delete(oldest);
    }
  }
}

function hasFallback(definition: ModelDefinition): boolean {
  return definition.task !== 'ranking' && definition.fallback !== undefined;
}

function tooSlow(ms: number): Failure {
  return new Failure('model_unavailable', `The model was not loaded within ${ms} ms. Retry the request.`, {
    retryAfterS: 1,
  });
}

async function load(
  definition: ModelDefinition,
  manifest: Manifest,
  ports: RegistryPorts,
): Promise<LoadedModel> {
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
    return {
      manifest,
      graph: await ports.loadGraph(model),
      candidates:
        candidates === undefined || definition.task !== 'ranking'
          ? undefined
          : parseCandidates(definition, candidates),
    };
  } catch (error) {
    throw new Failure('model_unavailable', 'The model cannot be loaded.', { retryAfterS: 5, cause: error });
  }
}
