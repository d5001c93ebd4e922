import { dataset } from '../../../src/define/dataset.ts';
import type { EntityDefinition } from '../../../src/define/entity.ts';
import { type FeatureReference, readNames } from '../../../src/define/feature.ts';
import { reference } from '../../../src/define/feature-definition.ts';
import { type ModelDefinition, model } from '../../../src/define/model.ts';
import { fromFeature } from '../../../src/define/model-input.ts';
import { customer, product } from '../catalog/entities.ts';
import { FEATURES, type Visit, visit } from '../point-in-time/history.ts';

/** Models over the made-up history of `point-in-time/history.ts`, with a dataset of each kind. */

function referenceTo<Owner extends EntityDefinition>(entity: Owner, name: string) {
  const feature = FEATURES.find((one) => one.entity === entity && readNames(one).includes(name));
  if (feature === undefined) throw new Error(`There is no feature ${name}.`);
  return reference(entity, feature, name, false, (stored) => stored ?? null);
}

/** Values that the oracle computes by itself. */
export const NUMBERS = ['visits_30m', 'visits_7d', 'least_7d', 'cents_1y', 'rooms_30m', 'last_at'] as const;
export const LISTS = ['first_room_1y', 'last_room_7d', 'items'] as const;

const inputs = {
  X: {
    columns: Object.fromEntries(
      NUMBERS.map((name) => [
        name,
        fromFeature(referenceTo(customer, name) as FeatureReference<typeof customer, number | null>, {
          default: Number.NaN,
        }),
      ]),
    ),
  },
};

const of = { entity: customer, event: visit, key: ({ guests }: Visit) => guests };
const split = { validationDays: 3, testDays: 3 };

export const PAID: ModelDefinition = model.regression({
  ...{ name: 'paid', description: 'What a visit costs.', entity: customer, inputs, outputs: { value: 'y' } },
  dataset: dataset.ofEvents({ ...of, split, warmUpDays: 0, value: ({ paid }) => paid }),
});

export const VISITS: ModelDefinition = model.regression({
  ...{
    name: 'visits',
    description: 'How often they come.',
    entity: customer,
    inputs,
    outputs: { value: 'y' },
  },
  dataset: dataset.ofPeriods({
    ...{ ...of, split, warmUpDays: 1, horizonDays: 2, everyDays: 1 },
    ...{ measure: 'sum', value: ({ paid }: Visit) => paid },
  }),
});

export const ROOMS: ModelDefinition = model.ranking({
  ...{ name: 'rooms', description: 'Which room.', entity: customer, itemEntity: product, columns: ['a'] },
  path: '/v1/customers/{id}/rooms',
  features: Object.fromEntries([...NUMBERS, ...LISTS].map((name) => [name, referenceTo(customer, name)])),
  parseCandidates: () => {
    throw new Error('It is not served.');
  },
  dataset: dataset.ofItems({
    ...{ ...of, split, warmUpDays: 0, horizonDays: 2, everyDays: 1, negatives: 1 },
    item: ({ room }) => room,
    itemFeatures: { item_visits: referenceTo(product, 'visits_1h') },
  }),
});
