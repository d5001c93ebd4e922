import { join } from 'node:path';
import { getTableColumns, type SQL, sql } from 'drizzle-orm';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type DevDatabase, startDevDatabase } from '../../../scripts/dev/database.ts';
import { entity } from '../../../src/define/entity.ts';
import { descending } from '../../../src/define/list.ts';
import type { ListDefinition, ListQuery } from '../../../src/define/list-types.ts';
import { connect } from '../../../src/storage/postgres/connect.ts';
import { deleteTags, insertTags, updateTags } from '../../../src/storage/postgres/list-tags.ts';
import { memoryDatabase } from '../../support/node/memory-database.ts';
import { anyMeasure, CREATE_MEASURES, type Measure, measures } from './list-order-table.ts';

const MIGRATIONS = join(import.meta.dirname, '../../support/catalog/migrations');
const ROWS = 60;
const CHANGES = 90;
const LIMIT = 5;

const measure = entity({
  name: 'measure',
  table: measures,
  key: [measures.id, measures.part],
  lists: {
    latest: { orderBy: descending(measures.at), range: measures.at, digits: 20 },
    best: {
      orderBy: [descending(measures.count), measures.label],
      filter: [measures.group, measures.color, measures.open, measures.day],
    },
    cheap: { orderBy: [measures.price, descending(measures.local)], range: measures.price },
    named: { orderBy: measures.label, filter: [measures.open], range: measures.count },
    exact: { orderBy: [descending(measures.exact)], range: measures.exact },
  },
});

let database: DevDatabase;
let db: ReturnType<typeof connect>;
beforeAll(async () => {
  database = await startDevDatabase(await memoryDatabase(MIGRATIONS));
  db = connect({ url: database.connectionString, endpoint: database.endpoint });
  for (const statement of CREATE_MEASURES) await db.execute(sql.raw(statement));
});
afterAll(async () => {
  await database.close();
});

/** Values of few different kinds, so that rows meet in filters and share places. */
const near = fc
  .tuple(
    anyMeasure,
    fc.record({
      id: fc.integer({ min: 1, max: 40 }).map(String),
      part: fc.constantFrom('a', 'b,c', '%'),
      label: fc.constantFrom('', 'a', 'ab', 'b', 'é'),
      count: fc.integer({ min: -2, max: 12 }).map(String),
      price: fc.oneof(
        fc.integer({ min: -3, max: 30 }).map((minor) => `${minor}e-1`),
        fc.constant('NaN'),
      ),
      exact: fc.integer({ min: -3, max: 30 }).map((minor) => `${minor}e-6`),
      'at time': fc
        .integer({ min: 0, max: 60 })
        .map((at) => `2026-01-02 03:04:05.0001${String(at).padStart(2, '0')}`),
      local: fc.constantFrom('2026-01-01', '2026-01-01 00:00:00.000001', 'infinity', '-infinity'),
      open: fc.constantFrom('true', 'true', 'false'),
      day: fc.constant('2026-01-01'),
      color: fc.constantFrom('x,y]', 'x,y]', 'red', null),
      group: fc.constantFrom('a', 'a', 'a,x', null),
    }),
  )
  .map(([any, few]): Measure => ({ ...any, ...few }));

const one = (text: string) => Number(text);
const bounds = fc
  .tuple(fc.nat(40), fc.nat(40), fc.constantFrom('gte', 'gt'), fc.constantFrom('lte', 'lt'), fc.nat(3))
  .map(([a, b, from, to, kind]) => ({ low: Math.min(a, b), high: Math.max(a, b), from, to, kind }));
type Bounds = typeof bounds extends fc.Arbitrary<infer Value> ? Value : never;

/** A range of the list's column: open at one side or both, of few or of many values. */
function rangeOf(list: ListDefinition, { low, high, from, to, kind }: Bounds): ListQuery {
  if (list.range === undefined || kind === 0) return {};
  const value = (at: number): unknown => {
    if (list === measure.lists.latest) return new Date(Date.UTC(2026, 0, 2, 3, 4, 5, at % 2));
    if (list === measure.lists.exact) return (at / 1_000_000).toFixed(6);
    return list === measure.lists.named ? at - 4 : at / 10;
  };
  const lower = { [from]: value(low) };
  const upper = { [to]: value(high) };
  return { range: kind === 1 ? lower : kind === 2 ? upper : { ...lower, ...upper } };
}

const FILTER = { group: 'a', color: 'x,y]', open: true, day: '2026-01-01' };
const filterOf = (list: ListDefinition) =>
  Object.fromEntries(
    list.filter.map(({ property }) => [
      property,
      Object.entries(FILTER).find(([name]) => name === property)?.[1],
    ]),
  );

const lists = Object.values<ListDefinition>(measure.lists);
const select = getTableColumns(measures);

/** A page of each list: the first, or one in the middle. */
async function pages(drawn: readonly Bounds[], skip: number) {
  return await Promise.all(
    lists.map(async (list, at) => {
      const bounded = drawn[at % drawn.length];
      const query = { filter: filterOf(list), ...(bounded === undefined ? {} : rangeOf(list, bounded)) };
      const first = await list.read(db, { ...query, select, limit: LIMIT + skip });
      const after = skip === 0 || first.next === null ? undefined : first.next;
      return { list, query: { ...query, after } };
    }),
  );
}
const readAll = (of: Awaited<ReturnType<typeof pages>>) =>
  Promise.all(of.map(({ list, query }) => list.read(db, { ...query, select, limit: LIMIT })));

const json = (row: Partial<Measure>) =>
  sql`jsonb_populate_recordset(null::measures, ${JSON.stringify([row])}::jsonb)`;
const isRow = ({ id, part }: Measure) => sql`id = ${id}::bigint and part = ${part}`;

async function tagsOf(statement: SQL): Promise<string[]> {
  const { rows } = await db.execute<{ tags: string[] }>(statement);
  return rows.flatMap(({ tags }) => tags);
}
const insert = (row: Measure) =>
  tagsOf(sql`with added as (insert into measures select * from ${json(row)} on conflict do nothing returning *)
    select ${insertTags(measure, 'added')} as tags from added`);
const remove = (row: Measure) =>
  tagsOf(sql`with removed as (delete from measures where ${isRow(row)} returning *)
    select ${deleteTags(measure, 'removed')} as tags from removed`);
function update(row: Measure, change: Partial<Measure>) {
  const names = Object.keys(change).map((name) => sql.identifier(name));
  return tagsOf(sql`with old as (select * from measures where ${isRow(row)}),
    now as (update measures set (${sql.join(names, sql`, `)}) = (select ${sql.join(names, sql`, `)} from ${json(change)})
      where ${isRow(row)} returning *)
    select ${updateTags(measure, 'old', 'now')} as tags from old, now`);
}

/** One column, several, the key, or all of them. */
function changeOf(row: Measure, other: Measure, kind: number): Partial<Measure> {
  const only = <Name extends keyof Measure>(...names: Name[]) =>
    Object.fromEntries(names.map((name) => [name, other[name]]));
  const changes = [
    only('count'),
    only('price', 'exact'),
    only('at time'),
    only('open', 'group', 'color'),
    only('local', 'label'),
    only('small'),
    // A key that no other row has.
    { id: String(one(row.id) + 1_000) },
  ];
  return changes[kind % changes.length] ?? {};
}

describe('a page of a list', () => {
  it('depends on a tag of each change that alters it', async () => {
    const drawn = fc.sample(
      fc.tuple(near, near, fc.array(bounds, { minLength: 5, maxLength: 5 }), fc.nat(99)),
      {
        numRuns: CHANGES + ROWS,
        seed: 3,
      },
    );
    const held = new Map<string, Measure>();
    const keyOf = ({ id, part }: Measure) => `${id} ${part}`;
    for (const [row] of drawn.slice(0, ROWS)) {
      await insert(row);
      if (!held.has(keyOf(row))) held.set(keyOf(row), row);
    }
    const seen = { altered: 0, kept: 0, needless: 0 };
    for (const [row, other, ranges, kind] of drawn.slice(ROWS)) {
      const asked = await pages(ranges, kind % 3 === 0 ? 0 : kind % 7);
      const before = await readAll(asked);
      const present = [...held.values()][kind % held.size];
      let tags: string[];
      if (kind % 4 === 0 && present !== undefined) {
        tags = await remove(present);
        held.delete(keyOf(present));
      } else if (kind % 4 === 1 || present === undefined) {
        tags = await insert(row);
        if (!held.has(keyOf(row))) held.set(keyOf(row), row);
      } else {
        const change = changeOf(present, other, kind);
        tags = await update(present, change);
        held.delete(keyOf(present));
        held.set(keyOf({ ...present, ...change }), { ...present, ...change });
      }
      const after = await readAll(asked);
      for (const [at, page] of after.entries()) {
        const known = before[at];
        const isAltered = JSON.stringify(page.rows, printed) !== JSON.stringify(known?.rows, printed);
        const isVoid = known?.tags.some((tag) => tags.includes(tag)) ?? false;
        seen[isAltered ? 'altered' : isVoid ? 'needless' : 'kept'] += 1;
        if (isAltered) expect({ of: asked[at]?.list.name, tags, isVoid }).toMatchObject({ isVoid: true });
        expect(known?.tags.length).toBeLessThanOrEqual(LIMIT + 32);
      }
      expect(tags.length).toBeLessThanOrEqual(2 + lists.length * (20 + 2));
    }
    // The lists are short, and their rows close together: this only shows that most changes void nothing.
    expect(seen.altered).toBeGreaterThan(40);
    expect(seen.kept).toBeGreaterThan(seen.needless);
  });
});

describe('a range of a column that is not the first of the order', () => {
  it('is entered by an update of only that column', async () => {
    await db.execute(sql`truncate measures`);
    const [drawn] = fc.sample(near, { numRuns: 1, seed: 5 });
    if (drawn === undefined) throw new Error('No row was drawn.');
    const row: Measure = { ...drawn, count: '3', open: 'true' };
    await insert(row);
    const { tags } = await measure.lists.named.read(db, {
      filter: { open: true },
      range: { gt: 5 },
      select,
      limit: LIMIT,
    });
    const changed = await update(row, { count: '6' });
    expect(tags.filter((tag) => changed.includes(tag))).not.toEqual([]);
  });
});

function printed(_name: string, value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : value;
}
