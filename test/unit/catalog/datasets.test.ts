import { integer, pgTable, text } from 'drizzle-orm/pg-core';
import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { assemble } from '../../../src/define/catalog.ts';
import { dataset } from '../../../src/define/dataset.ts';
import { entity } from '../../../src/define/entity.ts';
import { event } from '../../../src/define/event.ts';
import { feature } from '../../../src/define/feature.ts';
import { type ModelDefinition, model } from '../../../src/define/model.ts';
import { fromFeature, fromRequest } from '../../../src/define/model-input.ts';
import { validateCatalog } from '../../../src/define/validate.ts';

const stations = pgTable('stations', { id: integer('id').primaryKey() });
const riders = pgTable('riders', { id: text('id').primaryKey() });
const station = entity({ name: 'station', table: stations, key: stations.id });
const rider = entity({ name: 'rider', table: riders, key: riders.id });
const Ride = z.object({ station: z.int(), rider: z.string(), minutes: z.number() });
type Ride = z.output<typeof Ride>;
const described = { version: 1, description: 'A ride.', data: Ride, stores: () => [] };
const example = { station: 1, rider: 'a', minutes: 3 };
const ride = event({ ...described, type: 'ride', example });
const unknown = event({ ...described, type: 'unknown', example });
const rides = feature.count({
  ...{ name: 'rides', entity: rider, event: ride, windowsDays: [7] },
  key: (of) => of.rider,
});
const departures = feature.count({
  ...{ name: 'departures', entity: station, event: ride, windowsDays: [7] },
  key: (of) => of.station,
});
const inputs = { X: { columns: { rides: fromFeature(rides.window(7), { default: 0 }) } } };
const named = { name: 'demand', description: 'Rides.', entity: rider };
const of = { entity: rider, event: ride, key: (data: Ride) => data.rider };
const split = { validationDays: 7, testDays: 7 };
const minutes = (data: Ride) => data.minutes;

function problemsOf(declared: ModelDefinition): string[] {
  const catalog = assemble({ catalog: { station, rider, ride, rides, departures, declared } });
  return validateCatalog(catalog).map(({ problem }) => problem);
}

const regression = (of: NonNullable<ModelDefinition['dataset']>) =>
  // The types find another entity by themselves.
  model.regression({ ...named, inputs, outputs: { value: 'y' }, dataset: of as never });
const ranking = (of: NonNullable<ModelDefinition['dataset']>) =>
  model.ranking({
    ...{ ...named, itemEntity: station, path: '/v1/riders/{id}/stations', columns: ['a'] },
    ...{ features: { rides: rides.window(7) }, dataset: of as never },
    parseCandidates: () => {
      throw new Error('It is not served.');
    },
  });

it('reports a model that is trained again and cannot be trained in the worker', () => {
  const again = (changes: object) =>
    problemsOf(
      model.regression({
        ...{ ...named, inputs, outputs: { value: 'y' }, retraining: { everyDays: 7 } },
        dataset: dataset.ofEvents({ ...of, split, value: minutes }),
        training: { kind: 'trees' },
        ...changes,
      }),
    );
  expect(again({})).toEqual([]);
  expect(again({ training: undefined })).toEqual(['It is trained again, and declares no `training`.']);
  expect(again({ training: undefined, retraining: {} })).toEqual([]);
});

describe('the declaration of a dataset', () => {
  it('is taken for each kind of model', () => {
    expect(problemsOf(regression(dataset.ofEvents({ ...of, split, value: minutes })))).toEqual([]);
    expect(
      problemsOf(
        regression(dataset.ofPeriods({ ...of, split, horizonDays: 7, measure: 'sum', value: minutes })),
      ),
    ).toEqual([]);
    const items = { ...of, split, horizonDays: 7, negatives: 3, item: (data: Ride) => String(data.station) };
    const itemFeatures = { departures: departures.window(7) };
    expect(problemsOf(ranking(dataset.ofItems({ ...items, itemFeatures })))).toEqual([]);
  });

  it.each<[string, ModelDefinition, RegExp]>([
    [
      'rows of another entity',
      regression(
        dataset.ofEvents({ ...of, entity: station, key: (data) => data.station, split, value: minutes }),
      ),
      /^Its rows are of "station"/,
    ],
    [
      'an event that the catalog lacks',
      regression(dataset.ofEvents({ ...of, event: unknown, split, value: minutes })),
      /no event type "unknown\.v1"/,
    ],
    [
      'items of a model that ranks none',
      regression(dataset.ofItems({ ...of, split, horizonDays: 7, negatives: 3, item: () => 'a' })),
      /^The model is a regression; its rows are of items/,
    ],
    ['events of a ranking', ranking(dataset.ofEvents({ ...of, split, value: minutes })), /is a ranking/],
    [
      'negatives that are none',
      ranking(dataset.ofItems({ ...of, split, horizonDays: 7, negatives: 0, item: () => 'a' })),
      /^It samples 0 items/,
    ],
    [
      'a horizon that is none',
      regression(dataset.ofPeriods({ ...of, split, horizonDays: 0, everyDays: 1, measure: 'any' })),
      /^`horizonDays` is 0/,
    ],
    [
      'a horizon of less than a second',
      regression(dataset.ofPeriods({ ...of, split, horizonDays: 1e-6, everyDays: 1, measure: 'any' })),
      /^`horizonDays` is 0.000001/,
    ],
    [
      'a test part that is shorter than a label',
      regression(
        dataset.ofPeriods({
          ...of,
          split: { validationDays: 9, testDays: 7 },
          horizonDays: 8,
          measure: 'any',
        }),
      ),
      /^`testDays` is 7, and a label takes 8 days/,
    ],
    [
      'an item feature of another entity',
      ranking(
        dataset.ofItems({
          ...{ ...of, split, horizonDays: 7, negatives: 3, item: () => 'a' },
          itemFeatures: { own: rides.window(7) },
        }),
      ),
      /^The item feature "own" belongs to "rider"/,
    ],
    [
      'two columns of one name',
      ranking(
        dataset.ofItems({
          ...{ ...of, split, horizonDays: 7, negatives: 3, item: () => 'a' },
          itemFeatures: { label: departures.window(7) },
        }),
      ),
      /^Two of its columns are named "label"/,
    ],
    [
      'a column of the request',
      model.regression({
        ...{ ...named, outputs: { value: 'y' }, request: { hour: z.int() } },
        inputs: { X: { columns: { hour: fromRequest('hour') } } },
        dataset: dataset.ofEvents({ ...of, split, value: minutes }),
      }),
      /^The column "hour" comes from the request/,
    ],
    [
      'numbers for classes that are texts',
      model.classification({
        ...{ ...named, inputs, classes: ['few', 'many'], outputs: { label: 'y' } },
        dataset: dataset.ofPeriods({ ...of, split, horizonDays: 7, measure: 'any' }),
      }),
      /^A label of a period is a number/,
    ],
  ])('is refused for %s', (_, declared, problem) => {
    expect(problemsOf(declared)).toEqual([expect.stringMatching(problem)]);
  });
});
