import * as z from 'zod';

const ByName = z.record(z.string(), z.int());

/** A version whose training may have learned from the events. */
const Learned = z.strictObject({ model: z.string(), version: z.string(), training: z.string() });

/** What was found of an entity, or removed, by place. It has no value of the entity's data. */
export const Found = z.strictObject({
  /** Events that name the entity, by type. */
  events: ByName,
  /** Their types. A later look at what was erased begins with them, and with the numbers below. */
  types: z.array(z.string()),
  /** Those of them that the catalog cannot interpret, and that have the key as a value. */
  byValue: z.int(),
  /** Whether features of other keys count such events. */
  hasFedOthers: z.boolean(),
  /** Rows of histories, by table. */
  rows: ByName,
  /** The row of the entity itself. */
  entityRow: z.int(),
  /** Times of removals of that row. */
  removals: z.int(),
  /** Entries of quarantine, dead letters included. */
  quarantine: z.int(),
  /** Recorded predictions for the entity, and those for others whose features have the key as a value. */
  predictions: z.int(),
  mentions: z.int(),
  /** Lines of the log of served predictions, and the trials that were made of them. */
  served: z.int(),
  /** The last file of that log that was looked at. */
  servedAfter: z.string(),
  /** Rows of cells of features. */
  features: z.int(),
  /** Rows of the outbox with tags of the entity. */
  outbox: z.int(),
  /** Ids of the datasets that may have its events. */
  datasets: z.array(z.string()),
  models: z.array(Learned),
  /** The numbers of the first and the last of the events, and when the first was stored; null without events. */
  firstSeq: z.int().nullable(),
  lastSeq: z.int().nullable(),
  firstRecordedAt: z.string().nullable(),
  /** When the events had been removed, in milliseconds since the Unix epoch; null before. */
  eventsEndedMs: z.int().nullable(),
  /** The rebuild that makes the features of other keys without the events; null before it is begun. */
  rebuild: z.string().nullable(),
});
export type Found = z.output<typeof Found>;

export const NOTHING_FOUND: Found = {
  ...{
    events: {},
    types: [],
    byValue: 0,
    hasFedOthers: false,
    rows: {},
    entityRow: 0,
    removals: 0,
    quarantine: 0,
  },
  ...{
    predictions: 0,
    mentions: 0,
    served: 0,
    servedAfter: '',
    features: 0,
    outbox: 0,
    datasets: [],
    models: [],
  },
  ...{ firstSeq: null, lastSeq: null, firstRecordedAt: null, eventsEndedMs: null, rebuild: null },
};

/** How much there is of the entity, over all places that an erasure empties. */
export function totalOf(found: Found): number {
  const { events, rows, entityRow, removals, quarantine, predictions, mentions } = found;
  const counts = [...Object.values(events), ...Object.values(rows)];
  const others = [
    ...[entityRow, removals, quarantine, predictions, mentions],
    ...[found.served, found.features, found.outbox],
  ];
  return [...counts, ...others, found.datasets.length].reduce((sum, n) => sum + n, 0);
}

/** The sum of two counts by name. */
export function added(a: z.output<typeof ByName>, b: z.output<typeof ByName>): z.output<typeof ByName> {
  const sum = { ...a };
  for (const [name, n] of Object.entries(b)) sum[name] = (sum[name] ?? 0) + n;
  return sum;
}
