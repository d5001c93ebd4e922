import { type SQL, sql } from 'drizzle-orm';
import * as millrace from './schema.ts';

/**
 * The target in `pruned` that records deleted changes of rows, by the type of their events. Its `until` is the moment from
 * which on the features of every row are known.
 */
export function rowChangesTarget(type: string): string {
  return `row-changes:${type}`;
}

/**
 * Deletes changes of rows that a newer change of the same row covers, if that one is older than `before`. So the last change
 * before that moment stays for each row, and the features as of any moment since then do, too, and so does what a shard is
 * built of.
 *
 * It goes on after the last change that it has examined, and looks at the change of the row before each: an event that it
 * has passed is deleted with the next change of its row. A change covers the one before if it has all of its columns, or if
 * the row was deleted in between. A change of which the clock went back, or that is not relayed yet, is kept for good.
 *
 * @param limit the most changes that it examines.
 */
export function pruneRowChanges(type: string, before: SQL, limit: number): SQL {
  const target = rowChangesTarget(type);
  const isOne = (name: string) =>
    sql`${sql.raw(name)}.type = ${type} and ${sql.raw(name)}.${millrace.IS_ROW_CHANGE}`;
  return sql`
    with here as (
      select coalesce((select position from ${millrace.pruned} where target = ${target}), 0) as seq
    ), examined as materialized (
      select c.seq, c.recorded_at, c.data from ${millrace.events} c
      where ${isOne('c')} and c.seq > (select seq from here)
      order by c.seq limit (
        select case when c.recorded_at < ${before} then ${limit}::int else 0 end from ${millrace.events} c
        where ${isOne('c')} and c.seq > (select seq from here) order by c.seq limit 1)
    ), passed as (
      select * from examined
      where seq < coalesce((select min(seq) from examined where recorded_at >= ${before}), 9223372036854775807)
    ), covered as (
      select e.seq, p.recorded_at as until from passed p cross join lateral (
        select e.seq, e.recorded_at, e.data from ${millrace.events} e
        where ${isOne('e')} and e.data ->> 'key' = p.data ->> 'key' and e.seq < p.seq order by e.seq desc limit 1
      ) e
      where e.recorded_at <= p.recorded_at
        and not exists (select from ${millrace.outbox} o where o.relayed_at is null and o.event_seq = e.seq)
        and case when jsonb_typeof(e.data -> 'row') = 'object' and jsonb_typeof(p.data -> 'row') = 'object'
          then p.data -> 'row' ?& array(select jsonb_object_keys(e.data -> 'row')) else true end
    ), gone as (
      delete from ${millrace.events} where seq in (select seq from covered) returning seq
    ), noted as (
      insert into ${millrace.pruned} (target, rows, until, position, cleaned_at)
      select ${target}, (select count(*) from gone),
        coalesce((select max(until) from covered where seq in (select seq from gone)), 'epoch'), max(seq),
        case when (select count(*) from gone) > 0 then now() end
      from passed having count(*) > 0
      on conflict (target) do update set rows = pruned.rows + excluded.rows,
        until = greatest(pruned.until, excluded.until), position = greatest(pruned.position, excluded.position),
        cleaned_at = coalesce(excluded.cleaned_at, pruned.cleaned_at)
    )
    select count(*) as gone from gone`;
}
