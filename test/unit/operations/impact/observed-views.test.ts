import { and, count, eq, exists, max, sql } from 'drizzle-orm';
import { alias, integer, pgTable, pgView, text, timestamp } from 'drizzle-orm/pg-core';
import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { assemble, type Catalog } from '../../../../src/define/catalog.ts';
import { entity, history } from '../../../../src/define/entity.ts';
import { append, event } from '../../../../src/define/event.ts';
import { feature } from '../../../../src/define/feature.ts';
import { type Database, type ViewDefinition, view } from '../../../../src/define/view.ts';
import { observeEvent } from '../../../../src/operations/impact/observed-events.ts';
import { observeViews } from '../../../../src/operations/impact/observed-views.ts';
import { withTimeout } from '../../../../src/platform/clock.ts';

const rooms = pgTable('rooms', {
  id: text('id').primaryKey(),
  floor: integer('floor').notNull(),
  name: text('name'),
});
const visits = pgTable('visits', {
  eventSeq: integer('event_seq').primaryKey(),
  room: text('room').notNull(),
  guest: text('guest').notNull(),
  at: timestamp('occurred_at', { mode: 'string' }).notNull(),
});
const elsewhere = pgTable('elsewhere', { id: text('id').primaryKey() });
const room = entity({ name: 'room', table: rooms, key: rooms.id });
const visitHistory = history({ name: 'visit', table: visits, owners: [{ entity: room, property: 'room' }] });

const Found = z.object({ found: z.unknown() });

/** The view as it was observed. */
async function observed(
  load: (db: Database, input: { floor?: string | undefined }) => Promise<unknown>,
  more: Partial<Catalog> = {},
) {
  const one = view({
    ...{ name: 'one', path: '/v1/one', description: 'A view.', response: Found },
    query: { floor: z.string().optional() },
    load: async (db, input) => ({ found: await load(db, input) }),
    tags: () => [room.row('1')],
  });
  return await observedView(one, more);
}

async function observedView(one: ViewDefinition, more: Partial<Catalog> = {}) {
  const catalog = { ...assemble({ all: { room, visitHistory, one } }), ...more };
  const seen = (await observeViews(catalog, withTimeout)).get(one.name);
  if (seen === undefined) throw new Error('The view was not observed.');
  const { tables, columns, foreign, unknown } = seen;
  return { tables: [...tables].sort(), columns: [...columns].sort(), foreign: [...foreign], unknown };
}

describe('the columns that a view is seen to read', () => {
  const nothing = { foreign: [], unknown: [] };
  it.each<[name: string, load: (db: Database) => Promise<unknown>, columns: string[]]>([
    ['selected', (db) => db.select({ id: rooms.id }).from(rooms), ['rooms.id']],
    ['selected as all', (db) => db.select().from(rooms), ['rooms.floor', 'rooms.id', 'rooms.name']],
    [
      'of conditions and orders',
      (db) => db.select({ id: rooms.id }).from(rooms).where(eq(rooms.floor, 1)).orderBy(rooms.name),
      ['rooms.floor', 'rooms.id', 'rooms.name'],
    ],
    [
      'of an aggregate',
      (db) =>
        db
          .select({ at: max(visits.at), n: count() })
          .from(visits)
          .groupBy(visits.room),
      ['visits.occurred_at', 'visits.room'],
    ],
    [
      'of joins with another name',
      async (db) => {
        const other = alias(visits, 'other');
        return await db.select({ guest: other.guest }).from(rooms).leftJoin(other, eq(other.room, rooms.id));
      },
      ['rooms.id', 'visits.guest', 'visits.room'],
    ],
    [
      'of subqueries',
      async (db) => {
        const some = db.select({ room: visits.room }).from(visits).as('some');
        const seen = db.select({ one: sql`1` }).from(visits).where(eq(visits.guest, rooms.name));
        return await db
          .select({ room: some.room })
          .from(some)
          .innerJoin(rooms, and(eq(rooms.id, some.room), exists(seen)));
      },
      ['rooms.id', 'rooms.name', 'visits.guest', 'visits.room'],
    ],
    [
      'of a common table expression',
      async (db) => {
        const some = db.$with('some').as(db.select({ room: visits.room }).from(visits));
        return await db.with(some).select().from(some);
      },
      ['visits.room'],
    ],
    ['of `$count`', (db) => db.$count(visits, eq(visits.guest, 'a')), ['visits.guest']],
    [
      'of SQL that was written by hand',
      (db) => db.execute(sql`select floor, count(*) from rooms where "name" = ${'a'} group by floor`),
      ['rooms.floor', 'rooms.name'],
    ],
    [
      'of all that SQL takes',
      (db) => db.execute(sql`select r.* from public.rooms r`),
      ['rooms.floor', 'rooms.id', 'rooms.name'],
    ],
    [
      'of a part of a moment',
      (db) => db.select({ s: sql<number>`extract(epoch from occurred_at)` }).from(visits),
      ['visits.occurred_at'],
    ],
    [
      'of a batch, and of what follows a row',
      async (db) => {
        const [[row]] = await db.batch([db.select({ id: rooms.id }).from(rooms)]);
        if (row === undefined) return null;
        return await db.select({ guest: visits.guest }).from(visits).where(eq(visits.room, row.id));
      },
      ['rooms.id', 'visits.guest', 'visits.room'],
    ],
  ])('%s', async (_, load, columns) => {
    expect(await observed(load)).toEqual({
      ...nothing,
      tables: [...new Set(columns.map((column) => column.split('.')[0]))].sort(),
      columns,
    });
  });

  it('for an optional parameter', async () => {
    const seen = await observed(async (db, { floor }) =>
      floor === undefined
        ? []
        : await db
            .select({ id: rooms.id })
            .from(rooms)
            .where(eq(rooms.floor, Number(floor))),
    );
    expect(seen.columns).toEqual(['rooms.floor', 'rooms.id']);
  });
});

describe('what cannot be seen is said', () => {
  it('of tables and views that the catalog does not have', async () => {
    const listed = pgView('listed', { id: text('id') }).existing();
    expect((await observed((db) => db.select().from(elsewhere))).tables).toEqual(['elsewhere']);
    expect((await observed((db) => db.select().from(listed))).foreign).toEqual(['listed']);
    expect((await observed((db) => db.execute(sql`select 1 from other.secrets s`))).foreign).toEqual([
      'other.secrets',
    ]);
  });

  it('of a load that fails, or that waits for something else', async () => {
    const failing = await observed(async (db) => {
      await db.select({ id: rooms.id }).from(rooms);
      throw new Error('No such thing.');
    });
    expect(failing.columns).toEqual(['rooms.id']);
    expect(failing.unknown).toEqual([
      'Its load failed with made-up rows: No such thing.',
      'Its load failed without rows: No such thing.',
    ]);
    const waiting = await observed(() => new Promise(() => undefined));
    expect(waiting.unknown[0]).toMatch(/it did not end; it waits for something else than the database$/);
  });

  it('of a parameter without a known value', async () => {
    const strict = view({
      ...{ name: 'strict', path: '/v1/strict', description: 'A view.', response: Found },
      query: { word: z.string().regex(/^only-this-\d{9}$/) },
      load: async () => ({ found: 1 }),
      tags: () => [],
    });
    expect((await observedView(strict)).unknown).toEqual([
      'No value of its parameter "word" is known, so its load was not run with one.',
    ]);
  });
});

describe('an event', () => {
  const data = z.object({
    room: z.string(),
    guest: z.string(),
    stay: z.int().default(1),
    mood: z.enum(['a', 'b']),
  });
  const declared = {
    ...{ type: 'hotel.visit', version: 1, description: 'A visit.', data },
    stores: ({ room: of, guest, mood }: z.output<typeof data>) => [
      append(visitHistory, { room: of, guest: mood === 'a' ? guest : 'nobody', at: '2026-01-01T00:00:00Z' }),
    ],
  };
  it('is seen to store each field where another value of it changes a column', () => {
    const visit = event({ ...declared, example: { room: '1', guest: 'g', mood: 'a' } });
    const nights = feature.sum({
      ...{ name: 'nights', entity: room, event: visit, windowsDays: [1] },
      key: ({ room: of }) => of,
      value: ({ stay, mood }) => (mood === 'b' ? stay : 0),
    });
    const seen = observeEvent(visit, [nights]);
    expect(Object.fromEntries([...seen.fields].map(([field, columns]) => [field, [...columns]]))).toEqual({
      ...{ room: ['visits.room'], guest: ['visits.guest'], mood: ['visits.guest'], stay: [] },
    });
    expect([...(seen.readBy.get(nights) ?? [])].sort()).toEqual(['mood', 'room', 'stay']);
    expect(seen.unknown).toEqual([]);
  });

  it('is not run without an example, and a field not without another value', () => {
    expect(observeEvent(event(declared), []).unknown).toEqual([
      { field: null, reason: 'It has no example, so its functions were not run.' },
    ]);
    const fixed = event({
      ...declared,
      ...{ type: 'hotel.fixed', data: z.object({ code: z.literal('x') }), stores: () => [] },
      example: { code: 'x' as const },
    });
    expect(observeEvent(fixed, []).unknown).toEqual([
      { field: 'code', reason: expect.stringMatching(/^No other value of it was found/) },
    ]);
  });
});
