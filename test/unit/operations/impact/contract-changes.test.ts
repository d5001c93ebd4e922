import { expect, it } from 'vitest';
import { concernsOf } from '../../../../scripts/project/contract-impact.ts';
import { contractsOf } from '../../../../scripts/project/contracts.ts';
import type { Contract } from '../../../../src/pipeline/contracts/releases.ts';
import { FIXTURE } from '../../../support/node/fixture.ts';

const { catalog } = FIXTURE;
const purchase = contractsOf(catalog).find(({ type }) => type === 'shop.purchase.v1');

/** The contract as it was released, with other schemas of some of its fields. */
function released(fields: object): readonly [older: Contract, newer: Contract] {
  const schema = purchase?.schema;
  if (purchase === undefined || typeof schema !== 'object') throw new Error('The fixture has no purchase.');
  return [
    { ...purchase, schema: { ...schema, properties: { ...Object(schema['properties']), ...fields } } },
    purchase,
  ];
}

it('says what each changed field of a contract concerns', async () => {
  expect(await concernsOf(catalog, ...released({ unitPrice: { type: 'number' } }))).toEqual([
    'unitPrice concerns columns products.unit_price, purchases.unit_price; features customer.spend_minor, customer.order_share; models expected-spend, ranker, mood; views product, products, price-list, customer-purchases, customer.',
  ]);
});

it('says what the event concerns for a field that is gone', async () => {
  const [line = ''] = await concernsOf(catalog, ...released({ till: { type: 'string' } }));
  expect(line).toMatch(/^till, which the catalog does not have, as shop\.purchase concerns columns .*views /);
});

it('says nothing of a contract whose fields are the same', async () => {
  expect(await concernsOf(catalog, ...released({}))).toEqual([]);
});
