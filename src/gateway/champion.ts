import type { CachedAnswer } from '../cache/cached-answer.ts';
import type { Consistency, ReadRequest } from '../cache/read-through.ts';
import type { ModelDefinition } from '../define/model.ts';
import type { Manifest } from '../inference/bundle.ts';
import { CHAMPION_POLICY } from '../inference/champion-policy.ts';
import type { LoadedModel, LoadedModels } from '../inference/loaded-models.ts';
import type { PredictPorts } from '../inference/predict.ts';
import type { RecommendPorts } from '../inference/recommend.ts';
import {
  type Champion,
  modelTag,
  parseManifest,
  type RegistryPorts,
  readChampion,
  unpublished,
} from '../inference/registry.ts';
import { sleep, systemNow } from '../platform/clock.ts';
import type { Deadline } from '../platform/deadline.ts';
import { newId } from '../platform/ids.ts';

export interface ChampionPorts {
  /** Reads through the cache. */
  readonly read: (request: ReadRequest) => CachedAnswer | Promise<CachedAnswer>;
  /** A stale answer in memory that may stand in, without waiting. */
  readonly standIn: (request: ReadRequest) => CachedAnswer | undefined;
  readonly registry: RegistryPorts;
  /** The models that the isolate has in memory. */
  readonly models: LoadedModels;
  /** Keeps work running after its request has ended. */
  readonly keepAlive: (promise: Promise<unknown>) => void;
  /** The time of a request that does not name its own, in milliseconds. */
  readonly deadlineMs: number;
}

/**
 * The champion of a model; null if no version has been published. It is a cached answer under the model's tag, so a new
 * version is visible as soon as any other change. An answer that is made with a champion that is not current must not be
 * kept: the version that answers may be another one.
 *
 * @throws Failure `model_unavailable` if the manifest cannot be read.
 */
async function readCached(
  ports: ChampionPorts,
  { name }: ModelDefinition,
  consistency: Consistency,
): Promise<Champion | null> {
  const { entry } = await ports.read({
    view: 'champion',
    key: `aliases/${name}/champion`,
    policy: CHAMPION_POLICY,
    consistency,
    load: async () => {
      const champion = await readChampion(name, ports.registry);
      return {
        value: champion ?? null,
        tags: [modelTag(name)],
        storable: champion?.isCurrent ?? true,
      };
    },
  });
  const champion: (Omit<Champion, 'manifest'> & { readonly manifest: unknown }) | null = JSON.parse(
    entry.body,
  );
  return champion === null ? null : { ...champion, manifest: parseManifest(name, champion.manifest) };
}

/**
 * The manifest of a model's champion, for answers that are not cached; null if no version has been published.
 *
 * @throws Failure `model_unavailable` if the manifest cannot be read.
 */
export async function championManifest(
  ports: ChampionPorts,
  definition: ModelDefinition,
  consistency: Consistency,
): Promise<Manifest | null> {
  return (await readCached(ports, definition, consistency))?.manifest ?? null;
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
): Promise<{ readonly model: LoadedModel; readonly isCurrent: boolean }> {
  const champion = await readCached(ports, definition, consistency);
  if (champion === null) throw unpublished(definition.name);
  const { manifest, isCurrent } = champion;
  return { model: await loadVersion(ports, definition, manifest), isCurrent };
}

/**
 * The ports of one prediction or ranking of a model.
 *
 * @param charge charges the request for rows that explain the answer.
 */
export function predictPorts(
  ports: ChampionPorts & Pick<PredictPorts, 'shards' | 'predicted'>,
  definition: ModelDefinition,
  consistency: Consistency,
  deadline: Deadline,
  charge: (rows: number) => Promise<void>,
): PredictPorts & RecommendPorts {
  return {
    champion: () => readCached(ports, definition, consistency),
    load: (manifest) => loadVersion(ports, definition, manifest),
    loaded: (manifest) => ports.models.loaded(manifest),
    shards: ports.shards,
    now: systemNow,
    newId,
    predicted: ports.predicted,
    deadline,
    keepAlive: ports.keepAlive,
    explaining: { charge, pause: () => sleep(0) },
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
