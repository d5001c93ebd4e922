import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import * as z from 'zod';
import { examplesOf } from '../../../../test/support/gateway/catalog-examples.ts';
import { Reads } from '../../../../test/support/node/reads.ts';
import { eventually, type Stack, startStack } from '../../../../test/support/node/stack.ts';
import { BIKE_SHARE } from '../served.ts';

// Raw requests: strangers (test/unit/architecture/raw-requests.test.ts).
const RIDER = '7d0c4f86-54a1-4f0b-9c53-1f4f9a3d2b10';

interface Explained {
  readonly value: number;
  readonly features: Readonly<Record<string, { readonly value: number }>> | null;
  readonly explanation: {
    readonly baseline: number;
    readonly contributions: readonly { readonly column: string; readonly contribution: number }[];
  };
}

/** Operations that have an example in any case: reads, writes, predictions, and Millrace's own that name declarations. */
const EXAMPLES_OF = [
  'readStation',
  'readStations',
  'putStation',
  'readRider',
  'listEventTypes',
  'queryFeatures',
];

let stack: Stack;
const { get, cached, fresh } = new Reads(() => stack);
beforeAll(async () => {
  stack = await startStack({}, { served: BIKE_SHARE, capture: true });
  for (const [id, name] of [
    [101, 'Harbour'],
    [102, 'Market'],
    [103, 'Hill'],
  ] as const)
    expect((await put(`/v1/stations/${id}`, { name, district: 'Old Town', capacity: 20 })).status).toBe(201);
  expect((await put('/v1/docks/101/3', { state: 'in_service' })).status).toBe(201);
});
afterAll(() => stack[Symbol.asyncDispose]());

const put = (path: string, json: object) => stack.caller.ask('PUT', path, { json });

/** Stores an event; the answer comes when reads show it. */
const store = (type: string, id: string, data: object, time?: string) =>
  stack.caller.ask('POST', '/v1/events', {
    contentType: 'application/cloudevents+json',
    headers: { prefer: 'wait' },
    json: { specversion: '1.0', source: '/e2e', id, type, time, data },
  });

const ride = (id: string, minutes = 14) =>
  store('bikes.ride.v1', id, {
    ...{ rider: RIDER, plan: 'member', bike: 'B204', minutes },
    ...{ startStation: 101, startDock: 3, endStation: 102, endDock: 1 },
  });
const report = (id: string, bikes: number, time: string) =>
  store('bikes.station-report.v1', id, { station: 101, bikes, docksFree: 20 - bikes }, time);

it('shows a ride at both stations, the dock and the rider, and leaves another station a hit', async () => {
  await cached('/v1/stations/101');
  await cached('/v1/stations/103');
  const stored = await ride('ride-1');
  expect(stored.status).toBe(201);
  const headers = { 'millrace-token': stored.headers.get('millrace-token') ?? '' };
  expect((await get('/v1/stations/101', headers)).json).toMatchObject({ rides: { begun: 1, ended: 0 } });
  expect((await get('/v1/stations/102', headers)).json).toMatchObject({ rides: { begun: 0, ended: 1 } });
  expect((await get('/v1/stations/101/docks/3', headers)).json).toMatchObject({ movements: 1, faults: 0 });
  expect((await get(`/v1/riders/${RIDER}`, headers)).json).toMatchObject({ rides: 1, minutes: 14 });
  expect((await get('/v1/stations/103', headers)).cache).toContain('; hit');
  // A duplicate changes no counter.
  expect((await ride('ride-1')).status).toBe(200);
  expect((await get('/v1/stations/101', { 'millrace-consistency': 'strong' })).json).toMatchObject({
    rides: { begun: 1 },
  });
});

it('explains a prediction of the model that was made outside by its coefficients', async () => {
  const folder = join(import.meta.dirname, '../../models/departures-tomorrow');
  const read = (name: string) => readFileSync(join(folder, name));
  const manifest = JSON.parse(read('manifest.json').toString('utf8'));
  const golden = JSON.parse(read('golden.json').toString('utf8')) as {
    inputs: { X: number[][] };
    outputs: { variable: number[][] };
  };
  const published = await stack.caller.ask('PUT', '/v1/admin/models/departures-tomorrow/champion', {
    json: { manifest, golden, model: read('model.onnx').toString('base64') },
  });
  expect(published.status, published.text).toBe(201);
  const answer = await eventually(
    async () => {
      // Stations are public, and so are their features.
      const response = await stack.fetch('/v1/predictions/departures-tomorrow', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ key: '101', include: ['features', 'contributions'] }),
      });
      return (await response.json()) as Explained;
    },
    ({ features }) => features?.['departures_1d']?.value === 1,
  );
  const { value, explanation } = answer;
  expect(explanation).toMatchObject({ status: 'exact', method: 'linear', score: value });
  // One ride began here: two columns differ from their defaults, and the model is linear.
  expect(explanation.contributions.map(({ column }) => column).sort()).toEqual([
    'departures_1d',
    'departures_7d',
  ]);
  const tensor = (rows: number[][]) => ({
    name: 'X',
    datatype: 'FP32',
    shape: [rows.length, 4],
    data: rows.flat(),
  });
  const raw = await stack.fetch('/v1/predictions/departures-tomorrow', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      inputs: [
        tensor([
          [0, 0, 0, 0],
          [1, 0, 0, 0],
          [0, 1, 0, 0],
        ]),
      ],
    }),
  });
  const { outputs } = (await raw.json()) as { outputs: { data: number[] }[] };
  const [none = 0, day = 0, week = 0] = outputs[0]?.data ?? [];
  const of = (name: string) => explanation.contributions.find(({ column }) => column === name)?.contribution;
  expect(explanation.baseline).toBeCloseTo(none, 5);
  expect(of('departures_1d')).toBeCloseTo(day - none, 4);
  expect(of('departures_7d')).toBeCloseTo(week - none, 4);
});

it('orders stations by their last report, whichever report arrives last', async () => {
  const now = Date.now();
  const at = (secondsAgo: number) => new Date(now - secondsAgo * 1_000).toISOString();
  const newest = await report('report-2', 9, at(10));
  expect(newest.status).toBe(201);
  const late = await report('report-1', 2, at(60));
  const headers = { 'millrace-token': late.headers.get('millrace-token') ?? '' };
  const list = await get('/v1/stations?district=Old%20Town', headers);
  const stations = list.json['stations'] as { id: number; bikesAvailable: number }[];
  expect(stations[0]).toMatchObject({ id: 101, bikesAvailable: 9 });
  expect(stations).toHaveLength(3);
});

it('counts a fault at a dock by its key of two columns, in either spelling', async () => {
  const stored = await store('bikes.dock-fault.v1', 'fault-1', {
    ...{ station: 101, dock: 3, fault: 'damaged' },
  });
  const headers = { 'millrace-token': stored.headers.get('millrace-token') ?? '' };
  for (const path of ['/v1/stations/101/docks/3', '/v1/stations/0101/docks/03'])
    expect((await get(path, headers)).json).toMatchObject({ state: 'out_of_service', faults: 1 });
});

it('is closed where it is not declared public', async () => {
  for (const path of [`/v1/riders/${RIDER}`, `/v1/riders/${RIDER}/rides`])
    expect((await stack.fetch(path)).status).toBe(401);
  expect((await stack.fetch('/v1/stations/101')).status).toBe(200);
});

const FeatureRows = z.object({
  results: z.array(
    z.object({ features: z.record(z.string(), z.object({ value: z.unknown(), status: z.string() })) }),
  ),
});
const Lineage = z.object({
  nodes: z.array(z.object({ id: z.string(), attributes: z.record(z.string(), z.unknown()) })),
  edges: z.array(z.object({ from: z.string(), to: z.string(), relation: z.string() })),
});
const FeastRows = z.object({ results: z.array(z.object({ values: z.array(z.unknown()) })) });

it('serves columns of a station as features, which a change by anybody changes at once, and no other station', async () => {
  const NAMES = ['district', 'capacity', 'departures_per_dock_1d'];
  const read = async (keys: readonly string[], token?: string) => {
    const { cache, json } = await stack.caller.ask('POST', '/v1/features/read', {
      headers: token === undefined ? {} : { 'millrace-token': token },
      json: { entity: 'station', keys, features: NAMES, maxStalenessS: 86_400 },
    });
    const { results } = FeatureRows.parse(json);
    const values = results.map(({ features }) => NAMES.map((name) => features[name]?.value));
    return { cache, values, statuses: results.map(({ features }) => features['district']?.status) };
  };
  // A ride began at the first station.
  await eventually(
    () => read(['101', '103']),
    ({ values }) => JSON.stringify(values) === '[["Old Town",20,0.05],["Old Town",20,0]]',
  );
  await eventually(
    () => read(['103']),
    ({ cache }) => cache?.includes('; hit') === true,
  );
  await stack.sql(`update stations set district = 'Heights', capacity = 40 where id = 101`);
  await eventually(
    () => read(['101']),
    ({ values }) => JSON.stringify(values) === '[["Heights",40,0.025]]',
  );
  expect(await read(['103'])).toMatchObject({ cache: expect.stringContaining('; hit') });
  // What events change of the row, such as its counter of rides, is no change of these columns.
  const [stored] = await stack.sql(
    `select count(*)::int as n from millrace.events where type = 'millrace.row.station.v1' and data->>'key' = '101'`,
  );
  expect(stored).toEqual({ n: 2 });
  const answer = await put('/v1/stations/101', { name: 'Harbour', district: 'Old Town', capacity: 20 });
  // The token of the write covers the features, too.
  expect((await read(['101'], answer.token)).values).toEqual([['Old Town', 20, 0.05]]);
  const feast = await stack.caller.ask('POST', '/get-online-features', {
    json: { features: ['station:district', 'station:capacity'], entities: { station: [103] } },
  });
  const { results } = FeastRows.parse(feast.json);
  expect(results.map(({ values }) => values)).toEqual([[103], ['Old Town'], [20]]);
  // Who asks what a feature is made of is led to the changes of the row, and from a change to what it went into.
  const walk = async (path: string) => {
    const { json } = await stack.caller.ask('GET', `/v1/lineage/${path}`);
    return Lineage.parse(json);
  };
  const made = await walk('feature/station:101?direction=up');
  const changes = made.nodes.filter(({ attributes }) => attributes['type'] === 'millrace.row.station.v1');
  expect(changes).toHaveLength(3);
  const [{ id: change = '' } = {}] = changes;
  expect(made.edges).toEqual(
    expect.arrayContaining([
      { from: change, to: 'feature:station:101', relation: 'folded-into' },
      { from: 'source:/millrace/rows', to: change, relation: 'sent' },
      { from: 'dataset:stations', to: change, relation: 'recorded-from' },
    ]),
  );
  const used = await walk(`event/${change.slice('event:'.length)}?direction=down`);
  expect(used.nodes.map(({ id }) => id)).toContain('feature:station:101');
  await stack.sql(`insert into stations (id, name, district, capacity) values (104, 'Gone', 'Old Town', 5)`);
  await eventually(
    () => read(['104']),
    ({ values }) => JSON.stringify(values) === '[["Old Town",5,0]]',
  );
  await stack.sql('delete from stations where id = 104');
  await eventually(
    () => read(['104']),
    ({ statuses }) => statuses[0] === 'NULL_VALUE',
  );
  expect((await read(['105'])).statuses).toEqual(['NOT_FOUND']);
});

it('sees what another application writes by SQL', async () => {
  await cached('/v1/stations/103');
  await stack.sql(`update stations set name = 'Hilltop' where id = 103`);
  await fresh('/v1/stations/103', ({ json }) => json['name'] === 'Hilltop');
});

it('answers in the form of the examples that the catalog has of its routes', async () => {
  const folder = join(import.meta.dirname, '../../catalog');
  const { answered, wrong } = await examplesOf(stack, BIKE_SHARE.catalog, folder);
  expect(wrong).toEqual([]);
  expect(answered).toEqual(expect.arrayContaining(EXAMPLES_OF));
});
