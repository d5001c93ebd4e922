import type { Candidates, ModelDefinition } from '../define/model.ts';
import { Failure } from '../platform/failure.ts';
import { assertDigest, type Manifest } from './bundle.ts';
import type { Graph } from './graph.ts';
import { artifactKey, parseCandidates, type RegistryPorts } from './registry.ts';

/** A version that is ready to answer. */
export interface LoadedModel {
  readonly manifest: Manifest;
  readonly graph: Graph;
  /** Of a ranking. */
  readonly candidates: Candidates | undefined;
}

/** A version of a ranking that is ready to answer. */
export interface LoadedRanking extends LoadedModel {
  readonly candidates: Candidates;
}

/** @throws Failure `model_unavailable` where the version has no candidates: it was published for another kind. */
export function asRanking(model: LoadedModel): LoadedRanking {
  const { candidates } = model;
  if (candidates !== undefined) return { ...model, candidates };
  throw new Failure('model_unavailable', 'The published version has no candidates. Publish one that has.', {
    retryAfterS: 60,
  });
}

/** Versions held at once: the one that answers and the one that it replaces. An isolate has 128 MB. */
const LOADED_MAX = 2;

/** The models of an isolate, by name and version: two models may have the same graph. */
export class LoadedModels {
  readonly #loaded = new Map<string, LoadedModel>();
  readonly #loading = new Map<string, Promise<LoadedModel>>();

  /**
   * The model of this manifest, loaded if need be.
   *
   * @param keepAlive keeps the load going if the request that began it is cancelled: others may wait on it.
   * @throws Failure `model_unavailable` where an artifact is missing or is not what its name says.
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
      loading = load(definition, manifest, ports)
        .then((model) => {
          this.#keep(version, model);
          return model;
        })
        .finally(() => this.#loading.delete(version));
      this.#loading.set(version, loading);
      keepAlive(loading.catch(() => undefined));
    }
    return await loading;
  }

  #keep(version: string, model: LoadedModel): void {
    this.#loaded.set(version, model);
    for (const oldest of this.#loaded.keys()) {
      if (this.#loaded.size <= LOADED_MAX) break;
      this.#loaded.delete(oldest);
    }
  }
}

async function load(
  definition: ModelDefinition,
  manifest: Manifest,
  ports: RegistryPorts,
): Promise<LoadedModel> {
  const artifact = async (what: 'model' | 'candidates', { sha256 }: { readonly sha256: string }) => {
    const bytes = await ports.store.get(artifactKey(sha256));
    if (bytes === undefined) throw new Error(`artifact ${sha256} is not in the store`);
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
