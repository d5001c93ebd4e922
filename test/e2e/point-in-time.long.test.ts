import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  differencesOf,
  type Observation,
  observeOnline,
  type SentEvent,
  statusesOf,
} from '../../scripts/verify/feature-parity.ts';
import { seededRandom } from '../../src/platform/random.ts';
import { connect } from '../../src/storage/postgres/connect.ts';
import { FIXTURE } from '../support/node/fixture.ts';
import { shareOf } from '../support/node/part.ts';
import { KEY, type Stack, startStack } from '../support/node/stack.ts';
import { catalog } from '../support/point-in-time/catalog.ts';

const EVENTS = shareOf(6_000, 0.25);
const PAIRS = shareOf(1_000, 0.2);
const DAY_MS = 86_400_000;

let stack: Stack;
beforeAll(async () => {
  const main = 'test/support/point-in-time/worker.ts';
  stack = await startStack({}, { served: { ...FIXTURE, catalog, main } });
});
afterAll(() => stack[Symbol.asyncDispose]());

/** Lines of invoices like those of the data set: a few busy customers and products, a fifth without a customer. */
function madeUpLines(now: number): SentEvent[] {
  const random = seededRandom(11);
  const skewed = (count: number) => Math.floor(count * random() ** 3);
  return Array.from({ length: EVENTS }, (_, index) => {
    const isReturn = random() < 0.03;
    // The last line happened a minute ago, and more than half within the last month.
    const ageMs = 60_000 + 400 * DAY_MS * (1 - index / EVENTS) ** 3;
    return {
      specversion: '1.0',
      ...{ source: '/parity', id: String(index), type: isReturn ? 'shop.return.v1' : 'shop.purchase.v1' },
      time: new Date(now - Math.floor(ageMs)).toISOString(),
      data: {
        invoice: `${isReturn ? 'C' : ''}${Math.floor(index / 20)}`,
        sku: `S${skewed(300)}`,
        // Some are refused: they are in quarantine and must not count.
        quantity: random() < 0.01 ? 0 : 1 + skewed(40),
        unitPrice: (1 + Math.floor(random() * 2_000)) / 100,
        customerId: random() < 0.2 ? null : `c${skewed(60)}`,
        country: ['United Kingdom', 'EIRE', 'Germany', 'France'][skewed(4)],
      },
    };
  });
}

it('history has what the online store answered at the time, to the last bit', async () => {
  const deployment = { url: stack.url, key: KEY, catalog, db: connect(stack.database) };
  const plan = { seed: 3, stops: 6, pairs: PAIRS };
  const observations = await observeOnline(deployment, madeUpLines(Date.now()), plan);
  expect(observations).toHaveLength(PAIRS);
  expect(await differencesOf(deployment, observations)).toEqual([]);
  const statuses = statusesOf(observations);
  expect(Object.keys(statuses).sort()).toEqual(['NOT_FOUND', 'NULL_VALUE', 'OUTSIDE_MAX_AGE', 'PRESENT']);
  expect(statuses['PRESENT']).toBeGreaterThan(10 * PAIRS);
  // The comparison would show a join that has events which were not known yet.
  const later = Date.now() + DAY_MS;
  const unaware = (of: Observation) => ({ ...of, request: { ...of.request, known: later } });
  expect((await differencesOf(deployment, observations.map(unaware))).length).toBeGreaterThan(PAIRS);
}, 600_000);
