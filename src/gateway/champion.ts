import type { Consistency } from '../cache/read-through.ts';
import type { Services } from '../composition/services.ts';
import { cachePolicy } from '../define/cache-policy.ts';
import type { ModelDefinition } from '../define/model.ts';
import type { Manifest } from '../inference/bundle.ts';
import type { LoadedModel } from '../inference/loaded-models.ts';
import type { PredictPorts } from '../inference/predict.ts';
import { modelTag, parseManifest, readChampion, unpublished } from '../inference/registry.ts';

/** A clock that is away changes nothing about which model is the best known. */
const POLICY = cachePolicy({ ttlS: 3_600, whenUnverified: 'stale', singleFlight: false });

/**
 * The manifest of the version that answers for a model; null where none has been published. Which one that is, is
 * itself a cached answer under the model's tag, so that a new version is seen as soon as everything else that changed.
 *
 * @throws Failure `model_unavailable` where the manifest cannot be read.
 */
async function championManifest(
  services: Services,
  { name }: ModelDefinition,
  consistency: Consistency,
): Promise<Manifest | null> {
  const { entry } = await services.read({
    view: 'champion',
    key: `champion/${name}`,
    policy: POLICY,
    consistency,
    load: async () => ({
      value: (await readChampion(name, services.registry.store)) ?? null,
      tags: [modelTag(name)],
      storable: true,
    }),
  });
  const manifest: unknown = JSON.parse(entry.body);
  return manifest === null ? null : parseManifest(name, manifest);
}

/**
 * The version of a model that answers, loaded.
 *
 * @throws Failure `model_unavailable`.
 */
export async function championOf(
  services: Services,
  definition: ModelDefinition,
  consistency: Consistency,
): Promise<LoadedModel> {
  const manifest = await championManifest(services, definition, consistency);
  if (manifest === null) throw unpublished(definition.name);
  return await loadVersion(services, definition, manifest);
}

/** What predictions of a model are made with, for one request. */
export function predictPorts(
  services: Services,
  definition: ModelDefinition,
  consistency: Consistency,
): PredictPorts {
  return {
    champion: () => championManifest(services, definition, consistency),
    load: (manifest) => loadVersion(services, definition, manifest),
    shards: services.shards,
    now: services.now,
    newId: services.newId,
    predicted: services.tellLineage,
  };
}

/** @throws Failure `model_unavailable`. */
async function loadVersion(
  services: Services,
  definition: ModelDefinition,
  manifest: Manifest,
): Promise<LoadedModel> {
  return await services.models.get(definition, manifest, services.registry, services.keepAlive);
}
