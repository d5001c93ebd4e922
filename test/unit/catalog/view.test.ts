import { integer, pgTable, text } from 'drizzle-orm/pg-core';
import { describe, expect, expectTypeOf, it } from 'vitest';
import * as z from 'zod';
import { defineCatalog } from '../../../src/define/define-catalog.ts';
import { entity } from '../../../src/define/entity.ts';
import { event } from '../../../src/define/event.ts';
import { type FeatureDefinition, feature } from '../../../src/define/feature.ts';
import type { FeatureValue, ItemCount } from '../../../src/define/feature-value.ts';
import type { Principal, Scope } from '../../../src/define/principal.ts';
import { CatalogError } from '../../../src/define/problem.ts';
import { acceptLanguage } from '../../../src/define/vary.ts';
import { type Database, type ViewDefinition, view } from '../../../src/define/view.ts';
import { mistakeOf } from '../../support/catalog-mistakes.ts';

const stations = pgTable('stations', { id: integer('id').primaryKey(), name: text('name').notNull() });
const riders = pgTable('riders', { id: text('id').primaryKey() });
const station = entity({ name: 'station', table: stations, key: stations.id });
const rider = entity({ name: 'rider', table: riders, key: riders.id });
const ride = event({
  type: 'bikes.ride',
  version: 1,
  description: 'A ride.',
  data: z.object({ station: z.int(), rider: z.string(), bike: z.string() }),
  stores: () => [],
});
const from = { entity: station, event: ride, key: ({ station: id }: { station: number }) => id };
const rides = feature.count({ ...from, name: 'rides', windowsDays: [1, 30] });
const lastRide = feature.last({ ...from, name: 'last_ride_at' });
const bikes = feature.items({ ...from, name: 'bikes', item: ({ bike }) => bike, limit: 3 });
const riderRides = feature.count({
  name: 'rides',
  entity: rider,
  event: ride,
  key: (data) => data.rider,
  windowsDays: [],
});

const common = {
  path: '/v1/stations/{id}',
  description: 'A station.',
  params: { id: z.coerce.number() },
} as const;
// Nothing here asks the database.
const NO_DB = {} as Database;
const whole = {
  variant: { language: 'de' },
  principal: { kind: 'key', id: 'bootstrap', scopes: new Set<Scope>(), claims: {} },
  now: 60_000,
  features: { here: {} },
} as const;
const load = (definition: ViewDefinition, input: object) => definition.load(NO_DB, { input, ...whole });

describe('a view gets the inputs that it declares, and no others', () => {
  const response = z.object({ seen: z.array(z.string()) });
  it.each([
    [
      'nothing',
      view({
        ...common,
        name: 'a',
        response,
        load: async (_db, _input, context) => ({ seen: Object.keys(context ?? {}) }),
        tags: () => [],
      }),
      [],
    ],
    [
      'now',
      view({
        ...common,
        name: 'b',
        response,
        now: { granularityS: 60 },
        load: async (_db, _input, context) => ({ seen: Object.keys(context) }),
        tags: () => [],
      }),
      ['now'],
    ],
    [
      'the principal',
      view({
        ...common,
        name: 'c',
        response,
        principal: true,
        load: async (_db, _input, context) => ({ seen: Object.keys(context) }),
        tags: () => [],
      }),
      ['principal'],
    ],
    [
      'a dimension',
      view({
        ...common,
        name: 'd',
        response,
        vary: { language: acceptLanguage(['en', 'de'], 'en') },
        load: async (_db, _input, context) => ({ seen: Object.keys(context) }),
        tags: () => [],
      }),
      ['variant'],
    ],
    [
      'features',
      view({
        ...common,
        name: 'e',
        response,
        features: { here: { of: [rides], key: ({ id }) => id } },
        load: async (_db, _input, context) => ({ seen: Object.keys(context) }),
        tags: () => [],
      }),
      ['features'],
    ],
  ])('%s', async (_, definition, seen) => {
    expect((await load(definition, { id: 1 })).value).toEqual({ seen });
  });

  it('typed by the declaration', () => {
    view({
      ...common,
      name: 'typed',
      response: z.object({ id: z.number() }),
      now: { granularityS: 60 },
      principal: true,
      vary: { language: acceptLanguage(['en', 'de'], 'en') },
      features: { here: { of: [rides, lastRide, bikes], key: ({ id }) => id } },
      load: async (_db, { id }, context) => {
        expectTypeOf(id).toEqualTypeOf<number>();
        expectTypeOf(context.now).toEqualTypeOf<number>();
        expectTypeOf(context.principal).toEqualTypeOf<Principal>();
        expectTypeOf(context.variant.language).toEqualTypeOf<'en' | 'de'>();
        expectTypeOf(context.features.here.rides_30d).toEqualTypeOf<FeatureValue<number>>();
        expectTypeOf(context.features.here.last_ride_at).toEqualTypeOf<FeatureValue<number | null>>();
        expectTypeOf(context.features.here.bikes).toEqualTypeOf<FeatureValue<readonly ItemCount[]>>();
        // @ts-expect-error the feature has no window of seven days
        void context.features.here.rides_7d;
        return { id };
      },
      tags: () => [],
    });
    view({
      ...common,
      name: 'bare',
      response: z.object({ id: z.number() }),
      // @ts-expect-error `now` is not declared
      load: async (_db, { id }, { now }) => ({ id, now }),
      tags: () => [],
    });
  });
});

describe('answers', () => {
  it('have no field that the response does not declare', async () => {
    const leaky = view({
      ...common,
      name: 'leaky',
      response: z.object({ id: z.number(), bikes: z.array(z.object({ name: z.string() })) }),
      load: async (_db, { id }) => ({ id, secret: 'x', bikes: [{ name: 'B1', secret: 'y' }] }),
      tags: ({ id }) => [station.row(id)],
    });
    const { value } = await load(leaky, { id: 7 });
    expect(value).toEqual({ id: 7, bikes: [{ name: 'B1' }] });
  });
});

describe('tags', () => {
  it('are made from the row of the database, not from the response', async () => {
    const loud = view({
      ...common,
      name: 'loud',
      response: z.object({ id: z.number().transform((id) => `#${id}`), name: z.string().toUpperCase() }),
      load: async (_db, { id }) => ({ id, name: 'kings cross', internal: 'kept from the answer' }),
      tags: (_input, found) => {
        expectTypeOf(found?.internal).toEqualTypeOf<string | undefined>();
        return found === null ? [] : [station.row(found.id)];
      },
    });
    expect(await load(loud, { id: 7 })).toMatchObject({
      value: { id: '#7', name: 'KINGS CROSS' },
      tags: ['station:7'],
    });
  });

  it('are needed for an empty result, too', async () => {
    const gone = view({
      ...common,
      name: 'gone',
      response: z.object({ id: z.number() }),
      load: async () => null,
      tags: ({ id }, found) => (found === null ? [station.row(id)] : []),
    });
    expect(await load(gone, { id: 7 })).toMatchObject({ value: null, tags: ['station:7'] });
  });

  it('are made from input that is parsed once', async () => {
    const shifted = view({
      ...common,
      name: 'shifted',
      params: { id: z.coerce.number().transform((id) => id + 1) },
      response: z.object({ id: z.number() }),
      load: async (_db, { id }) => ({ id }),
      tags: ({ id }) => [station.row(id)],
    });
    const input = shifted.params.parse({ id: '7' });
    expect(await load(shifted, input)).toMatchObject({ value: { id: 8 }, tags: ['station:8'] });
  });
});

describe('a declaration', () => {
  const bare = {
    ...common,
    name: 'bare',
    response: z.object({}),
    load: async () => ({}),
    tags: () => [],
  };
  it('is closed unless it says that it is public', () => {
    expect(view(bare).isPublic).toBe(false);
    expect(view({ ...bare, public: true }).isPublic).toBe(true);
  });

  it('has grains if it takes `now`, and grains of a day if it reads windowed features', () => {
    expect(view(bare).grainMs).toBeUndefined();
    expect(view({ ...bare, now: { granularityS: 60 } }).grainMs).toBe(60_000);
    const reads = (of: readonly (typeof rides | typeof lastRide)[]) =>
      view({ ...bare, features: { here: { of, key: ({ id }) => id } } }).grainMs;
    expect(reads([lastRide])).toBeUndefined();
    expect(reads([lastRide, rides])).toBe(86_400_000);
  });

  const problemsOf = (declared: ViewDefinition) => {
    try {
      defineCatalog({ all: { station, rider, ride, rides, lastRide, riderRides, declared } });
      return [];
    } catch (error) {
      if (error instanceof CatalogError)
        return error.problems.map(({ declaration, problem }) => `${declaration}: ${problem}`);
      throw error;
    }
  };

  it('is refused for a granularity out of bounds', () => {
    const granular = (granularityS: number) => problemsOf(view({ ...bare, now: { granularityS } }));
    for (const granularityS of [1, 60, 86_400]) expect(granular(granularityS)).toEqual([]);
    for (const granularityS of [0, -1, 0.5, 86_401, Number.NaN])
      expect(granular(granularityS)).toEqual([
        `the view "bare" (all.ts, declared): Its \`now\` has a granularity of ${granularityS} s.`,
      ]);
  });

  it('is refused for features of two entities under one name, of none, and of no catalog', () => {
    const reading = (...of: readonly FeatureDefinition[]) =>
      view({ ...bare, features: { here: { of, key: ({ id }) => id } } });
    expect(problemsOf(reading(rides, riderRides))).toEqual([
      expect.stringContaining('It reads features of "station" and of "rider" as "here".'),
    ]);
    expect(problemsOf(reading(bikes))).toEqual([
      expect.stringContaining('It reads the feature "bikes", which the catalog does not have.'),
    ]);
    expect(mistakeOf(reading())).toMatch(/no features under the name "here"/);
  });
});
