import type { CachedAnswer, Consistency, ReadRequest } from '../cache/read-through.ts';
import { cachePolicy } from '../define/cache-policy.ts';
import type { ModelDefinition } from '../define/model.ts';
import { Manifest } from '../inference/bundle.ts';
import type { LoadedModel, LoadedModels } from '../inference/loaded-models.ts';
import { modelTag, type RegistryPorts, readChampion } from '../inference/registry.ts';
import { Failure } from '../platform/failure.ts';

export interface ChampionPorts {
  /** Reads through the cache. */
  readonly read: (request: ReadRequest) => CachedAnswer | Promise<CachedAnswer>;
  readonly registry: RegistryPorts;
  /** The models that the isolate has in memory. */
  readonly models: LoadedModels;
  /** Lets work outlive its request. */
  readonly keepAlive: (promise: Promise<unknown>) => void;
}

/** A clock that is away changes nothing about which model is the best known. */
const POLICY = cachePolicy({ ttlS: 3_600, whenUnverified: 'stale', singleFlight: false });

/**
 * The version of a model that answers. Which one that is, is itself a cached answer under the model's tag, so
 * that a new version is seen as soon as everything else that changed.
 *
 * @throws Failure `model_unavailable`.
 */
export async function championOf(
  ports: ChampionPorts,
  definition: ModelDefinition,
  consistency: Consistency,
): Promise<LoadedModel> {
  const { entry } = await ports.read({
    view: 'champion',
    key: `champion/${definition.name}`,
    policy: POLICY,
    consistency,
    load: async () => ({
      value: (await readChampion(definition.name, ports.registry.store)) ?? null,
      tags: [modelTag(definition.name)],
      storable: true,
    }),
  });
  const manifest = Manifest.nullable().parse(JSON.parse(entry.body));
  if (manifest === null) {
    throw new Failure('model_unavailable', `No version of "${definition.name}" has been published yet.`, {
      retryAfterS: 60,
    });
  }
  return await ports.models.get(definition, manifest, ports.registry, ports.keepAlive);
}
