import { getTableColumns, type SQL, sql } from 'drizzle-orm';
import type { PgColumn, PgTable } from 'drizzle-orm/pg-core';
import * as z from 'zod';
import { startDevDatabase } from '../../scripts/dev/database.ts';
import { hasLines } from '../../src/define/effect.ts';
import { candidates, exampleValues } from '../../src/define/example-addresses.ts';
import type { Database, ViewDefinition } from '../../src/define/view.ts';
import { tableName } from '../../src/operations/impact/tables.ts';
import { connect } from '../../src/storage/postgres/connect.ts';
import type { Served } from './node/fixture.ts';
import { memoryDatabase } from './node/memory-database.ts';

/** What a real Postgres shows of views and columns: the answers that change when a column does. */
export interface Changed {
  /** `table.column`. */
  readonly column: string;
  readonly views: readonly string[];
}

const NOW_MS = Date.UTC(2026, 0, 1);
/** A text where the examples have none, in rows and in requests. */
const MADE_UP = 'a';

/** Stores the examples of all events, changes each column of each row in turn, and reads all views after each change. */
export async function changedAnswers({ catalog, migrationsDir }: Served): Promise<Changed[]> {
  const database = await startDevDatabase(await memoryDatabase(migrationsDir));
  try {
    const db = connect({ url: database.connectionString, endpoint: database.endpoint });
    await storeExamples(db, catalog);
    // A view with `ownRows` reads those of each key that an example names: one of them owns rows.
    const owners = [...new Set(exampleValues(catalog.events, NOW_MS).keys.map(({ value }) => value))];
    const inputs = catalog.views.flatMap((view) => {
      const input = inputOf(view, catalog);
      const isOwn = view.rows !== undefined && view.rows.of === undefined;
      return (isOwn ? owners : [undefined]).map((owner): Read => ({ view, input, owner }));
    });
    const before = await answers(db, inputs);
    const found: Changed[] = [];
    for (const table of new Set([...catalog.entities, ...catalog.histories].map((of) => of.table)))
      for (const column of Object.values<PgColumn>(getTableColumns(table))) {
        const [change, undo] = changesOf(column);
        if (change === undefined || undo === undefined) continue;
        const { rowCount } = await db.execute(
          sql`update ${table} set ${sql.identifier(column.name)} = ${change}`,
        );
        if (rowCount === 0) continue;
        const after = await answers(db, inputs);
        await db.execute(sql`update ${table} set ${sql.identifier(column.name)} = ${undo}`);
        const views = [...after].flatMap(([view, answer]) => (answer === before.get(view) ? [] : [view]));
        found.push({ column: `${tableName(table)}.${column.name}`, views });
      }
    return found;
  } finally {
    await database.close();
  }
}

async function storeExamples(db: Database, { events }: Served['catalog']): Promise<void> {
  let seq = 1;
  for (const { example, interpret } of events) {
    const meaning = interpret(example, { occurredAt: NOW_MS, now: NOW_MS });
    if (!meaning.ok) continue;
    for (const effect of meaning.effects) {
      if (effect.kind === 'append') {
        const line = hasLines(effect.history) ? { eventLine: 1 } : {};
        await insert(db, effect.history.table, { ...effect.row, ...line, eventSeq: seq });
      } else if ('row' in effect) await insert(db, effect.entity.table, effect.row);
      else if ('orInsert' in effect && effect.orInsert !== undefined)
        await insert(db, effect.entity.table, effect.orInsert);
    }
    seq += 1;
  }
}

/** Inserts a row. What it leaves out of the columns that need a value is made up: an event that sets a row inserts none. */
async function insert(db: Database, table: PgTable, row: object): Promise<void> {
  const needed = Object.entries<PgColumn>(getTableColumns(table)).filter(
    ([property, { notNull, hasDefault }]) => notNull && !hasDefault && !(property in row),
  );
  const madeUp = needed.map(([property, { dataType }]) => [property, dataType === 'number' ? 1 : MADE_UP]);
  await db
    .insert(table)
    .values({ ...Object.fromEntries(madeUp), ...row })
    .onConflictDoNothing();
}

function inputOf(view: ViewDefinition, { events }: Served['catalog']): unknown {
  const known = exampleValues(events, NOW_MS);
  const sampleOf = (name: string, field: z.core.$ZodType) =>
    [undefined, ...candidates(name, field, known, view.path), MADE_UP].find(
      (value) => z.safeParse(field, value).success,
    );
  const fields = Object.entries<z.core.$ZodType>({ ...view.params.shape, ...view.query.shape });
  const given = Object.fromEntries(fields.map(([name, field]) => [name, sampleOf(name, field)]));
  const named = (shape: object) => Object.fromEntries(Object.keys(shape).map((name) => [name, given[name]]));
  return { ...view.params.parse(named(view.params.shape)), ...view.query.parse(named(view.query.shape)) };
}

interface Read {
  readonly view: ViewDefinition;
  readonly input: unknown;
  readonly owner: string | undefined;
}

/** The answers of each view, as one text. */
async function answers(db: Database, reads: readonly Read[]): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const { view, input, owner } of reads) {
    const request = { input, owner, variant: {}, principal: undefined, now: NOW_MS, features: {} };
    const answer = await view.load(db, request).then(
      ({ value }) => JSON.stringify(value),
      () => 'failed',
    );
    found.set(view.name, `${found.get(view.name) ?? ''} ${answer}`);
  }
  return found;
}

/** A change of a column's values, and what undoes it; nothing for types that no column of a catalog has here. */
function changesOf(column: PgColumn): readonly [SQL?, SQL?] {
  const type = column.getSQLType();
  const name = sql.identifier(column.name);
  if (/^(text|varchar)/.test(type)) return [sql`${name} || '7'`, sql`left(${name}, -1)`];
  if (/^(integer|bigint|smallint|numeric|real|double)/.test(type))
    return [sql`${name} + 1`, sql`${name} - 1`];
  if (/^timestamp/.test(type)) return [sql`${name} + interval '40 days'`, sql`${name} - interval '40 days'`];
  if (type === 'boolean') return [sql`not ${name}`, sql`not ${name}`];
  if (type === 'uuid') {
    // The first digit becomes another one, and comes back after fifteen times.
    const shifted = (to: string, from: string) =>
      sql`(translate(left(${name}::text, 1), ${from}, ${to}) || substr(${name}::text, 2))::uuid`;
    return [shifted('123456789abcdef0', '0123456789abcdef'), shifted('0123456789abcdef', '123456789abcdef0')];
  }
  return [];
}
