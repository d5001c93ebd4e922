/**
 * The skew proof: a served answer is computed again from the history of its entity, and compared. Serving folds events as they
 * arrive into counts; the proof goes through all events of the entity and shares only the declarations with it. A difference is
 * a training–serving skew: a model is then asked about other rows than those that it would learn from. Pure but for its ports.
 */
import * as z from 'zod';
import type { FeatureDefinition } from '../../define/feature.ts';
import type { FeatureRow } from '../../define/feature-value.ts';
import { type ModelDefinition, referencesOf } from '../../define/model.ts';
import { featuresAsOf, type RecordedEvent } from '../../features/point-in-time.ts';
import { sha256Hex } from '../../platform/digest.ts';
import { hashedFraction, hashText } from '../../platform/random.ts';
import { answerOf } from '../answer.ts';
import { asRanking, type LoadedModel } from '../loaded-models.ts';
import { rank } from '../rank.ts';
import { rowOf, usedFeatures } from '../row.ts';
import { featuresText, type ServedRecord } from './record.ts';
import { exploringSeed } from './sampling.ts';

/** The most events of an entity that are gone through. */
export const SKEW_EVENTS_MAX = 2_000;
/** An event that was stored so long before an answer has been folded by then, in milliseconds. */
const FOLDED_WITHIN_MS = 300_000;
/** How much the clocks of the database and of an isolate may differ, in milliseconds. */
const CLOCKS_MS = 2_000;
/** The most recent events of which every choice is tried: 2⁸ of them. */
const CHOSEN_MAX = 8;
/** How much two computations of a graph in float32 may differ, relative to the number or to 1. */
const TOLERANCE = 1e-4;
/** Items beyond those of the answer: equal scores may be in another order. */
const ITEMS_BESIDE = 5;

/** Why an answer is no match. All but the first two are of `unknown`, and say nothing of a skew. */
const REASONS = [
  ...(['features_differ', 'answer_differs'] as const),
  ...(['not_recomputable', 'too_many_events', 'too_many_recent_events', 'version_gone'] as const),
] as const;

/** What came of an answer that was computed again. */
export const SkewFinding = z.object({
  /** The `predictionId` of the answer. */
  id: z.string(),
  at: z.string(),
  version: z.string(),
  verdict: z.enum(['match', 'mismatch', 'unknown']),
  why: z.enum(REASONS).nullable(),
  /** How many events of the entity the features are of, and the number of the newest of them. */
  events: z.int().nonnegative(),
  newestEvent: z.int().nullable(),
});
export type SkewFinding = z.output<typeof SkewFinding>;
type Reason = NonNullable<SkewFinding['why']>;

export interface SkewPorts {
  /** All features of the catalog. */
  readonly features: readonly FeatureDefinition[];
  /** All events that may count for features of a key, or the first `limit`; undefined if nobody can list them. */
  readonly events: (
    features: readonly FeatureDefinition[],
    key: string,
    limit: number,
  ) => Promise<readonly RecordedEvent[] | undefined>;
  /** Undefined if the version is not registered. */
  readonly load: (definition: ModelDefinition, version: string) => Promise<LoadedModel | undefined>;
}

/** The records of a model that can be computed again, at most `limit`, chosen by a hash of their ids. */
export function sampledRecords(
  records: readonly ServedRecord[],
  model: string,
  limit: number,
): ServedRecord[] {
  const basis = hashText('skew');
  return records
    .filter((record) => record.model === model && isRecomputable(record))
    .map((record) => ({ record, place: hashedFraction(basis, record.id) }))
    .sort((a, b) => a.place - b.place)
    .slice(0, limit)
    .map(({ record }) => record);
}

/** Whether a version made the answer, of features that are known. */
function isRecomputable({ version, source, degraded, features }: ServedRecord): boolean {
  return version !== null && source === 'model' && degraded === null && features !== null;
}

/** Computes a logged answer again. @throws what the ports throw. */
export async function skewOf(
  record: ServedRecord,
  definition: ModelDefinition,
  ports: SkewPorts,
): Promise<SkewFinding> {
  const { id, version } = record;
  const told = (verdict: SkewFinding['verdict'], why: Reason | null, of: readonly RecordedEvent[] = []) => ({
    ...{ id, at: new Date(record.at).toISOString(), version: version ?? '', verdict, why, events: of.length },
    newestEvent: of.length === 0 ? null : Math.max(...of.map(({ seq }) => seq)),
  });
  const own = featuresOf(definition, ports.features);
  if (!isRecomputable(record) || version === null || own === undefined)
    return told('unknown', 'not_recomputable');
  const events = await ports.events(own, record.key, SKEW_EVENTS_MAX);
  if (events === undefined) return told('unknown', 'not_recomputable');
  if (events.length >= SKEW_EVENTS_MAX) return told('unknown', 'too_many_events');
  const { found, isWhole } = await explained(record, definition, own, events);
  if (found === undefined)
    return isWhole ? told('mismatch', 'features_differ') : told('unknown', 'too_many_recent_events');
  const model = await ports.load(definition, version);
  if (model === undefined) return told('unknown', 'version_gone', found.events);
  const isSame = await answersAlike(record, definition, model, found.row);
  return isSame ? told('match', null, found.events) : told('mismatch', 'answer_differs', found.events);
}

/** The features that a model reads; undefined if one is of a column: other writers change rows, too. */
function featuresOf(
  definition: ModelDefinition,
  all: readonly FeatureDefinition[],
): readonly FeatureDefinition[] | undefined {
  const names = new Set(referencesOf(definition).map(({ feature }) => feature.name));
  const own = all.filter(({ name, entity }) => entity.name === definition.entity.name && names.has(name));
  return own.length === names.size && own.every(({ column }) => column === undefined) ? own : undefined;
}

interface Explanation {
  /** The features with the logged digest, and the events that they are of; undefined if no choice has it. */
  readonly found: { readonly row: FeatureRow; readonly events: readonly RecordedEvent[] } | undefined;
  /** Whether every choice of recent events was tried. */
  readonly isWhole: boolean;
}

/**
 * Looks for the events that the answer's features are of. Which of the last minutes had been folded at that moment is not
 * known, so each choice of them is tried, the likely ones first: all of them, then those with the lower numbers.
 */
async function explained(
  record: ServedRecord,
  definition: ModelDefinition,
  features: readonly FeatureDefinition[],
  events: readonly RecordedEvent[],
): Promise<Explanation> {
  const { entity, key, at } = record;
  const stored = events
    // A feature counts no event that happened after it was read, whenever the event was stored.
    .filter(({ occurredAt, recordedAt }) => occurredAt <= at && recordedAt <= at + CLOCKS_MS)
    .toSorted((a, b) => a.seq - b.seq);
  const isRecent = ({ recordedAt }: RecordedEvent) => recordedAt > at - FOLDED_WITHIN_MS;
  const certain = stored.filter((event) => !isRecent(event));
  const recent = stored.filter(isRecent);
  for (const chosen of choicesOf(recent)) {
    const of = [...certain, ...chosen];
    const all = featuresAsOf(features, of, { entity, key, at, known: Number.MAX_SAFE_INTEGER });
    const row = usedFeatures(definition, all);
    if ((await sha256Hex(featuresText(row))) === record.features?.digest)
      return { found: { row, events: of }, isWhole: true };
  }
  return { found: undefined, isWhole: recent.length <= CHOSEN_MAX };
}

/** Choices of the recent events: the first n of them, the most first, then, of few, every other one. */
function* choicesOf(recent: readonly RecordedEvent[]): Generator<readonly RecordedEvent[]> {
  for (let first = recent.length; first >= 0; first -= 1) yield recent.slice(0, first);
  if (recent.length > CHOSEN_MAX) return;
  for (let choice = 0; choice < 2 ** recent.length; choice += 1) {
    const isPrefix = (choice & (choice + 1)) === 0;
    if (!isPrefix) yield recent.filter((_, place) => (choice & (1 << place)) !== 0);
  }
}

async function answersAlike(
  record: ServedRecord,
  definition: ModelDefinition,
  model: LoadedModel,
  row: FeatureRow,
): Promise<boolean> {
  const { at, items, answer, input } = record;
  if (definition.task === 'ranking') {
    if (items === null) return false;
    const { exploration } = definition;
    const seed =
      record.explored === null || exploration === undefined
        ? undefined
        : exploringSeed(exploration, record.id);
    const exploring =
      seed === undefined || exploration === undefined ? undefined : { seed, pool: exploration.pool };
    const limit = exploring === undefined ? items.length + ITEMS_BESIDE : items.length;
    const ranking = await rank(
      definition,
      asRanking(model),
      { items: undefined, limit, features: row, now: at, exploring },
      false,
    );
    return ranking.degraded === undefined && listsAlike(items, ranking.items);
  }
  if (answer === null) return false;
  const outputs = await model.graph.run(rowOf(definition, model.graph.inputs, row, input ?? {}, at));
  return valuesAlike(answer, answerOf(definition, outputs));
}

/** Whether the scores agree at each position, and each item has its own score. */
function listsAlike(
  logged: readonly (readonly [item: string, score: number])[],
  made: readonly { readonly item: string; readonly score: number }[],
): boolean {
  const scores = new Map(made.map(({ item, score }) => [item, score]));
  return logged.every(
    ([item, score], place) =>
      numbersAlike(score, scores.get(item)) && numbersAlike(score, made[place]?.score),
  );
}

function valuesAlike(logged: unknown, made: unknown): boolean {
  if (typeof logged === 'number') return typeof made === 'number' && numbersAlike(logged, made);
  if (typeof logged !== 'object' || logged === null) return logged === made;
  if (typeof made !== 'object' || made === null) return false;
  const names = Object.keys(logged);
  return (
    names.length === Object.keys(made).length &&
    names.every((name) => valuesAlike(Reflect.get(logged, name), Reflect.get(made, name)))
  );
}

function numbersAlike(one: number, other: number | undefined): boolean {
  return other !== undefined && Math.abs(one - other) <= TOLERANCE * Math.max(1, Math.abs(one));
}
