import { getTableColumns, type SQL, sql } from 'drizzle-orm';
import type { NeonHttpDatabase } from 'drizzle-orm/neon-http';
import type { PgColumn, PgTable } from 'drizzle-orm/pg-core';
import * as z from 'zod';
import { hasLines } from '../../define/effect.ts';
import type { StoredRule } from '../../define/quality.ts';
import { keyNames } from './key-sql.ts';
import * as millrace from './schema.ts';

const Counted = z.object({ judged: z.coerce.number().int(), failed: z.coerce.number().int() });

/** A rule of an event type that the database checks, and how many events of a batch broke it. */
export interface JudgedRule {
  readonly type: string;
  readonly rule: StoredRule;
  readonly judged: number;
  readonly failed: number;
}

/**
 * Checks the rows that one transaction appended: one statement for each rule, however many rows there are, all in one
 * round trip. Call it after the commit. Rows that other transactions commit in the meantime count as present.
 */
export async function judgeStored(
  db: NeonHttpDatabase,
  rules: readonly { readonly type: string; readonly rule: StoredRule }[],
  batch: string,
): Promise<JudgedRule[]> {
  const statements = rules.map(({ type, rule }) => db.execute(statementOf(rule, type, batch)));
  const [first, ...others] = statements;
  if (first === undefined) return [];
  const results = await db.batch([first, ...others]);
  return results.map(({ rows }, index) => {
    const rule = rules[index];
    if (rule === undefined)
      throw new Error('The database returned more results than it was sent statements.');
    return { ...rule, ...Counted.parse(rows[0]) };
  });
}

function statementOf(rule: StoredRule, type: string, batch: string): SQL {
  const { table } = rule.history;
  const own = sql`${millrace.events} e join ${table} h on h.event_seq = e.seq`;
  const ofBatch = sql`e.batch = ${batch}::uuid and e.type = ${type}`;
  if (rule.check === 'referential') {
    const names = keyNames(rule.entity);
    const values = rule.properties.map((property) => sql`h.${named(columnOf(table, property))}`);
    const isGiven = sql.join(
      values.map((value) => sql`${value} is not null`),
      sql` and `,
    );
    const isSame = sql.join(
      names.map((name, index) => sql`t.${name} = ${values[index]}`),
      sql` and `,
    );
    return sql`
      select count(*) filter (where ${isGiven}) as judged,
        count(*) filter (where ${isGiven} and t.${names[0]} is null) as failed
      from ${own} left join ${rule.entity.table} t on ${isSame}
      where ${ofBatch}`;
  }
  const time = named(columnOf(table, rule.time));
  const within = sql`make_interval(secs => ${rule.withinMs / 1_000}::float8)`;
  const equal = rule.properties.map((property) => {
    const column = columnOf(table, property);
    // Postgres can use an index only for `=`, which is correct only if the column is not null.
    return column.notNull
      ? sql`o.${named(column)} = h.${named(column)}`
      : sql`o.${named(column)} is not distinct from h.${named(column)}`;
  });
  return sql`
    select count(*) as judged, count(*) filter (where exists (
      select from ${table} o
      where ${sql.join(equal, sql` and `)}
        and o.${time} between h.${time} - ${within} and h.${time} + ${within}
        and ${isEarlier(rule.history)}
    )) as failed
    from ${own} where ${ofBatch}`;
}

/** Rows of one event also have an order: that of their lines. */
function isEarlier(history: StoredRule['history']): SQL {
  return hasLines(history)
    ? sql`(o.event_seq, o.event_line) < (h.event_seq, h.event_line)`
    : sql`o.event_seq < h.event_seq`;
}

function named(column: PgColumn) {
  return sql.identifier(column.name);
}

function columnOf(table: PgTable, property: string): PgColumn {
  const columns: Record<string, PgColumn> = getTableColumns(table);
  const column = columns[property];
  if (column === undefined) throw new Error(`A rule uses "${property}", which its table does not have.`);
  return column;
}
