import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { type Effect, set, upsert } from '../../../src/define/event.ts';
import { storeInTransactions } from '../../../src/pipeline/transactions.ts';
import { LineLimit } from '../../../src/platform/logger.ts';
import { classifyFault } from '../../../src/storage/postgres/connect.ts';
import { FIXTURE } from '../../support/node/fixture.ts';
import { memoryDatabase } from '../../support/node/memory-database.ts';
import {
  bike,
  type EffectsDatabase,
  openEffectsDatabase,
  station,
  storable,
  value,
} from './effects-catalog.ts';

let of: EffectsDatabase;
beforeAll(async () => {
  of = await openEffectsDatabase(await memoryDatabase(FIXTURE.migrationsDir));
  await of.db.execute(`alter table stations add column code varchar(3)`);
});
afterAll(() => of.stop());
beforeEach(() => of.empty());
afterEach(() => vi.restoreAllMocks());

const store = (all: readonly (readonly Effect[])[], data?: unknown) =>
  storeInTransactions(
    all.map((effects, index) => ({
      ...storable(`${index}`, index, effects),
      ...(data === undefined ? {} : { data }),
    })),
    { storeEvents: of.store, classifyFault },
  );
const stationOf = (row: Record<string, unknown>): Effect[] => [
  { kind: 'ensure', entity: station, row: { id: 'a', ...row } },
];

describe('an event that the database refuses', () => {
  it('is found, and the other events of its transaction are stored', async () => {
    vi.spyOn(console, 'warn').mockImplementation(() => {});
    const { refused } = await store([
      [upsert(station, { id: 'a', name: 'A' })],
      stationOf({ id: 'b', name: null }),
      [upsert(station, { id: 'c', name: 'C' })],
    ]);
    expect(refused).toMatchObject([{ event: { id: '1' }, reason: 'storage_refused' }]);
    expect((await of.db.execute('select id from stations order by id')).rows).toEqual([
      { id: 'a' },
      { id: 'c' },
    ]);
  });

  it.each([
    [
      'a null',
      stationOf({ name: null }),
      { name: null },
      '/data/name',
      'SQLSTATE 23502, table "stations", column "name"',
    ],
    ['a null of another name', stationOf({ name: null }), { title: null }, '/data', 'column "name"'],
    [
      'a check',
      stationOf({ revenue: '-1' }),
      { revenue: -1 },
      '/data',
      'SQLSTATE 23514, table "stations", constraint "no_negative_revenue"',
    ],
    [
      'a number out of range',
      stationOf({ battery: 99_999_999_999 }),
      { battery: 99_999_999_999 },
      '/data/battery',
      'SQLSTATE 22003, table "stations", column "battery"',
    ],
    [
      'too many digits',
      stationOf({ revenue: '123456789012' }),
      { revenue: 1 },
      '/data/revenue',
      'SQLSTATE 22003, table "stations", column "revenue"',
    ],
    [
      'no number',
      [{ kind: 'ensure', entity: bike, row: { fleet: 'f', number: 'seven' } }] satisfies Effect[],
      { number: 'seven' },
      '/data/number',
      'SQLSTATE 22P02, table "keys", column "number"',
    ],
  ] as const)(
    'for %s is reported with SQLSTATE, column and constraint',
    async (_, effects, data, pointer, detail) => {
      const warn = vi.spyOn(console, 'warn').mockImplementation(() => {});
      // Other tests of this process may have written as many lines as a minute has.
      vi.spyOn(LineLimit.prototype, 'admit').mockReturnValue(0);
      const { refused } = await store([effects], data);
      expect(refused).toMatchObject([{ pointer, detail: expect.stringContaining(detail) }]);
      const line: unknown = JSON.parse(String(warn.mock.calls[0]?.[0]));
      expect(line).toMatchObject({
        'error.code': detail.includes('SQLSTATE') ? detail.slice(9, 14) : '23502',
      });
      expect(JSON.stringify(line)).not.toContain('99999999999');
    },
  );

  it('is reported without values of the row that it would change', async () => {
    vi.spyOn(console, 'warn').mockImplementation(() => {});
    await of.store([storable('x', 1, [upsert(station, { id: 'a', name: 'A', note: 'a secret' })])]);
    const { refused } = await store([[set(station, 'a', { revenue: '-1' })]]);
    expect(refused[0]?.detail).toContain('no_negative_revenue');
    expect(refused[0]?.detail).not.toContain('secret');
  });
});

describe('a table that lacks a column', () => {
  it('is reported as a mistake of the catalog, and blames no event', async () => {
    const error = vi.spyOn(console, 'error').mockImplementation(() => {});
    await of.db.execute('alter table values drop column short');
    await expect(store([[upsert(value, { id: 1n, short: 'x' })]])).rejects.toThrow();
    expect(JSON.parse(String(error.mock.calls[0]?.[0]))).toMatchObject({
      message: expect.stringContaining('Apply the migrations'),
      'error.code': '42703',
      'millrace.db.missing': 'short',
    });
  });
});
