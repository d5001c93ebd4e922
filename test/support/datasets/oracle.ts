import { isDeepStrictEqual } from 'node:util';
import type { RecordedEvent } from '../../../src/features/point-in-time.ts';
import type { Visit } from '../point-in-time/history.ts';
import { expectedOf } from '../point-in-time/oracle.ts';
import type { Row } from './memory.ts';
import { LISTS, NUMBERS } from './models.ts';

/**
 * The naive dataset: for each row it goes through all events. It shares no code with the counting, the parts, the split and
 * the join. The models are those of `models.ts`; days and horizons are written here again.
 */

const DAY_MS = 86_400_000;
const SPLIT_MS = 3 * DAY_MS;
const HORIZON_MS = 2 * DAY_MS;

export interface Asked {
  readonly kind: 'paid' | 'visits' | 'rooms';
  readonly asOf: number;
  readonly knowledge: 'row' | 'snapshot';
}

const dataOf = ({ data }: RecordedEvent) => data as Visit;

/** When rows may know of an event. */
function knownAt({ occurredAt, recordedAt }: RecordedEvent, { knowledge }: Asked): number {
  return knowledge === 'row' ? Math.max(occurredAt, recordedAt) : occurredAt;
}

/** Why rows are not those of the naive join; undefined if they are. */
export function mistakeOfRows(
  all: readonly RecordedEvent[],
  asked: Asked,
  rows: readonly (Row & { readonly split: string })[],
): string | undefined {
  const known = all.filter(({ occurredAt, recordedAt }) => Math.max(occurredAt, recordedAt) <= asked.asOf);
  const labels = known.filter(({ data }) => (data as Visit).guests.length > 0);
  const expected = rowsOf(labels, asked);
  const positives = rows.filter(({ label }) => asked.kind !== 'rooms' || label === 1);
  const shown = ({ at, customer, product, label, split }: Row) =>
    JSON.stringify([Number(at), customer, product ?? null, label, split]);
  const [got, wanted] = [positives.map(shown).sort(), expected.map(shown).sort()];
  if (!isDeepStrictEqual(got, wanted)) return `The rows are ${got.join(' ')} instead of ${wanted.join(' ')}.`;
  if (asked.kind === 'rooms') {
    const mistake = mistakeOfNegatives(labels, asked, expected, rows);
    if (mistake !== undefined) return mistake;
  }
  for (const row of rows) {
    const mistake = mistakeOfFeatures(known, asked, row);
    if (mistake !== undefined) return mistake;
  }
  return undefined;
}

function rowsOf(labels: readonly RecordedEvent[], asked: Asked): Row[] {
  const times = labels.map(({ occurredAt }) => occurredAt);
  if (times.length === 0) return [];
  const warmUp = asked.kind === 'visits' ? DAY_MS : 0;
  const [from, to] = [Math.min(...times) + warmUp, Math.max(...times) + 1];
  const splitOf = (at: number, decidedAt: number) => {
    if (at < from || decidedAt > to) return undefined;
    if (at >= to - SPLIT_MS) return 'test';
    if (at >= to - 2 * SPLIT_MS) return decidedAt <= to - SPLIT_MS ? 'validation' : undefined;
    return decidedAt <= to - 2 * SPLIT_MS ? 'train' : undefined;
  };
  if (asked.kind === 'paid')
    return labels.flatMap((event) => {
      const split = splitOf(event.occurredAt, event.occurredAt + 1);
      const { guests, paid } = dataOf(event);
      if (split === undefined || paid === null) return [];
      return [...new Set(guests)].map((customer) => ({ at: event.occurredAt, customer, label: paid, split }));
    });
  const rows: Row[] = [];
  for (let at = to - HORIZON_MS; at >= from; at -= DAY_MS) {
    const split = splitOf(at, at + HORIZON_MS);
    if (split === undefined) continue;
    for (const customer of ['1', '2', '3']) {
      const own = labels.filter((event) => dataOf(event).guests.includes(customer));
      const within = own.filter(({ occurredAt }) => occurredAt >= at && occurredAt < at + HORIZON_MS);
      if (asked.kind === 'visits') {
        if (!own.some((event) => knownAt(event, asked) < at)) continue;
        const label = within
          .map((event) => dataOf(event).paid ?? 0)
          .sort((a, b) => a - b)
          .reduce((sum, paid) => sum + paid, 0);
        rows.push({ at, customer, label, split });
      } else
        for (const product of new Set(within.map((event) => dataOf(event).room)))
          rows.push({ at, customer, product, label: 1, split });
    }
  }
  return rows;
}

/** Sampled rows: items that were known, without an event in the time after, as many as asked or as there are. */
function mistakeOfNegatives(
  labels: readonly RecordedEvent[],
  asked: Asked,
  positives: readonly Row[],
  rows: readonly Row[],
): string | undefined {
  const sampled = rows.filter(({ label }) => label === 0);
  const groupOf = ({ at, customer }: Row) => `${Number(at)} ${customer}`;
  const groups = new Set(positives.map(groupOf));
  if (sampled.some((row) => !groups.has(groupOf(row)))) return 'A sampled row has no positive beside it.';
  for (const group of groups) {
    const own = positives.filter((row) => groupOf(row) === group);
    const at = Number(own[0]?.['at']);
    const touched = own.map(({ product }) => product);
    const available = ['1', '2', '3'].filter(
      (room) =>
        !touched.includes(room) &&
        labels.some((event) => dataOf(event).room === room && knownAt(event, asked) < at),
    );
    const drawn = sampled.filter((row) => groupOf(row) === group);
    if (drawn.length !== Math.min(1, available.length))
      return `${drawn.length} items were sampled at ${group}.`;
    for (const { product, weight } of drawn)
      if (!available.includes(String(product)) || weight !== available.length / drawn.length)
        return `The item ${product} with the weight ${weight} was sampled at ${group} of ${available.join()}.`;
  }
  return undefined;
}

function mistakeOfFeatures(known: readonly RecordedEvent[], asked: Asked, row: Row): string | undefined {
  const at = Number(row['at']);
  const until = asked.knowledge === 'snapshot' ? { known: asked.asOf } : {};
  const askedFor = { key: String(row['customer']), at, isBefore: true, ...until };
  const expected = expectedOf(known, { entity: 'customer', ...askedFor });
  const wanted: Record<string, unknown> = Object.fromEntries(
    NUMBERS.map((name) => [name, expected[name]?.value ?? null]),
  );
  if (asked.kind === 'rooms') {
    for (const name of LISTS) {
      const value = expected[name]?.value ?? null;
      wanted[name] = value === null ? null : JSON.stringify(value);
    }
    const item = expectedOf(known, { entity: 'product', ...askedFor, key: String(row['product']) });
    wanted['item_visits'] = item['visits_1h']?.value ?? null;
  }
  for (const [name, value] of Object.entries(wanted))
    if (!isDeepStrictEqual(row[name] ?? null, value))
      return `${name} at ${at} of ${row['customer']} is ${row[name]} instead of ${value}.`;
  return undefined;
}
