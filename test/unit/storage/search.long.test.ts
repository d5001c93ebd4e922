import { join } from 'node:path';
import { integer, pgTable, text } from 'drizzle-orm/pg-core';
import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import * as z from 'zod';
import { type DevDatabase, startDevDatabase } from '../../../scripts/dev/database.ts';
import { entity } from '../../../src/define/entity.ts';
import { SEARCH_LEXEMES_MAX } from '../../../src/define/search.ts';
import { captureStatements } from '../../../src/storage/postgres/capture.ts';
import { connect } from '../../../src/storage/postgres/connect.ts';
import { deleteEntity, putEntity } from '../../../src/storage/postgres/entity-writes.ts';
import { mistakeOf } from '../../support/catalog-mistakes.ts';
import { memoryDatabase } from '../../support/node/memory-database.ts';

const MIGRATIONS = join(import.meta.dirname, '../../support/catalog/migrations');
const Tags = z.array(z.object({ tags: z.array(z.string()) }));

const notes = pgTable('notes', {
  id: integer('id').primaryKey(),
  title: text('title').notNull(),
  body: text('body'),
  stars: integer('stars').notNull(),
});
const note = entity({
  name: 'note',
  table: notes,
  key: notes.id,
  searches: {
    byText: { columns: [notes.title, notes.body], language: 'english' },
    byTitle: { columns: [notes.title] },
  },
});
const select = { id: notes.id, title: notes.title, stars: notes.stars };

let database: DevDatabase;
let db: ReturnType<typeof connect>;
const query = async (statement: string, ...params: unknown[]) => await db.$client.query(statement, params);
/** The tags of all changes since the last call. */
async function changed(): Promise<string[]> {
  const rows = Tags.parse(await query('delete from millrace.outbox returning tags'));
  return rows.flatMap(({ tags }) => tags);
}

beforeAll(async () => {
  database = await startDevDatabase(await memoryDatabase(MIGRATIONS));
  db = connect({ url: database.connectionString, endpoint: database.endpoint });
  await query(
    'create table notes (id integer primary key, title text not null, body text, stars integer not null)',
  );
  const statements = captureStatements({ entities: [note], histories: [], everything: 'all' });
  await db.$client.transaction(statements.map((statement) => db.$client.query(statement)));
});
afterAll(async () => {
  await database.close();
});
beforeEach(async () => {
  await query('truncate notes');
  await changed();
});

const words = fc
  .array(
    fc.constantFrom('bike', 'bikes', 'riding', 'ride', 'red', 'the', 'Rot-Weiss', 'a@b.example', 'é,^'),
    {
      maxLength: 5,
    },
  )
  .map((chosen) => chosen.join(' '));
const change = fc.record({
  kind: fc.constantFrom('insert', 'update', 'star', 'rename', 'delete'),
  id: fc.integer({ min: 1, max: 12 }),
  title: words,
  body: fc.option(words),
});
const asked = fc.array(
  words.filter((text) => text !== ''),
  { minLength: 4, maxLength: 4 },
);

async function write({ kind, id, title, body }: z.infer<typeof Change>): Promise<void> {
  if (kind === 'insert')
    await query('insert into notes values ($1, $2, $3, 0) on conflict do nothing', id, title, body);
  else if (kind === 'update')
    await query('update notes set title = $2, body = $3 where id = $1', id, title, body);
  else if (kind === 'star') await query('update notes set stars = stars + 1 where id = $1', id);
  else if (kind === 'rename')
    await query('update notes set id = (select max(id) from notes) + 100 where id = $1', id);
  else await query('delete from notes where id = $1', id);
}
const Change = z.object({ kind: z.string(), id: z.int(), title: z.string(), body: z.string().nullable() });

describe('an answer of a search', () => {
  it('depends on a tag of each change that alters it, by any writer', async () => {
    const steps = fc.sample(fc.tuple(change, asked), { numRuns: 70, seed: 4 });
    const seen = { altered: 0, needless: 0, kept: 0 };
    for (const [step, queries] of steps) {
      const read = () =>
        Promise.all(
          queries.flatMap((text) => [
            note.searches.byText.read(db, { query: text, select, limit: 3 }),
            note.searches.byTitle.read(db, { query: text, select, limit: 3 }),
          ]),
        );
      const before = await read();
      await write(step);
      const tags = await changed();
      for (const [at, { rows }] of (await read()).entries()) {
        const isAltered = JSON.stringify(rows) !== JSON.stringify(before[at]?.rows);
        const isVoid = before[at]?.tags.some((tag) => tags.includes(tag)) ?? false;
        seen[isAltered ? 'altered' : isVoid ? 'needless' : 'kept'] += 1;
        if (isAltered) expect({ step, query: queries[at >> 1], isVoid }).toMatchObject({ isVoid: true });
      }
    }
    expect(seen.altered).toBeGreaterThan(30);
    expect(seen.kept).toBeGreaterThan(seen.needless);
  });

  it('has the rows that have all words of the query, in any form of them', async () => {
    await query(
      `insert into notes values (1, 'Red bikes', null, 0), (2, 'A bike', 'is ridden', 0), (3, 'Red', 'rides', 0)`,
    );
    const found = async (text: string) => {
      const { rows } = await note.searches.byText.read(db, { query: text, select, limit: 10 });
      return rows.map(({ id }) => id).sort();
    };
    expect(await found('bike')).toEqual([1, 2]);
    expect(await found('the RED biking')).toEqual([1]);
    expect(await found('red ride')).toEqual([3]);
    expect(await found('the')).toEqual([]);
    expect(await found(`'; drop & ! (`)).toEqual([]);
  });

  it('about one word stays valid when a row with other words is written, also by the worker itself', async () => {
    const { tags } = await note.searches.byText.read(db, { query: 'bike', select, limit: 10 });
    const put = async (body: string, stars: number) => {
      const written = await putEntity(db, note, 1, { title: 'Red', body, stars });
      // What is pending would be named by the next write of the row once more.
      await changed();
      return tags.some((tag) => written?.tags.some((other) => other === tag));
    };
    expect([await put('wine', 1), await put('bikes', 1), await put('bikes', 2)]).toEqual([
      false,
      true,
      false,
    ]);
    expect((await deleteEntity(db, note, 1))?.tags).toEqual([
      'note:1',
      'note/search-by-text^',
      'note/search-by-title^',
    ]);
  });

  it('is invalidated by a row with more lexemes than the limit', async () => {
    const { tags } = await note.searches.byText.read(db, { query: 'bike', select, limit: 10 });
    const many = Array.from({ length: SEARCH_LEXEMES_MAX + 1 }, (_, at) => `w${at}`).join(' ');
    await query('insert into notes values (1, $1, null, 0)', many);
    const written = await changed();
    expect(written.length).toBeLessThan(10);
    expect(tags.filter((tag) => written.includes(tag))).toEqual(['note/search-by-text^0']);
  });
});

describe('a declaration of a search', () => {
  it('is refused for a column that is not a text of its table', () => {
    const declare = (columns: Parameters<typeof Object.values>[0]) =>
      entity({
        name: 'note',
        table: notes,
        key: notes.id,
        searches: { broken: { columns: Object.values(columns) } },
      });
    expect(mistakeOf(declare([notes.stars]))).toMatch(/not a text of the table/);
    expect(mistakeOf(declare([]))).toMatch(/0 columns/);
  });
});
