import { join } from 'node:path';
import { getTableColumns, type SQL, sql } from 'drizzle-orm';
import type { PgColumn } from 'drizzle-orm/pg-core';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type DevDatabase, startDevDatabase } from '../../../scripts/dev/database.ts';
import { entity } from '../../../src/define/entity.ts';
import { descending } from '../../../src/define/list.ts';
import type {
  ListDeclaration,
  ListDefinition,
  ListQuery,
  OrderColumn,
} from '../../../src/define/list-types.ts';
import { connect } from '../../../src/storage/postgres/connect.ts';
import { insertTags } from '../../../src/storage/postgres/list-tags.ts';
import { memoryDatabase } from '../../support/node/memory-database.ts';
import { runsOf } from '../../support/node/part.ts';
import { anyMeasure, CREATE_MEASURES, type Measure, measures } from './list-order-table.ts';

const MIGRATIONS = join(import.meta.dirname, '../../support/catalog/migrations');
const ROWS = 100;

let database: DevDatabase;
let db: ReturnType<typeof connect>;
beforeAll(async () => {
  database = await startDevDatabase(await memoryDatabase(MIGRATIONS));
  db = connect({ url: database.connectionString, endpoint: database.endpoint });
  for (const statement of CREATE_MEASURES) await db.execute(sql.raw(statement));
  await insert(distinct(fc.sample(anyMeasure, { numRuns: ROWS, seed: 7 })));
});
afterAll(async () => {
  await database.close();
});

function distinct(rows: readonly Measure[]): Measure[] {
  return [...new Map(rows.map((row) => [JSON.stringify([row.id, row.part]), row])).values()];
}
async function insert(rows: readonly Measure[]): Promise<void> {
  await db.execute(
    sql`insert into measures select * from jsonb_populate_recordset(null::measures, ${JSON.stringify(rows)}::jsonb)`,
  );
}

const { color: _color, group: _group, ...orderable } = getTableColumns(measures);
const key = [measures.id, measures.part] as const;
const listOf = (declaration: ListDeclaration): ListDefinition =>
  entity({ name: 'measure', table: measures, key, lists: { tried: declaration } }).lists.tried;
const entityOf = (declaration: ListDeclaration) =>
  entity({ name: 'measure', table: measures, key, lists: { tried: declaration } });

const columns = Object.values<PgColumn>(orderable);
const directed = (column: PgColumn, isDescending: boolean): OrderColumn =>
  isDescending ? descending(column) : column;
const each = columns.flatMap((column) => [
  { title: `${column.name} (${column.getSQLType()})`, orderBy: [column] },
  { title: `${column.name} (${column.getSQLType()}) descending`, orderBy: [descending(column)] },
]);
const several = fc
  .sample(fc.array(fc.tuple(fc.constantFrom(...columns), fc.boolean()), { minLength: 2, maxLength: 4 }), {
    numRuns: runsOf(16),
    seed: 11,
  })
  .map((chosen) => [...new Map(chosen.map(([column, down]) => [column, directed(column, down)])).values()])
  .map((orderBy) => ({
    title: orderBy
      .map((order) => ('descending' in order ? `${order.column.name} descending` : order.name))
      .join(', '),
    orderBy,
  }));

/** Every row in the order of the database, with what both sides make of it. */
async function sorted(declaration: ListDeclaration) {
  const list = listOf(declaration);
  const tags = insertTags(entityOf(declaration), 'measures') as SQL<string[]>;
  const rows = await db
    .select({ row: getTableColumns(measures), cursor: list.cursorColumn, tags })
    .from(measures)
    .orderBy(...list.order);
  return { list, rows };
}

/** All pages, one after another. */
async function paged(list: ListDefinition, query: ListQuery, limit: number): Promise<string[]> {
  const cursors: string[] = [];
  let after: string | undefined;
  for (;;) {
    const page = await list.read(db, { ...query, after, limit, select: { cursor: list.cursorColumn } });
    cursors.push(...page.rows.map(({ cursor }) => String(cursor)));
    if (page.next === null) return cursors;
    after = list.cursor.parse(page.next);
  }
}

describe.each([...each, ...several])('a list by $title', ({ orderBy }) => {
  it('has positions that sort as Postgres sorts, and the same in JavaScript', async () => {
    const { list, rows } = await sorted({ orderBy, digits: 48 });
    const positions = rows.map(({ tags }) => tags.at(-1)?.split('^')[1] ?? '');
    expect(positions).toEqual([...positions].sort());
    for (const { row, cursor, tags } of rows) {
      const placed = list.page({ cursors: [cursor], after: cursor, full: true });
      // The range from a place to itself is covered by the place alone.
      expect(placed).toEqual([tags.at(-1), tags[0]]);
      if (list.orderBy.some(({ type }) => type.kind === 'time' && type.isDate)) continue;
      expect(list.entering(row)).toEqual(tags.slice(1));
      expect(list.cursorOf(row)).toEqual(cursor);
    }
  });

  it('is read page by page in the same order', async () => {
    const { list, rows } = await sorted({ orderBy });
    expect(await paged(list, {}, 41)).toEqual(rows.map(({ cursor }) => cursor));
  });
});
