import { type SQL, sql } from 'drizzle-orm';
import type { Random } from '../../platform/random.ts';
import * as millrace from './schema.ts';

/**
 * The shards of a run's tallies. A write holds the lock of its row for about a millisecond and an isolate writes at most
 * twelve times a minute, so 300 isolates load one row; 16 rows suffice for some thousands.
 */
const TALLY_SHARDS = 16;

/** The shard of an isolate, which keeps it for all its writes. */
export function tallyShard(random: Random): number {
  return Math.floor(random() * TALLY_SHARDS);
}

/** The counts of the run `r`, with what isolates have reported of it. A run that has ended contains its reports. */
export const REPORTED_COUNTS: SQL = sql`
  case when r.ended_at is not null then r.counts else (
    select coalesce(jsonb_object_agg(added.name, added.total), '{}'::jsonb) from (
      select each_one.name, sum(each_one.value::bigint) as total from (
        select * from jsonb_each_text(r.counts)
        union all
        select reported.* from ${millrace.lineageTallies} t cross join lateral jsonb_each_text(t.counts) as reported
        where t.run_id = r.id
      ) as each_one(name, value) group by each_one.name
    ) as added
  ) end`;

export const REPORTED_FIRST_SEQ: SQL = sql`
  least(r.first_seq, (select min(t.first_seq) from ${millrace.lineageTallies} t where t.run_id = r.id))`;

export const REPORTED_LAST_SEQ: SQL = sql`
  greatest(r.last_seq, (select max(t.last_seq) from ${millrace.lineageTallies} t where t.run_id = r.id))`;
