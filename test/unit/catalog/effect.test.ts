import { integer, numeric, pgTable, primaryKey, text, timestamp, uuid } from 'drizzle-orm/pg-core';
import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { entity, history } from '../../../src/define/entity.ts';
import { append, ensure, event, increment, remove, set, upsert } from '../../../src/define/event.ts';
import { mistakeOf } from '../../support/catalog-mistakes.ts';

const moment = (name: string) => timestamp(name, { withTimezone: true, mode: 'string' });

const stations = pgTable('stations', {
  id: text('id').primaryKey(),
  name: text('name').notNull(),
  status: text('status'),
  battery: integer('battery'),
  reportedAt: moment('reported_at'),
  bikes: integer('bikes').notNull().default(0),
  revenue: numeric('revenue', { precision: 12, scale: 2 }),
});
const station = entity({
  name: 'station',
  table: stations,
  key: stations.id,
  clocks: { reportedAt: ['status', 'battery'] },
});
const docks = pgTable(
  'docks',
  { station: text('station').notNull(), number: integer('number').notNull(), bike: uuid('bike') },
  (table) => [primaryKey({ columns: [table.station, table.number] })],
);
const dock = entity({ name: 'dock', table: docks, key: [docks.station, docks.number] });
const riders = pgTable(
  'ride_riders',
  {
    eventSeq: integer('event_seq').notNull(),
    eventLine: integer('event_line').notNull(),
    rider: text('rider').notNull(),
  },
  (table) => [primaryKey({ columns: [table.eventSeq, table.eventLine] })],
);
const reports = pgTable('reports', { eventSeq: integer('event_seq').primaryKey(), note: text('note') });
const riderHistory = history({ name: 'ride-rider', table: riders, owners: [] });
const reportHistory = history({ name: 'report', table: reports, owners: [] });

describe('effects', () => {
  it('name the row by its key, and the columns', () => {
    expect(set(station, 'a', { status: 'open', battery: 80 })).toMatchObject({
      kind: 'set',
      row: { id: 'a', status: 'open', battery: 80 },
    });
    expect(set(dock, { station: 'a', number: '7' }, { bike: null })).toMatchObject({
      row: { station: 'a', number: '7', bike: null },
    });
    expect(
      increment(station, 'a', { bikes: -1, revenue: '2.50' }, { orInsert: { name: 'A' } }),
    ).toMatchObject({
      key: { id: 'a' },
      by: { bikes: -1, revenue: '2.50' },
      orInsert: { id: 'a', name: 'A' },
    });
    expect(upsert(station, { id: 'a', name: 'A' })).toMatchObject({ row: { id: 'a', name: 'A' } });
    expect(remove(station, 'a')).toMatchObject({ kind: 'remove', key: { id: 'a' } });
  });

  it('leave out undefined values, and keep null', () => {
    const effect = upsert(station, { id: 'a', name: 'A', status: null, battery: null, bikes: undefined });
    expect(effect).toHaveProperty('row', { id: 'a', name: 'A', status: null, battery: null });
  });

  it('are typed by the table', () => {
    // @ts-expect-error no such column
    expect(() => set(station, 'a', { colour: 'red' })).toThrow('"colour"');
    // @ts-expect-error another type
    set(station, 'a', { status: 1, battery: 1 });
    // @ts-expect-error the key is not replaced
    set(station, 'a', { id: 'b' });
    // @ts-expect-error a column that is not null is missing
    upsert(station, { id: 'a' });
    // @ts-expect-error a text is no number
    expect(() => increment(station, 'a', { name: 1 })).toThrow('"name"');
    // @ts-expect-error a part of the key is no counter
    expect(() => increment(dock, { station: 'a', number: 1 }, { number: 1 })).toThrow('key');
    // @ts-expect-error a column under a clock is no counter
    expect(() => increment(station, 'a', { battery: 1 })).toThrow('under a clock');
    // @ts-expect-error clocks are written with their columns
    expect(() => set(station, 'a', { reportedAt: '2026-01-01T00:00:00Z' })).toThrow('is a clock');
    // @ts-expect-error the key has two parts
    expect(() => set(dock, 'a', {})).toThrow('several parts');
  });

  it('write all columns of a clock or none', () => {
    expect(() => set(station, 'a', { status: 'open' })).toThrow('not "battery"');
    expect(() => upsert(station, { id: 'a', name: 'A', battery: 1 })).toThrow('not "status"');
    expect(ensure(station, { id: 'a', name: 'A', battery: 1 })).toBeDefined();
  });

  it('add only finite numbers', () => {
    expect(() => increment(station, 'a', { bikes: Number.NaN })).toThrow('adds NaN');
    expect(() => increment(station, 'a', { bikes: '1e3' })).toThrow('adds 1e3');
  });

  it('remove rows of an entity with one clock only', () => {
    expect(() => remove(dock, { station: 'a', number: 1 })).toThrow('has 0 clocks');
  });
});

describe('several rows of one event in a history', () => {
  const ride = (of: typeof riderHistory | typeof reportHistory) =>
    event({
      type: 'ride',
      version: 1,
      description: '',
      data: z.object({ riders: z.array(z.string()) }),
      stores: ({ riders: named }) =>
        named.map((rider) =>
          of === riderHistory ? append(riderHistory, { rider }) : append(reportHistory, { note: rider }),
        ),
    });
  const context = { occurredAt: 0, now: 0 };

  it('are distinguished by their line', () => {
    expect(ride(riderHistory).interpret({ riders: ['a', 'b'] }, context)).toMatchObject({ ok: true });
  });
  it('are refused if the table has no line', () => {
    expect(ride(reportHistory).interpret({ riders: ['a', 'b'] }, context)).toMatchObject({
      ok: false,
      reason: 'stores_failed',
      detail: expect.stringContaining('eventLine'),
    });
    expect(ride(reportHistory).interpret({ riders: ['a'] }, context)).toMatchObject({ ok: true });
  });
});

describe('a clock', () => {
  const table = pgTable('t', {
    id: text('id').primaryKey(),
    a: text('a'),
    b: text('b'),
    at: moment('at'),
    never: moment('never').notNull(),
    local: timestamp('local', { mode: 'string' }),
    whole: timestamp('whole', { withTimezone: true, precision: 0, mode: 'string' }),
  });
  const declare = (clocks: Parameters<typeof entity<typeof table, typeof table.id>>[0]['clocks']) =>
    entity({ name: 't', table, key: table.id, clocks: { ...clocks } });

  it('is a nullable timestamp with time zone, of columns that have no other', () => {
    expect(
      Object.keys(entity({ name: 't', table, key: table.id, clocks: { at: ['a', 'b'] } }).clocks),
    ).toEqual(['at']);
    expect(mistakeOf(declare({ never: ['a'] }))).toContain('nullable');
    expect(mistakeOf(declare({ local: ['a'] }))).toContain('time zone');
    expect(mistakeOf(declare({ whole: ['a'] }))).toContain('millisecond');
    expect(mistakeOf(declare({ at: ['id'] }))).toContain('a part of the key');
    expect(mistakeOf(declare({ at: ['at'] }))).toContain('a clock');
    expect(mistakeOf(declare({ at: [] }))).toContain('no columns');
    // @ts-expect-error a text is no clock
    expect(mistakeOf(entity({ name: 't', table, key: table.id, clocks: { a: ['b'] } }))).toContain(
      'timestamp',
    );
    // @ts-expect-error no such column
    expect(mistakeOf(entity({ name: 't', table, key: table.id, clocks: { at: ['c'] } }))).toContain('"c"');
  });
});
