import type { CachedAnswer } from '../cache/cached-answer.ts';
import { parseToken } from '../cache/clock/clock.ts';
import type { Consistency, ReadRequest } from '../cache/read-through.ts';
import type { ModelDefinition } from '../define/model.ts';
import type { Loaded } from '../define/view.ts';
import type { ReadRows, RowsAsked } from '../features/row-cache.ts';
import { asOfMoment, type Moment, type Watched } from '../features/seen-folds.ts';
import { type ReadFeatures, readFeatures } from '../features/shards.ts';
import { Manifest } from '../inference/bundle.ts';
import { CHAMPION_POLICY } from '../inference/champion-policy.ts';
import type { ServedAnswer, ServedDraft } from '../inference/feedback/record.ts';
import type { LoadedModel, LoadedModels } from '../inference/loaded-models.ts';
import { modelTag, rolloutTag } from '../inference/names.ts';
import type { PredictPorts } from '../inference/predict.ts';
import type { RecommendPorts } from '../inference/recommend.ts';
import {
  type Champion,
  parseManifest,
  type RegistryPorts,
  readChampion,
  type ServedRollout,
  unpublished,
} from '../inference/registry.ts';
import type { RolloutPorts } from '../inference/rollout/serve.ts';
import { sleep, systemNow } from '../platform/clock.ts';
import { type Deadline, DeadlinePassed } from '../platform/deadline.ts';
import { Failure } from '../platform/failure.ts';
import { newId } from '../platform/ids.ts';
import type { PhaseStates } from '../platform/phases.ts';
import type { Span } from '../platform/tracing/span.ts';

export interface ChampionPorts {
  /** The same ports, whose calls are within a span; absent where nothing is traced. */
  readonly within?: (span: Span) => ChampionPorts;
  /** Reads through the cache. */
  readonly read: (request: ReadRequest) => CachedAnswer | Promise<CachedAnswer>;
  /** A stale answer in memory that may stand in, without waiting. */
  readonly standIn: (request: ReadRequest) => CachedAnswer | undefined;
  readonly registry: RegistryPorts;
  /** Loads what the alias names, with the moment that covers it. */
  readonly loadChampion: (load: (registry: RegistryPorts) => Promise<Loaded>) => Promise<Loaded>;
  /** What an answer that begins now may show, and the moment that covers it. */
  readonly watch: () => Watched;
  /** The features of keys, from memory where the clock allows it. @throws as `readRows` does. */
  readonly readRows: (asked: RowsAsked, consistency: Consistency) => Promise<ReadRows>;
  /** The models that the isolate has in memory. */
  readonly models: LoadedModels;
  /** Keeps work running after its request has ended. */
  readonly keepAlive: (promise: Promise<unknown>) => void;
  /** The time of a request that does not name its own, in milliseconds. */
  readonly deadlineMs: number;
  readonly rollouts: RolloutPorts;
  /** Logs an answer, without waiting and without failing. */
  readonly served: (answer: ServedAnswer) => void;
  readonly watched: PredictPorts['watched'];
  /** The states of the phases, at most two seconds old; it never fails. */
  readonly phases: () => PhaseStates | Promise<PhaseStates>;
  /** The states as far as they are known, without waiting. */
  readonly phasesKnown: () => PhaseStates;
}

/** The parsed champion of an entry, so that a warm read of a model with a rollout parses no manifest. */
const PARSED = new WeakMap<object, Champion | null>();

/**
 * The champion of a model; null if no version has been published. It is a cached answer under the model's tag, so a new
 * version is visible as soon as any other change. An answer that is made with a champion that is not current must not be
 * kept: the version that answers may be another one.
 *
 * @throws Failure `model_unavailable` if the manifest cannot be read.
 */
async function readCached(
  ports: ChampionPorts,
  { name, rollout }: ModelDefinition,
  consistency: Consistency,
  watched?: Pick<Watched, 'note'>,
): Promise<Champion | null> {
  const answer = await ports.read({
    view: 'champion',
    key: `aliases/${name}/champion`,
    policy: CHAMPION_POLICY,
    consistency,
    load: () =>
      ports.loadChampion(async (registry) => {
        const champion = await readChampion(name, registry, rollout !== undefined);
        return {
          value: champion ?? null,
          tags: rollout === undefined ? [modelTag(name)] : [modelTag(name), rolloutTag(name)],
          storable: champion?.isCurrent ?? true,
        };
      }),
  });
  watched?.note(momentOf(answer));
  const known = PARSED.get(answer.entry);
  const champion = known === undefined ? championIn(name, answer.entry.body) : known;
  PARSED.set(answer.entry, champion);
  if (champion === null || answer.unverified === undefined) return champion;
  // Where a rollout is, is not known either then.
  const { rollout: _, ...unverified } = champion;
  return { ...unverified, isCurrent: false };
}

/** @throws Failure `model_unavailable` if the manifest has the form of another release of Millrace. */
function championIn(name: string, body: string): Champion | null {
  const champion: (Omit<Champion, 'manifest'> & { readonly manifest: unknown }) | null = JSON.parse(body);
  if (champion === null) return null;
  const { rollout, ...rest } = champion;
  const parsed = { ...rest, manifest: parseManifest(name, champion.manifest) };
  const manifest = Manifest.safeParse(rollout?.manifest);
  return rollout === undefined || !manifest.success
    ? parsed
    : { ...parsed, rollout: { ...rollout, manifest: manifest.data } };
}

/**
 * The rollout of a model; undefined if there is none, or if it is not known in time: the champion answers for all then.
 *
 * @throws Failure `token_from_another_epoch`, `token_from_the_future`
 */
export async function rolloutOf(
  ports: ChampionPorts,
  definition: ModelDefinition,
  consistency: Consistency,
  deadline: Pick<Deadline, 'within'>,
): Promise<ServedRollout | undefined> {
  if (definition.rollout === undefined) return undefined;
  const reading = readCached(ports, definition, consistency);
  try {
    return (await deadline.within(reading))?.rollout;
  } catch (error) {
    if (error instanceof DeadlinePassed) ports.keepAlive(reading.catch(() => undefined));
    else if (!(error instanceof Failure) || error.code !== 'model_unavailable') throw error;
    return undefined;
  }
}

/** The moment of an answer; null for one that is stale or not verified: what is made of it must not be kept. */
function momentOf({ source, token }: CachedAnswer): Moment {
  if (token === undefined || (source.hit && source.stale)) return null;
  return parseToken(token);
}

/**
 * The answer as of the moment that covers what it was made of. If the root clock does not say so within the deadline, the
 * answer has no token and is not stored.
 */
export async function inMoment(loaded: Loaded, watched: Watched, deadline: Deadline): Promise<Loaded> {
  try {
    return asOfMoment(loaded, await deadline.within(watched.moment()));
  } catch (error) {
    if (!(error instanceof DeadlinePassed)) throw error;
    return asOfMoment(loaded, null);
  }
}

/**
 * The champion of a model, for answers that are not cached; null if no version has been published.
 *
 * @throws Failure `model_unavailable` if the manifest cannot be read.
 */
export async function championNow(
  ports: ChampionPorts,
  definition: ModelDefinition,
  consistency: Consistency,
): Promise<Champion | null> {
  return await readCached(ports, definition, consistency);
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
  watched?: Pick<Watched, 'note'>,
): Promise<{ readonly model: LoadedModel; readonly isCurrent: boolean }> {
  const champion = await readCached(ports, definition, consistency, watched);
  if (champion === null) throw unpublished(definition.name);
  const { manifest, isCurrent } = champion;
  return { model: await loadVersion(ports, definition, manifest), isCurrent };
}

/** What belongs to one prediction. */
interface Predicting {
  readonly deadline: Deadline;
  readonly watched: Watched;
  readonly features: ReadFeatures;
  /** Takes what the log of served predictions has of the answer; undefined if it is not logged. */
  readonly drafted?: ((draft: ServedDraft) => void) | undefined;
}

/**
 * The ports of one prediction or ranking of a model.
 *
 * @param charge charges the request for rows that explain the answer.
 */
export function predictPorts(
  ports: ChampionPorts & Pick<PredictPorts, 'predicted'>,
  definition: ModelDefinition,
  consistency: Consistency,
  { deadline, watched, features, drafted }: Predicting,
  charge: (rows: number) => Promise<void>,
): PredictPorts & RecommendPorts {
  return {
    champion: () => readCached(ports, definition, consistency, watched),
    load: (manifest) => loadVersion(ports, definition, manifest),
    loaded: (manifest) => ports.models.loaded(manifest),
    features,
    isOff: () => ports.phasesKnown().inference === 'off',
    now: systemNow,
    newId,
    predicted: ports.predicted,
    drafted,
    watched: ports.watched,
    deadline,
    keepAlive: ports.keepAlive,
    explaining: { charge, pause: () => sleep(0) },
  };
}

/** The features of an answer, from their shards. */
export function featuresOfShards({ shards }: Pick<Watched, 'shards'>): ReadFeatures {
  return (entity, keys, now) => readFeatures(entity, keys, now, shards);
}

/**
 * The features of an answer that nothing keeps: from the isolate's memory while the clock says that they are current. The
 * answer is as of the moment that covers them.
 */
export function keptFeatures(
  { readRows }: Pick<ChampionPorts, 'readRows'>,
  consistency: Consistency,
  watched: Pick<Watched, 'note'>,
): ReadFeatures {
  return async (entity, keys, now) => {
    const { rows, token } = await readRows({ entity, keys, now }, consistency);
    watched.note(token ?? null);
    return rows;
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
