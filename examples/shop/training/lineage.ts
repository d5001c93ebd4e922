import { neon } from '@neondatabase/serverless';
import * as z from 'zod';
import type { LocallyTrained } from '../../../scripts/models/local-run/run.ts';
import type { Snapshot } from '../../../src/operations/lineage/training.ts';
import { MADE_UP_PREFIX } from '../seed/made-up.ts';
import { type Chosen, rangeOf } from './origin.ts';

const SOURCES_MAX = 50;

/** The rows that a training reads: all numbers up to one that is fixed before the first is read. */
export interface Bounds {
  readonly firstSeq: number;
  readonly lastSeq: number;
  /** RFC 3339. */
  readonly asOf: string;
}

const boundsSchema = z.object({
  first: z.coerce.number().nullable(),
  last: z.coerce.number().nullable(),
  now: z.union([z.date(), z.string()]).transform((at) => new Date(at).toISOString()),
});

/** What there is to read of the purchases of known customers; undefined where there are none. */
export async function boundsOfPurchases(databaseUrl: string): Promise<Bounds | undefined> {
  const [row] = await neon(databaseUrl)`
    select min(event_seq) as first, max(event_seq) as last, now() as now
    from purchases where customer_id is not null`;
  const { first, last, now } = boundsSchema.parse(row);
  return first === null || last === null ? undefined : { firstSeq: first, lastSeq: last, asOf: now };
}

const sourceSchema = z.object({ source: z.string(), type: z.string(), events: z.coerce.number().int() });

/** Where the purchases within bounds came from, the largest sources first: those of the made-up shop, or all others. */
export async function sourcesOfPurchases(
  databaseUrl: string,
  { firstSeq, lastSeq }: Bounds,
  isMadeUp: boolean,
): Promise<Snapshot['sources']> {
  const rows = await neon(databaseUrl)`
    select e.source, e.type, count(*) as events
    from purchases p join millrace.events e on e.seq = p.event_seq
    where p.event_seq between ${firstSeq} and ${lastSeq} and p.customer_id is not null
      and (starts_with(p.sku, ${MADE_UP_PREFIX}) or starts_with(p.customer_id, ${MADE_UP_PREFIX})) = ${isMadeUp}
    group by e.source, e.type order by events desc, e.source, e.type limit ${SOURCES_MAX}`;
  return z.array(sourceSchema).parse(rows);
}

/** What lineage records of a training: the content of `training.json` beside the bundle. */
export function trainingFacts(
  { run, manifest }: Pick<LocallyTrained, 'run' | 'manifest'>,
  { purchases }: Pick<Chosen, 'purchases'>,
  origin: (Bounds & { readonly sources: Snapshot['sources'] }) | undefined,
) {
  const range = rangeOf(purchases);
  const snapshot =
    origin === undefined || range === null
      ? undefined
      : {
          ...origin,
          table: 'purchases',
          rows: purchases.length,
          keys: new Set(purchases.map(({ customer }) => customer)).size,
          from: new Date(range.from).toISOString(),
          to: new Date(range.to).toISOString(),
        };
  const assertions = [{ assertion: 'beats_baseline', success: run.evaluation?.verdict === 'better' }];
  return { trainingRows: manifest.rows.train, snapshot, assertions };
}
