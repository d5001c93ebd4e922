import { type SQL, sql } from 'drizzle-orm';
import type { NeonHttpDatabase } from 'drizzle-orm/neon-http';
import * as z from 'zod';
import type { HistoryDefinition } from '../../define/entity.ts';
import { isRowChange } from '../../define/row-change.ts';
import { ownerColumns } from './key-sql.ts';
import * as millrace from './schema.ts';

const Row = z.object({
  seq: z.coerce.number().int(),
  type: z.string(),
  occurred_at_ms: z.coerce.number(),
  recorded_at_ms: z.coerce.number(),
  data: z.unknown(),
});

/** An event of a key, with the moments at which it happened and was stored, in milliseconds since the Unix epoch. */
export interface KeyEvent {
  readonly seq: number;
  readonly type: string;
  readonly occurredAt: number;
  readonly recordedAt: number;
  readonly data: unknown;
}

/**
 * The first events of a key in the order of their numbers: those with a row in a history that the key owns.
 *
 * @returns undefined if an event of these types may have no such row: the entity owns no history with one column as its key, a
 *   type records changes of rows, or the newest event of a type has no row in any history.
 */
export async function eventsOfKey(
  db: NeonHttpDatabase,
  filter: {
    readonly histories: readonly HistoryDefinition[];
    readonly entity: string;
    readonly key: string;
    readonly types: readonly string[];
  },
  limit: number,
): Promise<KeyEvent[] | undefined> {
  const { histories, entity, key, types } = filter;
  const owned = histories.flatMap(({ table, owners }): { table: typeof table; rows: SQL }[] => {
    const owner = owners.find((of) => of.entity.name === entity);
    const [column, ...others] = owner === undefined ? [] : ownerColumns(owner, table);
    if (column === undefined || others.length > 0) return [];
    return [{ table, rows: sql`select h.event_seq from ${table} h where h.${column} = ${key}` }];
  });
  if (owned.length === 0 || types.some(isRowChange)) return undefined;
  const typed = sql`jsonb_array_elements_text(${JSON.stringify(types)}::jsonb)`;
  const listed = owned.map(
    ({ table }) => sql`exists (select from ${table} h where h.event_seq = newest.seq)`,
  );
  const { rows: unlisted } = await db.execute(sql`
    select 1 from ${typed} as t(type) cross join lateral (
      select e.seq from ${millrace.events} e where e.type = t.type order by e.occurred_at desc limit 1) newest
    where not (${sql.join(listed, sql` or `)}) limit 1`);
  if (unlisted.length > 0) return undefined;
  const own = sql.join(
    owned.map(({ rows }) => rows),
    sql` union `,
  );
  const { rows } = await db.execute(sql`
    select e.seq, e.type, extract(epoch from e.occurred_at) * 1000 as occurred_at_ms,
      extract(epoch from e.recorded_at) * 1000 as recorded_at_ms, e.data
    from ${millrace.events} e join (${own}) as own on own.event_seq = e.seq
    where e.type in (select value from ${typed} as v(value))
    order by e.seq limit ${limit}`);
  return rows.map((raw) => {
    const { seq, type, occurred_at_ms: occurredAt, recorded_at_ms: recordedAt, data } = Row.parse(raw);
    return { seq, type, data, occurredAt: Math.round(occurredAt), recordedAt: Math.ceil(recordedAt) };
  });
}
