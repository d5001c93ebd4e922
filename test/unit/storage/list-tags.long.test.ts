import { PGlite } from '@electric-sql/pglite';
import { sql } from 'drizzle-orm';
import { boolean, integer, numeric, PgDialect, pgTable, text } from 'drizzle-orm/pg-core';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as z from 'zod';
import { entity } from '../../../src/define/entity.ts';
import { deleteTags, insertTags, updateTags } from '../../../src/storage/postgres/list-tags.ts';

const things = pgTable('things', {
  id: text('id').primaryKey(),
  displayName: text('display name').notNull(),
  group: text('group'),
  shelf: integer('shelf').notNull(),
  open: boolean('open').notNull(),
  price: numeric('price', { precision: 12, scale: 4, mode: 'number' }).notNull(),
});
const thing = entity({
  name: "thing's",
  table: things,
  key: things.id,
  keySchema: z.string(),
  lists: {
    byId: { orderBy: things.id },
    byName: { orderBy: things.displayName, filter: [things.group], digits: 30 },
    byPrice: { orderBy: things.price },
    byShelf: { orderBy: things.shelf, filter: [things.open, things.shelf] },
  },
});

const storable = (maxLength: number) =>
  fc.string({ unit: 'binary', maxLength }).filter((value) => !value.includes('\u0000'));
const anyText = fc.oneof(
  storable(8),
  storable(60),
  fc.constantFrom(
    '',
    "it's",
    '"quoted"',
    'back\\slash',
    ']^',
    'a,b',
    'é',
    '日本語',
    '𝒳😀',
    '\uffff',
    '\u0001',
  ),
);
const row = fc.record({
  id: anyText,
  displayName: anyText,
  group: fc.option(anyText),
  shelf: fc.oneof(fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }), fc.integer({ min: -2, max: 2 })),
  open: fc.boolean(),
  price: fc
    .oneof(fc.integer({ min: -(10 ** 12) + 1, max: 10 ** 12 - 1 }), fc.integer({ min: -2, max: 40_000 }))
    .map((scaled) => scaled / 10_000),
});
type Row = typeof row extends fc.Arbitrary<infer Value> ? Value : never;

const ROWS = 400;
const dialect = new PgDialect();
let db: PGlite;
beforeAll(async () => {
  db = await PGlite.create('memory://');
  await db.exec(
    `create table things (at integer primary key, id text, "display name" text, "group" text, shelf integer,
      open boolean, price numeric(12, 4))`,
  );
});
afterAll(() => db.close());

/** Runs a statement that has no parameters, as a trigger's body has none. */
async function run<Result>(statement: Parameters<PgDialect['sqlToQuery']>[0]): Promise<Result[]> {
  const { sql: queryText, params } = dialect.sqlToQuery(statement);
  expect(params).toEqual([]);
  return (await db.query<Result>(queryText)).rows;
}

async function hold(rows: readonly Row[]): Promise<void> {
  await db.exec('truncate things');
  const records = rows.map(({ displayName, ...others }, at) => ({
    at,
    'display name': displayName,
    ...others,
  }));
  await db.query('insert into things select * from jsonb_populate_recordset(null::things, $1::jsonb)', [
    JSON.stringify(records),
  ]);
}

const lists = Object.values(thing.lists);

describe('the tags of a row in SQL', () => {
  it('equal those from JavaScript', async () => {
    const rows = fc.sample(row, { numRuns: ROWS, seed: 1 });
    await hold(rows);
    const answer = await run<{ inserted: string[]; deleted: string[] }>(
      sql`select ${insertTags(thing, 'r')} as inserted, ${deleteTags(thing, 'r')} as deleted
        from things r order by r.at`,
    );
    expect(answer).toEqual(
      rows.map((of) => ({
        inserted: [thing.row(of.id), ...lists.flatMap((list) => list.entering(of))],
        deleted: [thing.row(of.id), ...lists.flatMap((list) => list.leaving(of))],
      })),
    );
  });

  it('cover, after an update, the lists where the place changed', async () => {
    const pairs = fc.sample(fc.tuple(row, row, fc.nat(5)), { numRuns: ROWS, seed: 2 });
    // Some columns are as they were, so that every combination of unchanged lists occurs.
    const rows = pairs.flatMap(([old, other, kept], index) => {
      const change: Partial<Row>[] = [
        {},
        { price: other.price },
        { group: other.group },
        { displayName: other.displayName },
        { shelf: other.shelf, open: other.open },
        other,
      ];
      return [old, { ...old, ...change[kept], ...(index % 7 === 0 ? { open: !old.open } : {}) }];
    });
    await hold(rows);
    const answer = await run<{ tags: string[] }>(sql`
      select ${updateTags(thing, 'old', 'new')} as tags
      from things old join things new on new.at = old.at + 1 where old.at % 2 = 0 order by old.at`);
    const expected = Array.from({ length: ROWS }, (_, index) => {
      const [old, now] = [rows[2 * index], rows[2 * index + 1]] as [Row, Row];
      const moved = lists.filter((list) =>
        [...list.filter, ...list.orderBy].some(
          ({ property }) => old[property as keyof Row] !== now[property as keyof Row],
        ),
      );
      const own = old.id === now.id ? [thing.row(now.id)] : [thing.row(now.id), thing.row(old.id)];
      return [...own, ...moved.flatMap((list) => [...list.leaving(old), ...list.entering(now)])];
    });
    expect(answer.map(({ tags }) => tags)).toEqual(expected);
    expect(expected.some((tags) => tags.length === 1)).toBe(true);
  });

  it('sort like the lists of a query', async () => {
    const rows = fc
      .sample(row, { numRuns: ROWS, seed: 3 })
      .map((one, index) => ({ ...one, id: `${one.id}${index}`, group: 'g', open: true }));
    await hold(rows);
    for (const list of lists) {
      const sorted = await run<{ at: number }>(
        sql`select at from things order by ${sql.join([...list.order], sql`, `)}`,
      );
      // The last tag is the one of the whole position.
      const positions = sorted.map(
        ({ at }) =>
          list
            .entering(rows[at] as Row)
            .at(-1)
            ?.split('^')
            .at(-1) ?? '',
      );
      expect(positions).toEqual([...positions].sort());
      expect(new Set(positions).size).toBeGreaterThan(ROWS / 4);
    }
  });
});
