import { join } from 'node:path';
import { sql } from 'drizzle-orm';
import { integer, pgTable, text } from 'drizzle-orm/pg-core';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import * as z from 'zod';
import { type DevDatabase, startDevDatabase } from '../../../scripts/dev/database.ts';
import { EndedEpochs, InvalidatedChanges } from '../../../src/cache/as-of.ts';
import { entity } from '../../../src/define/entity.ts';
import { event } from '../../../src/define/event.ts';
import { feature } from '../../../src/define/feature.ts';
import { type Database, type ViewDefinition, view } from '../../../src/define/view.ts';
import { groupOf } from '../../../src/features/groups.ts';
import { type LoadViewPorts, loadView, ViewFault } from '../../../src/features/load-view.ts';
import { withTimeout } from '../../../src/platform/clock.ts';
import { connect } from '../../../src/storage/postgres/connect.ts';
import { reflect } from '../../../src/storage/postgres/reflecting.ts';
import { memoryDatabase } from '../../support/node/memory-database.ts';

const EPOCH = '0f';
let database: DevDatabase;
let db: ReturnType<typeof connect>;
beforeAll(async () => {
  const migrationsDir = join(import.meta.dirname, '../../support/catalog/migrations');
  database = await startDevDatabase(await memoryDatabase(migrationsDir));
  db = connect({ url: database.connectionString, endpoint: database.endpoint });
});
afterAll(async () => {
  logged.mockRestore();
  await database.close();
});

const logged = vi.spyOn(console, 'error').mockImplementation(() => undefined);
afterEach(() => {
  logged.mockClear();
});
const logLines = () => logged.mock.calls.map(([line]) => JSON.parse(String(line)) as Record<string, unknown>);

const stations = pgTable('stations', { id: integer('id').primaryKey(), name: text('name').notNull() });
const station = entity({ name: 'station', table: stations, key: stations.id });
const ride = event({
  type: 'bikes.ride',
  version: 1,
  description: 'A ride.',
  data: z.object({ station: z.int(), rider: z.string() }),
  stores: () => [],
});
const rides = feature.count({
  name: 'rides',
  entity: station,
  event: ride,
  key: (data) => data.station,
  windowsDays: [1],
});
const last = feature.last({
  name: 'last_ride_at',
  entity: station,
  event: ride,
  key: (data) => data.station,
});

const common = {
  name: 'station-activity',
  path: '/v1/stations/{id}/activity',
  description: 'How busy a station is.',
  params: { id: z.coerce.number() },
  response: z.object({ id: z.number(), rides: z.number() }),
} as const;

function portsOf(read: LoadViewPorts['shards']['read'] = async () => [], of = db): LoadViewPorts {
  return {
    epoch: EPOCH,
    reflection: reflect(of.$client, EPOCH),
    invalidated: new InvalidatedChanges(),
    ended: new EndedEpochs(),
    currentEpoch: async () => EPOCH,
    invalidate: async () => ({ epoch: EPOCH, seq: 1 }),
    withTimeout,
    shards: { read },
  };
}
const load = (definition: ViewDefinition, ports = portsOf()) =>
  loadView(definition, { input: { id: 7 }, variant: {}, principal: undefined }, 86_400_000, ports);

describe('features of a view', () => {
  const activity = view({
    ...common,
    features: { here: { of: [rides], key: ({ id }) => id } },
    load: async (_db, { id }, { features }) => ({ id, rides: features.here.rides_1d.value }),
    tags: ({ id }) => [station.row(id)],
  });
  const value = (count: number) => ({ value: count, status: 'PRESENT', eventAt: 1 }) as const;

  it('are read by the key of the input as of its grain, and their tag is added', async () => {
    const asked: unknown[] = [];
    const read: LoadViewPorts['shards']['read'] = async (...of) => {
      asked.push(of);
      return [{ rides_1d: value(3), last_ride_at: value(9) }];
    };
    expect(await load(activity, portsOf(read))).toMatchObject({
      value: { id: 7, rides: 3 },
      tags: [
        ...['station:7', 'features:station:7', `features:station:${groupOf(rides)}:7`],
        'features-ready:station:rides',
      ],
    });
    expect(asked).toEqual([[expect.stringMatching(/^station\/\d$/), 'station', ['7'], 86_400_000]]);
  });

  it('are those that it declares, and no others of the entity', async () => {
    const seen = view({
      ...common,
      response: z.object({ names: z.array(z.string()) }),
      features: { here: { of: [last], key: ({ id }) => id } },
      load: async (_db, _input, { features }) => ({ names: Object.keys(features.here) }),
      tags: () => [],
    });
    const read = async () => [{ rides_1d: value(3), last_ride_at: value(9) }];
    expect((await load(seen, portsOf(read))).value).toEqual({ names: ['last_ride_at'] });
  });

  it('are an outage if their store is unavailable, and a defect if it fails', async () => {
    const failing = (error: Error) =>
      load(
        activity,
        portsOf(() => Promise.reject(error)),
      );
    const away = Object.assign(new Error('Network connection lost.'), { retryable: true });
    await expect(failing(away)).rejects.toMatchObject({ code: 'features_unavailable', retryAfterS: 1 });
    expect(logLines()).toEqual([]);
    await expect(failing(new TypeError('a defect'))).rejects.toBeInstanceOf(ViewFault);
  });
});

describe('an error of the view', () => {
  const failingAt = {
    load: view({
      ...common,
      load: async (_db, { id }) => ({ id, rides: (undefined as unknown as { rides: number }).rides }),
      tags: () => [],
    }),
    tags: view({
      ...common,
      load: async (_db, { id }) => ({ id, rides: 0 }),
      tags: () => {
        throw new RangeError('no such tag');
      },
    }),
    response: view({
      ...common,
      response: z.object({ id: z.number(), rides: z.number().min(1) }),
      load: async (_db, { id }) => ({ id, rides: 0 }),
      tags: () => [],
    }),
    features: view({
      ...common,
      features: { here: { of: [rides], key: () => 'no number' } },
      load: async (_db, { id }) => ({ id, rides: 0 }),
      tags: () => [],
    }),
  };
  it.each(Object.entries(failingAt))('in %s is a defect, logged with its name', async (_, definition) => {
    const error: unknown = await load(definition).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(ViewFault);
    expect(logLines()).toMatchObject([{ 'log.level': 'error', 'millrace.view': 'station-activity' }]);
  });

  it('in one row names the pointer, and no value of the row', async () => {
    const rowsOf = view({
      ...common,
      response: z.object({ rows: z.array(z.object({ id: z.number(), secret: z.number() })) }),
      load: async () => ({
        rows: [
          { id: 7, secret: 1 },
          { id: 8, secret: Number.NaN },
        ],
      }),
      tags: () => [],
    });
    const error: unknown = await load(rowsOf).catch((reason: unknown) => reason);
    expect(logLines()).toMatchObject([{ 'millrace.pointer': '/rows/1/secret' }]);
    expect(error instanceof ViewFault && logLines()[0]?.['error.id'] === error.id).toBe(true);
  });

  const asking = (query: (of: Database) => Promise<unknown>) =>
    view({
      ...common,
      load: async (of, { id }) => {
        await query(of);
        return { id, rides: 0 };
      },
      tags: () => [],
    });
  it.each([
    ['42703', 'an undefined column', sql`select nothing from (select 1) as one`],
    ['42P01', 'an undefined table', sql`select * from nowhere`],
    ['22012', 'a division by zero', sql`select 1 / 0`],
    ['22P02', 'a text that is no number', sql`select 'x'::int`],
  ])('in SQL is logged with its SQLSTATE: %s, %s', async (sqlstate, _, query) => {
    const error: unknown = await load(asking((of) => of.execute(query))).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(ViewFault);
    expect(logLines()).toMatchObject([{ 'millrace.view': 'station-activity', 'error.code': sqlstate }]);
  });

  it('is distinguished from request text that Postgres cannot hold, and from an unavailable database', async () => {
    const text = asking((of) => of.execute(sql`select ${'a\u0000b'}::text`));
    await expect(load(text)).rejects.toMatchObject({ code: 'invalid_request' });
    const away = connect({ url: 'postgres://u:p@127.0.0.1:9/none', endpoint: 'http://127.0.0.1:9/sql' });
    const ports = portsOf(undefined, away);
    const asks = asking((of) => of.execute(sql`select 1`));
    await expect(load(asks, ports)).rejects.toMatchObject({ code: 'database_unavailable' });
    connect({ url: database.connectionString, endpoint: database.endpoint });
    expect(logLines()).toEqual([]);
  });
});
