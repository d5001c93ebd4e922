import type { Candidates, ModelDefinition } from '../define/model.ts';
import { Failure } from '../platform/failure.ts';
import { assertDigest, type Manifest } from './bundle.ts';
import type { Graph } from './onnx-runtime.ts';
import { artifactKey, parseCandidates, type RegistryPorts } from './registry.ts';

/** A version that is ready to answer. */
export interface LoadedModel {
  readonly manifest: Manifest;
  readonly graph: Graph;
  readonly candidates: Candidates;
}

/** Versions held at once: the one that answers and the one that it replaces. An isolate has 128 MB. */
const LOADED_MAX = 2;

/** The models of an isolate, by version. */
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
    const { version } = manifest;
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
  try {
    const [model, candidates] = await Promise.all(
      [manifest.model, manifest.candidates].map(async ({ sha256 }) => {
        const bytes = await ports.store.get(artifactKey(sha256));
        if (bytes === undefined) throw new Error(`artifact ${sha256} is not in the store`);
        return bytes;
      }),
    );
    if (model === undefined || candidates === undefined) throw new Error('an artifact is missing');
    await assertDigest('model', model, manifest);
    await assertDigest('candidates', candidates, manifest);
    return {
      manifest,
      graph: await ports.loadGraph(model),
      candidates: parseCandidates(definition, candidates),
    };
  } catch (error) {
    throw new Failure('model_unavailable', 'The model cannot be loaded.', { retryAfterS: 5, cause: error });
  }
}
