import { bigint, char, integer, pgTable, primaryKey, text, uuid } from 'drizzle-orm/pg-core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { entity, history, tagsOfAppend } from '../../../src/define/entity.ts';
import { mistakeOf } from '../../support/catalog-mistakes.ts';

const stations = pgTable('stations', { id: integer('id').primaryKey(), name: text('name').notNull() });
const accounts = pgTable('accounts', { id: uuid('id').primaryKey() });
const parcels = pgTable('parcels', { id: bigint('id', { mode: 'bigint' }).primaryKey() });
const codes = pgTable('codes', { code: char('code', { length: 4 }).primaryKey() });
const docks = pgTable(
  'docks',
  { stationId: integer('station_id').notNull(), label: text('label').notNull() },
  (table) => [primaryKey({ columns: [table.stationId, table.label] })],
);
const rides = pgTable('rides', {
  eventSeq: bigint('event_seq', { mode: 'number' }).primaryKey(),
  dockStation: integer('dock_station'),
  dockLabel: text('dock_label'),
  station: integer('station').notNull(),
});

const station = entity({ name: 'station', table: stations, key: stations.id });
const account = entity({ name: 'account', table: accounts, key: accounts.id });
const parcel = entity({ name: 'parcel', table: parcels, key: parcels.id });
const dock = entity({ name: 'dock', table: docks, key: [docks.stationId, docks.label] });
const pairs = pgTable('pairs', {
  id: integer('id').primaryKey(),
  left: text('left').notNull(),
  right: text('right').notNull(),
});
const texts = pgTable('texts', { id: text('id').primaryKey() });
const code = entity({ name: 'free', table: texts, key: texts.id, keySchema: z.string().trim() });
const rideHistory = history({
  name: 'ride',
  table: rides,
  owners: [
    { entity: station, property: 'station' },
    { entity: dock, properties: { stationId: 'dockStation', label: 'dockLabel' } },
  ],
});

describe('the canonical text of a key', () => {
  it('is one for all spellings of a value', () => {
    expect([station.row(7), station.row('007'), station.row('7')]).toEqual(Array(3).fill('station:7'));
    expect([station.row('-0'), station.row(-3)]).toEqual(['station:0', 'station:-3']);
    const id = '0b1f7a52-6c6e-4a39-9a53-9a4f6c4d1c11';
    expect(account.row(id.toUpperCase())).toBe(`account:${id}`);
    expect(parcel.row(2n ** 62n)).toBe(`parcel:${2n ** 62n}`);
  });

  it('keeps a text as the database has it', () => {
    expect(code.row(' A ')).toBe('free: A ');
  });

  it('of several columns is unambiguous', () => {
    expect(dock.row({ stationId: 7, label: 'a,b%' })).toBe('dock:7,a%2Cb%25');
    fc.assert(
      fc.property(
        fc.tuple(fc.integer({ min: 0, max: 9 }), fc.string()),
        fc.tuple(fc.integer({ min: 0, max: 9 }), fc.string()),
        ([a, b], [c, d]) => {
          fc.pre([b, d].every((label) => label.isWellFormed() && !label.includes('\u0000')));
          const isSame = a === c && b === d;
          const left = dock.row({ stationId: a, label: b });
          const right = dock.row({ stationId: c, label: d });
          expect(left === right).toBe(isSame);
        },
      ),
    );
  });

  it('is parsed into the values that it was made from', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
        fc.string({ minLength: 1, maxLength: 20 }),
        (stationId, label) => {
          fc.pre(/^\P{Cc}*$/u.test(label) && label.isWellFormed() && !['.', '..'].includes(label));
          expect(dock.key.parse(dock.key.textOf({ stationId, label }))).toEqual({ stationId, label });
        },
      ),
    );
  });

  it('is refused for a value that the column cannot hold', () => {
    expect(() => station.row('seven')).toThrow(/"seven" is not a value of "id"/);
    expect(() => station.row(2 ** 31)).toThrow(/not a value/);
    expect(() => station.row(1.5)).toThrow(/not a value/);
    expect(() => account.row('x')).toThrow(/not a value/);
    expect(() => parcel.row(2n ** 63n)).toThrow(/not a value/);
  });
});

describe('a key that a client sends', () => {
  it('is parsed by the type of its column', () => {
    expect(station.key.parse('007')).toEqual({ id: 7 });
    expect(station.key.parse(7)).toEqual({ id: 7 });
    expect(parcel.key.parse('007')).toEqual({ id: 7n });
    expect(dock.key.parse({ stationId: '7', label: 'a' })).toEqual({ stationId: 7, label: 'a' });
  });

  it.each([['seven'], ['7.5'], [''], [null], [2 ** 31], [{ id: 1, other: 2 }], [[7]]])(
    'is refused for an integer column: %j',
    (input) => {
      expect(station.key.parse(input)).toBeUndefined();
    },
  );

  it('is refused if a part is missing, unknown or cannot be stored', () => {
    expect(dock.key.parse({ stationId: 7 })).toBeUndefined();
    expect(dock.key.parse('7')).toBeUndefined();
    expect(dock.key.parse({ stationId: 7, label: '\ud800' })).toBeUndefined();
    expect(dock.key.parse({ stationId: 7, label: 'a\u0000' })).toBeUndefined();
  });

  it('passes through the schema of its text', () => {
    const tagged = entity({
      name: 'label',
      table: docks,
      key: docks.label,
      keySchema: z.string().trim().toUpperCase().max(3),
    });
    expect(tagged.key.parse(' ab ')).toEqual({ label: 'AB' });
    expect(tagged.key.parse('abcd')).toBeUndefined();
    expect(tagged.row(' ab ')).toBe('label: ab ');
  });
});

describe('a history', () => {
  it('has tags of each owner that a row names', () => {
    expect(tagsOfAppend(rideHistory, { station: 3, dockStation: 3, dockLabel: 'x' })).toEqual([
      'ride@station:3',
      'ride@dock:3,x',
    ]);
    expect(tagsOfAppend(rideHistory, { station: 3, dockStation: 3, dockLabel: null })).toEqual([
      'ride@station:3',
    ]);
    expect(rideHistory.of(station, '03')).toBe('ride@station:3');
  });

  it('has no tag for an entity that is not an owner', () => {
    // @ts-expect-error an account owns no rides
    expect(() => rideHistory.of(account, 'x')).toThrow(/do not belong/);
  });
});

type Owner = Parameters<typeof history<typeof rides, [typeof station]>>[0]['owners'][0];

describe('a declaration', () => {
  it('is refused for a type whose values can be equal with different texts, and for a column of another table', () => {
    expect(mistakeOf(entity({ name: 'code', table: codes, key: codes.code }))).toMatch(/char\(4\)/);
    // @ts-expect-error a column of another table
    expect(mistakeOf(entity({ name: 'code', table: stations, key: codes.code }))).toMatch(/another table/);
  });

  it('does not compile if a body, an owner or a row has other columns', () => {
    const noField = { path: 'stations', body: z.strictObject({ nam: z.string() }) };
    // @ts-expect-error no such column
    entity({ name: 'a', table: stations, key: stations.id, write: noField });
    const otherType = { path: 'stations', body: z.strictObject({ name: z.number() }) };
    // @ts-expect-error a number for a text
    entity({ name: 'b', table: stations, key: stations.id, write: otherType });
    const incomplete = { path: 'pairs', body: z.strictObject({ left: z.string() }) };
    // @ts-expect-error "right" has no default
    entity({ name: 'c', table: pairs, key: pairs.id, write: incomplete });
    entity({
      name: 'd',
      table: stations,
      key: stations.id,
      write: { path: 's', body: z.strictObject({ name: z.string() }) },
    });
    // @ts-expect-error no such property of a ride
    const wrong = { entity: station, property: 'stat' } satisfies Owner;
    expect(wrong.property in rides).toBe(false);
    // @ts-expect-error a station has one key column, a dock two
    expect(() => dock.row(7)).toThrow(/several parts/);
  });
});
