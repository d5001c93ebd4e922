import { integer, pgTable, text } from 'drizzle-orm/pg-core';
import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { assemble } from '../../../src/define/catalog.ts';
import { entity } from '../../../src/define/entity.ts';
import { event } from '../../../src/define/event.ts';
import { feature } from '../../../src/define/feature.ts';
import { model } from '../../../src/define/model.ts';
import { constant, fromFeature, fromRequest } from '../../../src/define/model-input.ts';
import { validateCatalog } from '../../../src/define/validate.ts';
import { mistakeOf } from '../../support/catalog-mistakes.ts';

const stations = pgTable('stations', { id: integer('id').primaryKey() });
const riders = pgTable('riders', { id: text('id').primaryKey() });
const station = entity({ name: 'station', table: stations, key: stations.id });
const rider = entity({ name: 'rider', table: riders, key: riders.id });
const ride = event({
  type: 'ride',
  version: 1,
  description: 'A ride.',
  data: z.object({ stationId: z.int(), riderId: z.string() }),
  example: { stationId: 1, riderId: 'a' },
  stores: () => [],
});
const rides = feature.count({
  name: 'rides',
  entity: station,
  event: ride,
  key: (data) => data.stationId,
  windowsDays: [7, 30],
});
const lastRide = feature.last({
  name: 'last_ride',
  entity: station,
  event: ride,
  key: (data) => data.stationId,
});
const riderRides = feature.count({
  name: 'rides',
  entity: rider,
  event: ride,
  key: (data) => data.riderId,
  windowsDays: [7],
});
const seen = feature.items({
  name: 'riders',
  entity: station,
  event: ride,
  key: (data) => data.stationId,
  item: (data) => data.riderId,
  limit: 5,
});

const described = { name: 'demand', description: 'Rides of the next hour.', entity: station };
const outputs = { value: 'variable' } as const;
const week = fromFeature(rides.window(7), { default: 0 });

/** Reasons of a ranking, by the columns of each group. */
const reasons = (groups: Readonly<Record<string, readonly string[]>>) => ({
  reasons: {
    groups: Object.fromEntries(
      Object.entries(groups).map(([name, columns]) => [name, { columns, text: `Because of ${name}` }]),
    ),
  },
});

/** The problems of one model in a catalog with all of these features. */
function problemsOf(declared: object, features: object = { rides, lastRide, riderRides, seen }): string[] {
  const modules = {
    entities: { station, rider },
    events: { ride },
    features: { ...features },
    models: { declared },
  };
  return validateCatalog(assemble(modules))
    .filter(({ declaration }) => declaration.includes('model'))
    .map(({ declaration, problem, remedy }) => `${declaration}: ${problem} ${remedy}`);
}

describe('declarations that do not compile', () => {
  it('a window that is not declared, which is also found at load', () => {
    // @ts-expect-error: the windows are 7 and 30.
    const reference = rides.window(14);
    const declared = model.regression({
      ...described,
      inputs: { features: { columns: { rides_14d: fromFeature(reference, { default: 0 }) } } },
      outputs,
    });
    expect(problemsOf(declared)).toEqual([
      'the model "demand", feature "rides_14d" (models.ts, declared): "rides" is read as rides_7d, rides_30d. Use one of these, or add the window to the feature.',
    ]);
  });

  it('a feature of another entity, which is also found at load', () => {
    const declared = model.regression({
      ...described,
      inputs: {
        // @ts-expect-error: the model is about stations.
        features: { columns: { rides_7d: fromFeature(riderRides.window(7), { default: 0 }) } },
      },
      outputs,
    });
    expect(problemsOf(declared)).toEqual([expect.stringContaining('The feature belongs to "rider"')]);
  });

  it('a list of items as a column, a text in a numeric input, a field that the request does not have', () => {
    // @ts-expect-error: a column is a number.
    fromFeature(seen.newest(), { default: 0 });
    const declared = model.regression({
      ...described,
      request: { hour: z.int() },
      inputs: {
        // @ts-expect-error: the input is FP32.
        texts: { columns: { city: constant('Berlin') } },
        // @ts-expect-error: the request has `hour` alone.
        fields: { columns: { minute: fromRequest('minute'), hour: fromRequest('hour') } },
      },
      outputs,
    });
    expect(problemsOf(declared)).toHaveLength(2);
  });

  it('a fallback without a value for each output, an output `value` that is missing', () => {
    const declared = model.regression({
      ...described,
      inputs: { features: { columns: { week } } },
      outputs: { value: 'mean', upper: 'q95' },
      // @ts-expect-error: `upper` is missing.
      fallback: { value: 1 },
    });
    expect(problemsOf(declared)).toEqual([
      expect.stringContaining('The fallback is not what the model answers'),
    ]);
    // @ts-expect-error: a regression has a value.
    model.regression({ ...described, inputs: {}, outputs: { mean: 'mean' } });
  });
});

describe('mistakes that are found at load', () => {
  const regression = (more: object) =>
    model.regression({ ...described, inputs: { features: { columns: { week } } }, outputs, ...more });

  it('no mistake in a correct declaration', () => {
    const declared = model.regression({
      ...described,
      path: '/v1/stations/{id}/demand',
      request: { hour: z.int().min(0).max(23), isRaining: z.boolean().default(false), city: z.string() },
      inputs: {
        features: {
          columns: { week, age: fromFeature(lastRide.ageDays(), { default: Number.NaN }), one: constant(1) },
        },
        hour: { datatype: 'UINT8', columns: { hour: fromRequest('hour') } },
        flags: { datatype: 'BOOL', columns: { rain: fromRequest('isRaining'), on: constant(true) } },
        texts: { datatype: 'BYTES', columns: { city: fromRequest('city'), kind: constant('bike') } },
      },
      outputs: { value: 'mean', upper: 'q95' },
      fallback: { value: 1, upper: 2 },
    });
    expect(problemsOf(declared)).toEqual([]);
  });

  it.each([
    ['a feature that no file exports', regression({}), 'The catalog has no such feature.', { lastRide }],
    [
      'fractions in integers',
      regression({
        inputs: {
          f: { datatype: 'INT32', columns: { age: fromFeature(lastRide.ageDays(), { default: 0 }) } },
        },
      }),
      'The value has fractions; INT32 has none.',
    ],
    [
      'a default that the type cannot hold',
      regression({
        inputs: {
          f: { datatype: 'UINT8', columns: { week: fromFeature(rides.window(7), { default: -1 }) } },
        },
      }),
      'UINT8 cannot hold the default -1.',
    ],
    [
      'a constant that the type cannot hold',
      regression({ inputs: { f: { datatype: 'INT8', columns: { week, big: constant(128) } } } }),
      'INT8 cannot hold 128.',
    ],
    [
      'a feature as text',
      regression({ inputs: { f: { datatype: 'BYTES', columns: { week } } } }),
      'Features are numbers; the input is BYTES.',
    ],
    [
      'a field that no column reads',
      regression({ request: { hour: z.int() } }),
      'No column reads this field.',
    ],
    [
      'a field that may be missing',
      regression({
        request: { hour: z.int().optional() },
        inputs: { f: { columns: { hour: fromRequest('hour') } } },
      }),
      'may be missing',
    ],
    [
      'a field of another type',
      regression({
        request: { hour: z.string() },
        inputs: { f: { columns: { hour: fromRequest('hour') } } },
      }),
      'The field "hour" is a string; the input is FP32.',
    ],
    [
      'a field named as a parameter of the path',
      regression({
        path: '/v1/stations/{hour}/demand',
        request: { hour: z.int() },
        inputs: { f: { columns: { hour: fromRequest('hour') } } },
      }),
      'The path has a parameter of this name.',
    ],
    [
      'a path without the key',
      regression({ path: '/v1/demand' }),
      'has the parameters none; the key of "station" is id.',
    ],
    [
      'a column that is named by a number',
      regression({ inputs: { f: { columns: { 7: week } } } }),
      'is a number',
    ],
    ['an input without columns', regression({ inputs: { f: { columns: {} } } }), 'There are 0 columns.'],
    [
      'an output that every answer has',
      regression({ outputs: { value: 'v', model: 'm' } }),
      'Each answer has a property',
    ],
    [
      'a single class',
      model.classification({
        ...described,
        inputs: { f: { columns: { week } } },
        classes: ['a'],
        outputs: { label: 'l' },
      }),
      'The classes are fewer than two',
    ],
    [
      'columns of a ranking that are there twice',
      model.ranking({
        ...described,
        path: '/v1/stations/{id}/riders',
        itemEntity: rider,
        columns: ['a', 'a'],
        features: { week: rides.window(7) },
        parseCandidates: () => ({ has: () => false, popular: () => [], assemble: () => null }),
      }),
      'The column "a" occurs twice.',
    ],
  ])('%s', (_, declared, problem, features: object = { rides, lastRide, riderRides, seen }) => {
    const found = problemsOf(declared, features);
    expect(found).toEqual([expect.stringContaining(problem)]);
    expect(found[0]).toContain('models.ts, declared');
  });

  it.each([
    [
      'no time of an exclusion',
      { exclude: { items: seen.newest(), withinDays: 0 } },
      'left out within 0 days',
    ],
    ['a part of an item of a group', { diversity: { max: 1.5 } }, 'at most 1.5 items of a group'],
    ['reasons without groups', { reasons: { groups: {} } }, 'There are 0 groups'],
    ['a reason of another column', reasons({ a: ['x', 'z'] }), 'The model has no column "z".'],
    ['a column of two reasons', reasons({ a: ['x'], b: ['y', 'x'] }), 'The column "x" is in two groups.'],
    ['a reason of no column', reasons({ a: [] }), 'It has no columns or no text.'],
    ['no reason of an item', { reasons: { ...reasons({ a: ['x'] }).reasons, max: 0 } }, 'at most 0 reasons'],
    ['a request that `include` belongs to', undefined, 'takes a parameter of this name'],
  ])('%s', (_, recommending, problem) => {
    const ranking = {
      ...{ ...described, path: '/v1/stations/{id}/riders' as const, itemEntity: rider },
      ...{ columns: ['x', 'y'], features: { week: rides.window(7) } },
      parseCandidates: () => ({ has: () => false, popular: () => [], assemble: () => null }),
    };
    const including = model.regression({
      ...{ ...described, outputs, request: { include: z.int() } },
      inputs: { f: { columns: { week, include: fromRequest('include') } } },
    });
    const declared =
      recommending === undefined ? including : model.ranking(Object.assign(ranking, recommending));
    expect(problemsOf(declared)).toEqual([expect.stringContaining(problem)]);
  });

  it('a time to live beyond its range, at its declaration', () => {
    expect(mistakeOf(regression({ ttlS: -1 }))).toContain('ttlS is -1.');
  });
});

describe('an announced end', () => {
  const declared = { ...described, inputs: { input: { columns: { week } } }, outputs } as const;
  const demand = model.regression({ ...declared, name: 'demand' });
  const problems = (models: Readonly<Record<string, unknown>>) =>
    validateCatalog(
      assemble({
        entities: { station, rider },
        events: { ride },
        features: { rides, lastRide, riderRides, seen },
        models,
      }),
    ).map(({ problem }) => problem);

  it('of a model names another model of the catalog', () => {
    const old = model.regression({
      ...declared,
      name: 'old-demand',
      deprecated: { since: '2026-11-28', by: demand },
    });
    expect(problems({ old, demand })).toEqual([]);
    expect(problems({ old })).toEqual(['The catalog has no model "demand", which replaces it.']);
  });

  it('of a model or of writes is a day, and what replaces writes has parameters of the key', () => {
    const since = '28.11.2026';
    expect(mistakeOf(model.regression({ ...declared, name: 'odd', deprecated: { since } }))).toContain(
      'is not a day',
    );
    const names = pgTable('names', { id: text('id').primaryKey(), name: text('name').notNull() });
    const write = (deprecated: { since: string; by?: string }) =>
      mistakeOf(
        entity({
          name: 'rider',
          table: names,
          key: names.id,
          write: { path: 'riders', body: z.strictObject({ name: z.string() }), deprecated },
        }),
      );
    expect(write({ since })).toContain('is not a day');
    expect(write({ since: '2026-11-28', by: '/v3/riders/{id}' })).toBe('');
    expect(write({ since: '2026-11-28', by: '/v3/riders/{rider}' })).toContain('its key has no "rider"');
  });
});
