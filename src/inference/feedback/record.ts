/**
 * The log of served predictions: one line of JSON for each. `docs/models.md` says what it is for. The log names keys of
 * entities, so it holds personal data where the keys are those of persons.
 */
import * as z from 'zod';
import type { FeatureRow } from '../../features/shards.ts';
import { sha256Hex } from '../../platform/digest.ts';

/** The most items of an answer that the log has. */
const ITEMS_MAX = 100;

const Count = z.int().nonnegative();

/** One line of the log. Times are in milliseconds since the Unix epoch. */
export const ServedRecord = z.strictObject({
  format: z.literal(1),
  /** The `predictionId` of the answer. */
  id: z.string(),
  /** The id of the request that the answer was computed for. */
  request: z.string(),
  /** When its features were read. */
  at: z.int(),
  model: z.string(),
  /** Null if no version is known. */
  version: z.string().nullable(),
  entity: z.string(),
  /** The canonical text of the entity's key. */
  key: z.string(),
  source: z.string(),
  degraded: z.string().nullable(),
  /** How long the cache may serve the answer again, in seconds; 0 if it was not kept. */
  servedAgainS: Count,
  /** The arm of the rollout that was under way; null without one, and in the shadow. */
  rollout: z
    .strictObject({ id: z.string(), share: z.number(), arm: z.enum(['champion', 'canary']) })
    .nullable(),
  /** For an explored answer, the number of items that it was drawn from. */
  explored: z.strictObject({ pool: Count }).nullable(),
  /** The items of a ranking with their scores, in the order of their positions. */
  items: z.array(z.tuple([z.string(), z.number()])).nullable(),
  /** The outputs of a prediction. */
  answer: z.record(z.string(), z.unknown()).nullable(),
  /** The fields that the client sent with the request. */
  input: z.record(z.string(), z.unknown()).nullable(),
  /** The features that the answer was made of; null if it was made without them. */
  features: z
    .strictObject({
      /** SHA-256 of {@link featuresText}. */
      digest: z.string(),
      /** When the newest event of all of them happened. */
      newestEventAt: z.int().nullable(),
    })
    .nullable(),
  /** The moment of the tag clock that covers the answer; null if it is not known. */
  moment: z.strictObject({ epoch: z.string(), seq: z.int() }).nullable(),
});
export type ServedRecord = z.output<typeof ServedRecord>;

/** What is known of an answer when it is computed. */
export interface ServedDraft
  extends Pick<
    ServedRecord,
    'id' | 'at' | 'model' | 'version' | 'entity' | 'key' | 'source' | 'degraded' | 'explored'
  > {
  /** Set by a rollout. */
  readonly rollout?: ServedRecord['rollout'];
  readonly items: readonly { readonly item: string; readonly score: number }[] | null;
  readonly answer: Readonly<Record<string, unknown>> | null;
  readonly input: Readonly<Record<string, unknown>> | null;
  /** Undefined if the answer was made without features. */
  readonly features: FeatureRow | undefined;
}

/** What becomes known of it afterwards. */
export type ServedRest = Pick<ServedRecord, 'request' | 'servedAgainS' | 'moment'>;

/** An answer that is to be logged. Its digest is computed when it is written. */
export type ServedAnswer = ServedDraft & ServedRest;

/** The line of an answer. */
export async function recordOf({
  features,
  items,
  rollout = null,
  ...rest
}: ServedAnswer): Promise<ServedRecord> {
  return {
    ...{ format: 1, ...rest, rollout },
    answer: rest.answer === null ? null : { ...rest.answer },
    input: rest.input === null ? null : { ...rest.input },
    items: items === null ? null : items.slice(0, ITEMS_MAX).map(({ item, score }) => [item, score]),
    features:
      features === undefined
        ? null
        : { digest: await sha256Hex(featuresText(features)), newestEventAt: newestEventOf(features) },
  };
}

/** The text of features that their digest is of: the values by name, in the order of the names. */
export function featuresText(features: FeatureRow): string {
  const values = Object.entries(features).map(([name, { value, status }]) => [name, status, value] as const);
  return JSON.stringify(values.sort(([a], [b]) => (a < b ? -1 : 1)));
}

function newestEventOf(features: FeatureRow): number | null {
  const times = Object.values(features).flatMap(({ eventAt }) => eventAt ?? []);
  return times.length === 0 ? null : Math.max(...times);
}

/** The text of a file of the log. */
export function linesOf(records: readonly ServedRecord[]): string {
  return records.map((record) => `${JSON.stringify(record)}\n`).join('');
}

/** The records of a file. A line that is none, of another release or cut off, is left out. */
export function recordsIn(text: string): ServedRecord[] {
  return text.split('\n').flatMap((line) => {
    if (line === '') return [];
    try {
      return ServedRecord.safeParse(JSON.parse(line)).data ?? [];
    } catch {
      return [];
    }
  });
}
