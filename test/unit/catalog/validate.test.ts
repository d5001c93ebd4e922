import { bigint, integer, numeric, pgTable, text } from 'drizzle-orm/pg-core';
import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { assemble, type DeclaredModule } from '../../../src/define/catalog.ts';
import { defineCatalog } from '../../../src/define/define-catalog.ts';
import { entity, history } from '../../../src/define/entity.ts';
import { append, ensure, event } from '../../../src/define/event.ts';
import { feature } from '../../../src/define/feature.ts';
import type { DeclaredLimits } from '../../../src/define/limits.ts';
import { NextCursor } from '../../../src/define/list-cursor.ts';
import { CatalogError } from '../../../src/define/problem.ts';
import { custom, unique } from '../../../src/define/quality.ts';
import { rowOrder } from '../../../src/define/row-order.ts';
import { validateCatalog } from '../../../src/define/validate.ts';
import { view } from '../../../src/define/view.ts';

const stations = pgTable('stations', {
  id: integer('id').primaryKey(),
  name: text('name').notNull(),
  bikes: integer('bikes').notNull().default(0),
});
const rides = pgTable('rides', {
  eventSeq: bigint('event_seq', { mode: 'number' }).primaryKey(),
  stationId: integer('station_id').notNull(),
  minutes: numeric('minutes', { mode: 'number' }).notNull(),
});
const station = entity({ name: 'station', table: stations, key: stations.id });
const rideHistory = history({
  name: 'ride',
  table: rides,
  owners: [{ entity: station, property: 'stationId' }],
});
const Ride = z.object({ stationId: z.int(), minutes: z.number() });

const ride = (more: Partial<Parameters<typeof event<typeof Ride>>[0]> = {}) =>
  event({
    type: 'ride',
    version: 1,
    description: 'A ride began at a station.',
    data: Ride,
    example: { stationId: 7, minutes: 12.5 },
    stores: (data) => [append(rideHistory, data)],
    ...more,
  });
const rideEvent = ride();
const stationView = (name: string, path: `/v1/${string}`, params: z.ZodRawShape = {}) =>
  view({
    name,
    path,
    description: 'A view.',
    params,
    response: z.object({}),
    load: async () => ({}),
    tags: () => [],
  });
const rideCount = (
  more: { name?: string; windowsDays?: number[]; value?: (data: z.output<typeof Ride>) => number } = {},
) =>
  feature.sum({
    name: 'rides',
    entity: station,
    event: rideEvent,
    key: (data) => data.stationId,
    value: () => 1,
    windowsDays: [30],
    ...more,
  });
const good = { station, rideHistory, rideEvent, rides: rideCount() };

/** What the catalog says of a file that declares all of it. */
const problems = (exports: DeclaredModule, retention?: Parameters<typeof assemble>[1]): string[] =>
  validateCatalog(assemble({ things: { ...good, ...exports } }, retention)).map(
    ({ declaration, problem, remedy }) => `${declaration}: ${problem} ${remedy}`,
  );
const oneOf = (exports: DeclaredModule, retention?: Parameters<typeof assemble>[1]): string => {
  const found = problems(exports, retention);
  expect(found).toHaveLength(1);
  return found[0] ?? '';
};

describe('a catalog without mistakes', () => {
  it('loads, also if it is empty', () => {
    expect(problems({})).toEqual([]);
    expect(defineCatalog({}).views).toEqual([]);
  });

  it('is refused with all of its mistakes at once, each with file, declaration and remedy', () => {
    const views = { a: stationView('A', '/v1/a'), b: stationView('b', '/v1/b/{id}') };
    expect(() => defineCatalog({ views })).toThrow(CatalogError);
    expect(() => defineCatalog({ views })).toThrow(
      /2 mistake\(s\)[\s\S]*the view "A" \(views\.ts, a\): The name[\s\S]*the view "b" \(views\.ts, b\): The path has the parameter "id"/,
    );
  });

  it('has the mistakes of builders in the same report, each once, with those of the checks', () => {
    const bad = entity({
      name: 'bad',
      table: stations,
      key: stations.id,
      lists: { byName: { orderBy: rides.stationId } },
    });
    const badEvent = ride({ version: 0 });
    const found = problems({
      bad,
      badEvent,
      badHistory: history({ name: 'h', table: rides, owners: [{ entity: bad, property: 'stationId' }] }),
      badCount: feature.count({
        name: 'c',
        entity: station,
        event: badEvent,
        key: () => 1,
        windowsDays: [1],
      }),
      badView: view({
        ...{ name: 'v', path: '/v1/v', description: 'A view.', response: z.object({}), tags: () => [] },
        load: async () => ({}),
        cache: { ttlS: -1 },
      }),
      two: stationView('two', '/v1/{oops'),
    });
    expect(found.filter((line) => !line.includes('two'))).toEqual([
      'the entity "bad" (things.ts, bad): The list "bad/by-name" names a column of another table. Name columns of its own table.',
      'the event "ride" (things.ts, badEvent): Its version is 0. Give it a whole number from 1.',
      expect.stringMatching(
        /^the view "v" \(things\.ts, badView\): ttlS is -1\. Give it a number from 0 to \d+\.$/,
      ),
    ]);
    expect(found.some((line) => line.includes('"two" (things.ts, two)'))).toBe(true);
    expect(() => bad.row(1)).toThrow('names a column of another table');
  });
});

describe('routes', () => {
  const id = { id: z.string() };
  it('refuses a path that is declared twice, even with other parameter names', () => {
    const a = stationView('a', '/v1/stations/{id}', id);
    const b = stationView('b', '/v1/stations/{key}', { key: z.string() });
    expect(oneOf({ a, b })).toMatch(
      /the view "b" \(things\.ts, b\): The path "\/v1\/stations\/\{key\}" is also that of the view "a"/,
    );
  });

  it('accepts a specific path beside a parametrised one, and refuses two ambiguous paths', () => {
    const a = stationView('a', '/v1/stations/{id}', id);
    expect(problems({ a, b: stationView('b', '/v1/stations/search') })).toEqual([]);
    const c = stationView('c', '/v1/stations/{id}/x', id);
    const d = stationView('d', '/v1/stations/near/{place}', { place: z.string() });
    expect(oneOf({ c, d })).toMatch(/A request could mean/);
  });

  it('refuses a write whose parameters have other names than the view at the same path', () => {
    const body = z.strictObject({ name: z.string() });
    const written = entity({
      name: 'written',
      table: stations,
      key: stations.id,
      write: { path: 'stations', body },
    });
    expect(problems({ written, a: stationView('a', '/v1/stations/{id}', id) })).toEqual([]);
    const a = stationView('a', '/v1/stations/{key}', { key: z.string() });
    expect(oneOf({ written, a })).toMatch(/other parameter names/);
  });

  it('refuses parameters that path and params do not share, and paths of the product', () => {
    expect(oneOf({ a: stationView('a', '/v1/stations', id) })).toMatch(
      /`params` has "id", which the path lacks/,
    );
    expect(oneOf({ a: stationView('a', '/v1/events/mine') })).toMatch(/belongs to a route of Millrace/);
    expect(oneOf({ a: stationView('a', '/v1/a b') })).toMatch(/not well-formed/);
    expect(oneOf({ a: stationView('a', '/v1/stations/:id') })).toMatch(/not well-formed/);
  });
});

describe('parameters', () => {
  it('refuses a schema that accepts no text, because paths and queries are texts', () => {
    const a = stationView('a', '/v1/stations/{id}', { id: z.int() });
    expect(oneOf({ a })).toMatch(/`params\.id` accepts no text/);
    const query = { after: z.date().optional(), limit: z.coerce.number().int().max(9).default(3) };
    expect(oneOf({ a: { ...stationView('a', '/v1/a'), query: z.object(query) } })).toMatch(/`query\.after`/);
  });

  it('refuses a view that takes a cursor and returns none, or the other way round', () => {
    const cursor = rowOrder(stations, stations.id).cursor;
    const a = stationView('a', '/v1/a');
    const taking = { ...a, query: z.object({ after: cursor.optional() }) };
    expect(oneOf({ a: taking })).toMatch(/`query\.after` is a cursor, and no property of `response`/);
    const nested = z.object({ page: z.object({ next: NextCursor }) });
    expect(oneOf({ a: { ...taking, response: nested } })).toMatch(/`query\.after` is a cursor/);
    const giving = z.object({ next: NextCursor });
    expect(oneOf({ a: { ...a, response: giving } })).toMatch(/`response\.next` is a cursor/);
    expect(problems({ a: { ...taking, response: giving } })).toEqual([]);
    expect(oneOf({ a: stationView('a', '/v1/stations/{id}', { id: cursor }) })).toMatch(
      /`params\.id` is a cursor/,
    );
  });

  it.each([
    ['an entity', station.params],
    ['a coerced number', { id: z.coerce.number().int().min(1_000) }],
    ['a form of text', { id: z.email() }],
    ['a choice', { id: z.enum(['x', 'y']) }],
    ['a coerced date', { id: z.coerce.date() }],
    [
      'a text that becomes a number',
      {
        id: z
          .string()
          .regex(/^k\d+$/)
          .transform((text) => Number(text.slice(1))),
      },
    ],
  ])('takes those of %s', (_, params) => {
    expect(problems({ a: stationView('a', '/v1/stations/{id}', params) })).toEqual([]);
  });
});

describe('names', () => {
  it.each([
    [
      'an entity twice',
      { twin: entity({ name: 'station', table: stations, key: stations.id }) },
      /has this name already/,
    ],
    ['a view twice', { a: stationView('a', '/v1/a'), b: stationView('a', '/v1/b') }, /has this name already/],
    ['an event version twice', { again: ride() }, /has this name already/],
    ['a name in capitals', { a: stationView('Stations', '/v1/a') }, /not of the form/],
    ['a name that Millrace uses', { a: stationView('cache', '/v1/a') }, /Millrace uses this name/],
  ])('refuses %s', (_, exports, problem) => {
    expect(problems(exports)[0]).toMatch(problem);
  });

  it('refuses a feature whose read name is that of another', () => {
    const named = feature.last({ name: 'rides_30d', entity: station, event: rideEvent, key: () => 7 });
    expect(oneOf({ named })).toMatch(/the feature "rides_30d" .*has this read name of "station" already/);
  });
});

describe('values', () => {
  it.each([[0], [-1], [1.5], [Number.NaN], [Number.POSITIVE_INFINITY]])(
    'refuses a window of %s days',
    (days) => {
      expect(oneOf({ rides: rideCount({ windowsDays: [days] }) })).toMatch(/cannot have/);
    },
  );

  it('refuses windows, decimals, limits and times that a feature cannot have', () => {
    const of = { name: 'n', entity: station, event: rideEvent, key: () => 7 };
    const value = () => 1;
    const windowed = (window: `${number}m` | '3y') => ({ n: feature.count({ ...of, windows: [window] }) });
    expect(oneOf(windowed('181m'))).toMatch(/A window cannot be "181m"\. A window is 1m to 180m/);
    expect(oneOf(windowed('1.5m'))).toMatch(/cannot be "1\.5m"/);
    expect(problems(windowed('3y'))).toEqual([]);
    expect(problems({ n: feature.count({ ...of, windows: ['7d', '7d'] }) }).join()).toMatch(
      /names one window twice/,
    );
    expect(oneOf({ n: feature.mean({ ...of, windows: [], value }) })).toMatch(/It has no window/);
    const decimals = { ...of, windows: ['7d'] as const, value, numbers: { decimals: 19 } };
    expect(oneOf({ n: feature.sum(decimals) })).toMatch(/It has 19 decimals\. Numbers have 0 to 18/);
    const many = { ...of, windows: ['7d'] as const, value: () => 'a', limit: 33 };
    expect(oneOf({ n: feature.mostFrequent(many) })).toMatch(/It reads 33 values/);
    expect(oneOf({ n: feature.decayed({ ...of, halfLife: '0d' }) })).toMatch(/Its half-life is "0d"/);
    expect(oneOf({ n: feature.sinceLast({ ...of, ttl: '-1d' }) })).toMatch(/Its time to live is "-1d"/);
  });

  it('refuses a value of the example that a feature does not take', () => {
    const of = { name: 'n', entity: station, event: rideEvent, key: () => 7, windows: ['7d'] as const };
    expect(oneOf({ n: feature.sum({ ...of, value: () => 'ten' }) })).toMatch(
      /It takes from the example of ride\.v1 "ten", which is no number\. Correct `value` or `numbers`/,
    );
    expect(oneOf({ n: feature.sum({ ...of, value: () => 0.5, numbers: 'integer' }) })).toMatch(
      /0\.5, which is no safe integer/,
    );
    expect(oneOf({ n: feature.distinct({ ...of, value: () => 'x'.repeat(257) }) })).toMatch(
      /a text of 257 characters; at most 256/,
    );
    const exact = { ...of, value: () => '0.5', numbers: { decimals: 2 } };
    expect(problems({ n: feature.sum(exact) })).toEqual([]);
  });

  it('refuses a view without a tier or with a bound below zero', () => {
    const a = stationView('a', '/v1/a');
    expect(oneOf({ a: { ...a, policy: { ...a.policy, tiers: [] } } })).toMatch(/No tier/);
    expect(oneOf({ a: { ...a, policy: { ...a.policy, boundMs: -1 } } })).toMatch(/bound is -1 ms/);
  });

  it('refuses limits without units, and bursts that an object would forget', () => {
    const found = (limits: DeclaredLimits) =>
      validateCatalog(assemble({ things: good }, undefined, limits)).map(({ problem }) => problem);
    expect(found({ key: { perSecond: 0, burstS: 10 } })).toEqual(['"key" has 0 units a second.']);
    expect(found({ classes: { prediction: { perSecond: 5, burstS: 61 } } })).toEqual([
      '"prediction" has a burst of 61 seconds.',
    ]);
    expect(found({ address: { perSecond: Number.NaN, burstS: 0 } })).toHaveLength(2);
    expect(found({ key: { perSecond: 5, burstS: 60 } })).toEqual([]);
  });

  it('refuses origins that no browser sends', () => {
    const found = (...origins: string[]) =>
      validateCatalog(assemble({ things: good }, undefined, {}, { origins })).map(({ problem }) => problem);
    const wrong = ['*', 'null', 'app.example.com', 'https://app.example.com/', 'https://App.example.com'];
    wrong.push('https://app.example.com:443', 'ftp://app.example.com', 'https://a.example.com/x');
    expect(found(...wrong)).toEqual(wrong.map((origin) => `"${origin}" is not an origin.`));
    expect(found('https://app.example.com', 'http://localhost:5173')).toEqual([]);
    expect(found(...Array.from({ length: 101 }, (_, n) => `https://a${n}.example.com`))).toHaveLength(1);
  });

  it('refuses retention of part of a day, or of an event type that is not declared', () => {
    expect(oneOf({}, { events: { 'ride.v1': 0.5 } })).toMatch(/kept for 0\.5 days/);
    expect(oneOf({}, { events: { ride: 30 } })).toMatch(/does not declare/);
  });
});

describe('tables', () => {
  it('refuses a key that is not unique', () => {
    const named = entity({ name: 'named', table: stations, key: stations.name });
    expect(oneOf({ named })).toMatch(/no primary key or unique constraint of exactly name/);
  });

  it('refuses a reference to a declaration that is not exported', () => {
    const rest = { ...good, rideHistory: undefined };
    const rule = unique(['stationId'], { history: rideHistory, withinMs: 1_000 });
    const found = validateCatalog(assemble({ things: { ...rest, rideEvent: ride({ rules: [rule] }) } }));
    expect(found.map(({ problem }) => problem).join()).toMatch(
      /history "ride", which the catalog does not export/,
    );
    expect(
      validateCatalog(assemble({ things: { rides: good.rides } })).map(({ problem }) => problem),
    ).toEqual([
      expect.stringMatching(/entity "station" is not exported/),
      expect.stringMatching(/event "ride\.v1" is not exported/),
    ]);
  });
});

describe('examples', () => {
  const declared = (more: Parameters<typeof ride>[0]) => {
    const tried = ride(more);
    return problems({
      rideEvent: tried,
      rides: feature.count({ name: 'n', entity: station, event: tried, key: () => 7, windowsDays: [] }),
    });
  };
  it('refuses one that breaks its contract, and a function that fails for it', () => {
    expect(declared({ example: { stationId: 7 } as never })[0]).toMatch(
      /Its example is refused: contract_violation at \/data\/minutes/,
    );
    const stores = () => {
      throw new Error('Not yet.');
    };
    const [failed = ''] = declared({ stores });
    expect(failed).toMatch(/stores_failed at \/data: .*`stores` of its type failed \(Error: Not yet\.\)\./);
    expect(failed).toMatch(/ Correct `stores`, or the example\.$/);
    expect(failed).not.toMatch(/release/);
    const rule = custom({
      ...{ name: 'odd', dimension: 'validity', pointer: '/data', detail: '', mode: 'blocking' },
      holds: stores,
    });
    expect(declared({ rules: [rule] })[0]).toMatch(
      /rule_failed at \/data: .*rule "odd" of its type failed \(Error: Not yet\.\)\. Correct the rule, or the example\.$/,
    );
  });

  it('refuses one whose rows do not fit the table', () => {
    const row = { stationId: 7, minutes: 1, colour: 'red' };
    expect(declared({ stores: () => [append(rideHistory, row)] })[0]).toMatch(
      /stores "colour" in the history "ride"/,
    );
    const incomplete = { stationId: 7 } as unknown as { stationId: number; minutes: number };
    expect(declared({ stores: () => [append(rideHistory, incomplete)] })[0]).toMatch(/stores no "minutes"/);
    const unnamed = { id: 7, name: null as unknown as string };
    expect(declared({ stores: () => [ensure(station, unnamed)] })[0]).toMatch(
      /stores null in "name" of the entity/,
    );
  });

  it('refuses a sum of fractions, and a key of another entity', () => {
    expect(oneOf({ rides: rideCount({ value: (data) => data.minutes }) })).toMatch(
      /adds 12\.5 .* whole numbers/,
    );
    const other = feature.last({
      name: 'last',
      entity: station,
      event: rideEvent,
      key: (data) => `ride of ${data.stationId}`,
    });
    expect(oneOf({ other })).toMatch(/"ride of 7" is not a value of "id", a key of "station"/);
  });
});
