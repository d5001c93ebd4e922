import type { CachedAnswer } from '../cache/cached-answer.ts';
import type { Consistency, ReadRequest } from '../cache/read-through.ts';
import type { ModelDefinition } from '../define/model.ts';
import type { Manifest } from '../inference/bundle.ts';
import { CHAMPION_POLICY } from '../inference/champion-policy.ts';
import type { LoadedModel, LoadedModels } from '../inference/loaded-models.ts';
import type { PredictPorts } from '../inference/predict.ts';
import {
  modelTag,
  parseManifest,
  type RegistryPorts,
  readChampion,
  unpublished,
} from '../inference/registry.ts';
import { systemNow } from '../platform/clock.ts';
import type { Deadline } from '../platform/deadline.ts';
import { newId } from '../platform/ids.ts';

export interface ChampionPorts {
  /** Reads through the cache. */
  readonly read: (request: ReadRequest) => CachedAnswer | Promise<CachedAnswer>;
  readonly registry: RegistryPorts;
  /** The models that the isolate has in memory. */
  readonly models: LoadedModels;
  /** Keeps work running after its request has ended. */
  readonly keepAlive: (promise: Promise<unknown>) => void;
  /** The time of a request that does not name its own, in milliseconds. */
  readonly deadlineMs: number;
}

/**
 * The manifest of a model's champion; null if no version has been published. It is a cached answer under the model's
 * tag, so a new version is visible as soon as any other change.
 *
 * @throws Failure `model_unavailable` if the manifest cannot be read.
 */
export async function championManifest(
  ports: ChampionPorts,
  { name }: ModelDefinition,
  consistency: Consistency,
): Promise<Manifest | null> {
  const { entry } = await ports.read({
    view: 'champion',
    key: `champion/${name}`,
    policy: CHAMPION_POLICY,
    consistency,
    load: async () => {
      const champion = await readChampion(name, ports.registry);
      return {
        value: champion?.manifest ?? null,
        tags: [modelTag(name)],
        storable: champion?.isCurrent ?? true,
      };
    },
  });
  const manifest: unknown = JSON.parse(entry.body);
  return manifest === null ? null : parseManifest(name, manifest);
}

/**
 * The champion of a model, loaded.
 *
 * @throws Failure `model_unavailable`.
 */
export async function championOf(
  ports: ChampionPorts,
  definition: ModelDefinition,
  consistency: Consistency,
): Promise<LoadedModel> {
  const manifest = await championManifest(ports, definition, consistency);
  if (manifest === null) throw unpublished(definition.name);
  return await loadVersion(ports, definition, manifest);
}

/** The ports of one prediction of a model. */
export function predictPorts(
  ports: ChampionPorts & Pick<PredictPorts, 'shards' | 'predicted'>,
  definition: ModelDefinition,
  consistency: Consistency,
  deadline: Deadline,
): PredictPorts {
  return {
    champion: () => championManifest(ports, definition, consistency),
    load: (manifest) => loadVersion(ports, definition, manifest),
    shards: ports.shards,
    now: systemNow,
    newId,
    predicted: ports.predicted,
    deadline,
    keepAlive: ports.keepAlive,
  };
}

/** @throws Failure `model_unavailable`. */
export async function loadVersion(
  ports: ChampionPorts,
  definition: ModelDefinition,
  manifest: Manifest,
): Promise<LoadedModel> {
  return await ports.models.get(definition, manifest, ports.registry, ports.keepAlive);
}
