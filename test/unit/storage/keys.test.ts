import { bigint, integer, pgTable, primaryKey, text, uuid } from 'drizzle-orm/pg-core';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import * as z from 'zod';
import { type DevDatabase, startDevDatabase } from '../../../scripts/dev/database.ts';
import { type EntityDefinition, entity, history, tagsOfAppend } from '../../../src/define/entity.ts';
import { ensure } from '../../../src/define/event.ts';
import { captureStatements } from '../../../src/storage/postgres/capture.ts';
import { connect } from '../../../src/storage/postgres/connect.ts';
import { deleteEntity, missingKeys, putEntity } from '../../../src/storage/postgres/entity-writes.ts';
import { storeEvents } from '../../../src/storage/postgres/event-store.ts';
import { FIXTURE } from '../../support/node/fixture.ts';
import { memoryDatabase } from '../../support/node/memory-database.ts';

const note = () => text('note').notNull();
const stations = pgTable('key_stations', { id: integer('id').primaryKey(), note: note() });
const parcels = pgTable('key_parcels', { id: bigint('id', { mode: 'bigint' }).primaryKey(), note: note() });
const accounts = pgTable('key_accounts', { id: uuid('id').primaryKey(), note: note() });
const labels = pgTable('key_labels', { label: text('label').primaryKey(), note: note() });
const docks = pgTable(
  'key_docks',
  { station: integer('station').notNull(), label: text('dock label').notNull(), note: note() },
  (table) => [primaryKey({ columns: [table.station, table.label] })],
);
const visits = pgTable('key_visits', {
  at: bigint('at', { mode: 'number' }).primaryKey(),
  station: integer('station'),
  label: text('label'),
});

const station = entity({ name: 'station', table: stations, key: stations.id });
const parcel = entity({ name: 'parcel', table: parcels, key: parcels.id });
const account = entity({ name: 'account', table: accounts, key: accounts.id });
const label = entity({ name: 'label', table: labels, key: labels.label, keySchema: z.string() });
const dock = entity({ name: 'dock', table: docks, key: [docks.station, docks.label] });
const visitHistory = history({
  name: 'visit',
  table: visits,
  owners: [{ entity: dock, properties: { station: 'station', label: 'label' } }],
});
const entities: readonly EntityDefinition[] = [station, parcel, account, label, dock];

const UUID = '0b1f7a52-6c6e-4a39-9a53-9a4f6c4d1c11';

let database: DevDatabase;
let db: ReturnType<typeof connect>;
const query = async (statement: string, ...params: unknown[]) => await db.$client.query(statement, params);
const tags = async (): Promise<string[]> => {
  const rows = z
    .array(z.object({ tags: z.array(z.string()) }))
    .parse(await query('select tags from millrace.outbox order by id'));
  await query('delete from millrace.outbox');
  return rows.flatMap((row) => row.tags);
};

beforeAll(async () => {
  database = await startDevDatabase(await memoryDatabase(FIXTURE.migrationsDir));
  db = connect({ url: database.connectionString, endpoint: database.endpoint });
  await query('create table key_stations (id integer primary key, note text not null)');
  await query('create table key_parcels (id bigint primary key, note text not null)');
  await query('create table key_accounts (id uuid primary key, note text not null)');
  await query('create table key_labels (label text primary key, note text not null)');
  await query(
    'create table key_docks (station integer, "dock label" text, note text not null, primary key (station, "dock label"))',
  );
  await query('create table key_visits (at bigint primary key, station integer, label text)');
  const capture = captureStatements({ entities, histories: [visitHistory], everything: 'everything' });
  await db.$client.transaction(capture.map((statement) => db.$client.query(statement)));
});
afterAll(() => database.close());
beforeEach(() => query('delete from millrace.outbox'));

/** An entity, a spelling of a key, and the values that other writers have for it in SQL. */
const CASES = [
  ['integer', station, '007', `7`, 'station:7'],
  ['bigint', parcel, String(2n ** 62n), String(2n ** 62n), `parcel:${2n ** 62n}`],
  ['uuid', account, UUID.toUpperCase(), `'${UUID.toUpperCase()}'`, `account:${UUID}`],
  ['text with blanks and commas', label, ' a,b%', `' a,b%'`, 'label: a,b%'],
  ['composite', dock, { station: '07', label: 'a,b%' }, `7, 'a,b%'`, 'dock:7,a%2Cb%25'],
] as const;

describe.each(CASES)('a key of %s', (_, definition: EntityDefinition, spelled, values, tag) => {
  const { key, table } = definition;
  const parsed = () => {
    const parts = key.parse(spelled);
    if (parts === undefined) throw new Error('Not a key.');
    return parts;
  };
  const name = () => Reflect.get(table, Symbol.for('drizzle:Name')) as string;

  it('has one tag for a reader, a write of ours, and another writer', async () => {
    expect(definition.row(parsed())).toBe(tag);
    const written = await putEntity(db, definition, parsed(), { note: 'ours' });
    expect(written).toMatchObject({ created: true, tags: [tag] });
    expect((await putEntity(db, definition, parsed(), { note: 'again' }))?.created).toBe(false);
    await tags();
    await query(`update ${name()} set note = 'theirs'`);
    expect(await tags()).toEqual([tag]);
    expect((await deleteEntity(db, definition, parsed()))?.tags).toEqual([tag]);
    await tags();
    await query(`insert into ${name()} values (${values}, 'theirs')`);
    expect(await tags()).toEqual([tag]);
    await query(`delete from ${name()}`);
    expect(await tags()).toEqual([tag]);
  });

  it('is found, or missing, by its values', async () => {
    expect(await missingKeys(db, definition, [parsed()])).toEqual([0]);
    await putEntity(db, definition, parsed(), { note: 'here' });
    expect(await missingKeys(db, definition, [parsed(), parsed()])).toEqual([]);
    await deleteEntity(db, definition, parsed());
  });
});

it('stores a row once that several events of a batch mention, for any columns of its key', async () => {
  const event = (id: string, row: Parameters<typeof ensure<typeof dock>>[1]) => ({
    source: '/keys',
    id,
    type: 'key.seen.v1',
    subject: null,
    time: '2026-11-01T00:00:00Z',
    data: {},
    effects: [ensure(dock, row)],
    tags: [],
  });
  const events = [
    event('1', { station: 1, label: 'a', note: 'first' }),
    event('2', { station: 1, label: 'a', note: 'second' }),
    event('3', { station: 1, label: 'b', note: 'third' }),
  ];
  await storeEvents(db, events, crypto.randomUUID());
  const rows = await query('select note from key_docks order by "dock label"');
  expect(rows).toEqual([{ note: 'first' }, { note: 'third' }]);
  expect((await tags()).sort()).toEqual(['dock:1,a', 'dock:1,b']);
});

it('captures the part of a history that belongs to an owner with a composite key', async () => {
  await query(`insert into key_visits values (1, 7, 'a,b'), (2, 7, null), (3, null, 'x')`);
  const expected = tagsOfAppend(visitHistory, { at: 1, station: 7, label: 'a,b' });
  expect(expected).toEqual(['visit@dock:7,a%2Cb']);
  expect(await tags()).toEqual(expected);
});
