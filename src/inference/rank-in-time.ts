import type { RankingModel } from '../define/model.ts';
import type { FeatureRow, ReadFeatures } from '../features/shards.ts';
import { type Deadline, DeadlinePassed } from '../platform/deadline.ts';
import { Failure } from '../platform/failure.ts';
import { log } from '../platform/logger.ts';
import { isBroken } from './broken.ts';
import type { Manifest } from './bundle.ts';
import { type DegradedReason, orFailure } from './degraded.ts';
import type { Included } from './explain/include.ts';
import { asRanking, type LoadedModel, type LoadedRanking } from './loaded-models.ts';
import type { ObservedRow } from './observed-rows.ts';
import { inferenceIsOff, loadReason } from './phase.ts';
import { type Exploring, popularityRanking, type Ranking, rank } from './rank.ts';
import { type Champion, unpublished } from './registry.ts';

export interface RankPorts {
  /** The champion; null if no version has been published. */
  readonly champion: () => Promise<Champion | null>;
  /** @throws Failure `model_unavailable`. */
  readonly load: (manifest: Manifest) => Promise<LoadedModel>;
  /** The version if it can run at once. */
  readonly loaded: (manifest: Manifest) => LoadedModel | undefined;
  readonly features: ReadFeatures;
  /** Whether the phase is switched off, so that no model may answer; absent where it never is. */
  readonly isOff?: (() => boolean) | undefined;
  /** When something else answers in place of work that takes longer. */
  readonly deadline: Pick<Deadline, 'within'>;
  /** Takes the row of the best candidate of an answer that the champion made. */
  readonly watched?: (model: RankingModel, version: string, row: () => ObservedRow) => void;
  /** Keeps work running after its request has ended. */
  readonly keepAlive: (promise: Promise<unknown>) => void;
}

/** What is to be ranked. */
export interface RankingRequest {
  readonly key: string;
  /** Undefined for the candidates of the entity. */
  readonly items: readonly string[] | undefined;
  readonly limit: number;
  readonly include: readonly Included[];
  /** Milliseconds since the Unix epoch. */
  readonly now: number;
  /** How the champion's answer explores. An answer of anything else, or of a version that may not be it, does not. */
  readonly exploring?: Exploring | undefined;
  /** Throws if an item cannot be ranked. */
  readonly check?: (model: LoadedRanking) => Promise<void>;
}

export interface RankedInTime {
  readonly ranking: Ranking;
  /** The version that ranked the items or whose candidates they are; null if none is known. */
  readonly manifest: Manifest | null;
  readonly row: FeatureRow;
  /** Whether the version is known to be the champion's now. */
  readonly isCurrent: boolean;
}

/** What is known of the answer. */
interface Known {
  champion: Champion | null;
  row: FeatureRow | Failure | undefined;
}

interface Outcome {
  readonly ranking: Ranking;
  readonly manifest: Manifest | null;
}

/**
 * Ranks items for one entity. If the champion cannot rank them in time, the version before it does, then popularity, then
 * the declared items. Such an answer is marked `degraded`. When the deadline passes without any of these, the answer has no
 * items but those of the request.
 *
 * @throws Failure `model_unavailable` or `features_unavailable` if nothing can answer; what `check` throws.
 */
export async function rankInTime(
  definition: RankingModel,
  asked: RankingRequest,
  ports: RankPorts,
): Promise<RankedInTime> {
  const known: Known = { champion: null, row: undefined };
  const work = compute(definition, asked, known, ports);
  const { ranking, manifest } = await outcomeInTime(definition, asked, work, known, ports);
  const { champion, row } = known;
  return {
    ...{ ranking, manifest },
    row: row === undefined || row instanceof Failure ? {} : row,
    isCurrent: champion?.isCurrent ?? false,
  };
}

async function outcomeInTime(
  definition: RankingModel,
  asked: RankingRequest,
  work: Promise<Outcome>,
  known: Known,
  ports: RankPorts,
): Promise<Outcome> {
  try {
    return await ports.deadline.within(work);
  } catch (error) {
    if (!(error instanceof DeadlinePassed)) throw error;
    const degraded = ports.isOff?.() === true ? 'phase_off' : 'deadline_exceeded';
    const standIn =
      (await standInFor(definition, asked, degraded, known, ports)) ??
      declaredRanking(asked, [], degraded, known);
    ports.keepAlive(work.catch(() => undefined));
    return standIn;
  }
}

/** Reads what the model needs, and runs it. It notes what it has read in `known`. */
async function compute(
  definition: RankingModel,
  asked: RankingRequest,
  known: Known,
  ports: RankPorts,
): Promise<Outcome> {
  const { key, items, limit, now, check } = asked;
  const standIn = async (degraded: DegradedReason, failure: Failure): Promise<Outcome> => {
    const previous = known.champion?.previous ?? null;
    if (previous !== null && isBroken(failure)) await ports.load(previous).catch(() => undefined);
    const found = await standInFor(definition, asked, degraded, known, ports);
    if (found === undefined) throw failure;
    const message = `A ranking or its features cannot be used; ${found.ranking.source} answers.` as const;
    log('warn', message, { 'event.action': 'rank', 'event.reason': degraded }, failure);
    return found;
  };
  if (ports.isOff?.() === true) return await whileOff(definition, asked, known, ports);
  const [found, row] = await Promise.all([
    orFailure(championOf(definition, known, ports), 'model_unavailable'),
    orFailure(ports.features(definition.entity.name, [key], now), 'features_unavailable').then((read) => {
      const first = read instanceof Failure ? read : (read[0] ?? {});
      known.row = first;
      return first;
    }),
  ]);
  // The switch may have become known with the champion.
  if (ports.isOff?.() === true) return await whileOff(definition, asked, known, ports);
  if (found instanceof Failure) return await standIn(loadReason(found), found);
  const checked = await orFailure(Promise.resolve(check?.(found)), 'database_unavailable');
  if (checked instanceof Failure) return await standIn('database_unavailable', checked);
  if (row instanceof Failure) return await standIn('features_unavailable', row);
  const { manifest } = found;
  const exploring = known.champion?.isCurrent === true ? asked.exploring : undefined;
  // A request that names its items says nothing of what there is to rank.
  const isWatched = items === undefined && known.champion?.isCurrent === true;
  const watch = isWatched
    ? (seen: () => ObservedRow) => ports.watched?.(definition, manifest.version, seen)
    : undefined;
  const ranking = await rank(definition, found, { items, limit, features: row, now, exploring, watch }, true);
  if (ranking.degraded !== 'model_failed') return { ranking, manifest };
  return (await previousRanking(definition, asked, 'model_failed', known, ports)) ?? { ranking, manifest };
}

/** Popularity, then what is declared. The version is loaded for its candidates, and its graph is not run. */
async function whileOff(
  definition: RankingModel,
  asked: RankingRequest,
  known: Known,
  ports: RankPorts,
): Promise<Outcome> {
  known.row = undefined;
  await orFailure(championOf(definition, known, ports), 'model_unavailable');
  const found = await standInFor(definition, asked, 'phase_off', known, ports);
  if (found === undefined) throw inferenceIsOff();
  return found;
}

async function championOf(
  { name }: RankingModel,
  known: Known,
  { champion, load }: RankPorts,
): Promise<LoadedRanking> {
  known.champion = await champion();
  if (known.champion === null) throw unpublished(name);
  return asRanking(await load(known.champion.manifest));
}

/** What answers at once in place of the champion on the features of now; undefined if nothing can. */
async function standInFor(
  definition: RankingModel,
  asked: RankingRequest,
  degraded: DegradedReason,
  known: Known,
  ports: RankPorts,
): Promise<Outcome | undefined> {
  const { items, limit, now } = asked;
  const ranked = await previousRanking(definition, asked, degraded, known, ports);
  if (ranked !== undefined) return ranked;
  const { champion } = known;
  for (const manifest of [champion?.manifest, champion?.previous ?? undefined]) {
    const candidates = manifest === undefined ? undefined : ports.loaded(manifest)?.candidates;
    if (manifest === undefined || candidates === undefined) continue;
    const features = known.row instanceof Failure ? {} : (known.row ?? {});
    const toRank = { items, limit, features, now };
    return { ranking: popularityRanking(definition, { candidates }, toRank, degraded), manifest };
  }
  const { fallback } = definition;
  if (fallback === undefined) return undefined;
  return declaredRanking(asked, fallback, degraded, known);
}

/** The items of the request as they are, or the declared ones. */
function declaredRanking(
  { items, limit }: RankingRequest,
  fallback: readonly string[],
  degraded: DegradedReason,
  { champion }: Known,
): Outcome {
  const declared = (items ?? fallback).slice(0, limit).map((item) => ({ item, score: 0 }));
  const ranking = { items: declared, source: 'fallback', degraded } as const;
  return { ranking, manifest: champion?.manifest ?? null };
}

/** The ranking of the version before the champion; undefined unless it is in memory and can rank by the features. */
async function previousRanking(
  definition: RankingModel,
  { items, limit, now }: RankingRequest,
  degraded: DegradedReason,
  { champion, row }: Known,
  ports: RankPorts,
): Promise<Outcome | undefined> {
  if (row === undefined || row instanceof Failure) return undefined;
  const manifest = champion?.previous ?? null;
  const model = manifest === null ? undefined : ports.loaded(manifest);
  if (model?.candidates === undefined) return undefined;
  const ranking = await rank(definition, asRanking(model), { items, limit, features: row, now }, false);
  if (ranking.degraded !== undefined || ranking.source !== 'model') return undefined;
  return { ranking: { ...ranking, source: 'previous', degraded }, manifest };
}
