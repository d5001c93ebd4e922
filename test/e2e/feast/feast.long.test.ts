import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { IS_PART } from '../../support/node/part.ts';
import { eventually, KEY, type Stack, startStack } from '../../support/node/stack.ts';
import { missing, type Outcome, type Step, withFeast } from './client.ts';

const TIMEOUT_MS = 180_000;
const PRESENT = 1;
const NOT_FOUND = 3;
const DAY_MS = 86_400_000;

let stack: Stack;
beforeAll(async () => {
  stack = await startStack();
}, TIMEOUT_MS);
afterAll(() => stack[Symbol.asyncDispose]());

const at = new Date(Math.floor((Date.now() - 3 * DAY_MS) / 1_000) * 1_000);

/** Purchases of two customers, as a data frame. */
const df = {
  customerId: ['F1', 'F1', 'F2'],
  invoice: ['1', '1', '2'],
  sku: ['A', 'B', 'A'],
  description: ['a', 'b', 'a'],
  quantity: [1, 2, 3],
  unitPrice: [1.5, 2, 1.5],
  country: ['UK', 'UK', 'FR'],
  event_timestamp: [at, at, at].map((time) => time.toISOString()),
  created: [at, at, at].map((time) => time.toISOString()),
};

async function post(path: string, body: unknown) {
  const answer = await stack.fetch(path, {
    method: 'POST',
    headers: { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  return { status: answer.status, json: (await answer.json()) as Record<string, unknown> };
}

const title = missing === undefined ? 'Feast’s SDK' : `Feast’s SDK (skipped: ${missing})`;
describe.skipIf(missing !== undefined)(title, () => {
  it(
    'pushes rows as events and reads the features that they make, by the remote online store',
    async () => {
      const taken = async (...steps: Step[]): Promise<Outcome[]> => await withFeast(stack.url, KEY, steps);
      // Twice: the second push has the same rows, and counts nothing again.
      expect(
        await taken({ push: { source: 'purchases', df } }, { push: { source: 'purchases', df } }),
      ).toEqual([{ result: 'pushed' }, { result: 'pushed' }]);
      const read = { features: ['customer:purchases_30d'], entities: { customer_id: ['F1', 'F2'] } };
      await eventually(
        () => post('/get-online-features', read),
        ({ json }) => JSON.stringify(json['results']).includes('[2,1]'),
        60_000,
      );
      const rows = [{ customer_id: 'F1' }, { customer_id: 'nobody' }];
      const features = ['customer:purchases_30d', 'customer:spend_minor_90d', 'customer:last_purchase_at'];
      const outcomes = await taken(
        { read: { features, rows } },
        { read: { features, rows, full: true } },
        { read: { service: 'expected-spend', rows: rows.slice(0, 1) } },
        { online_read: { features: ['purchases_30d', 'spend_minor_90d'], keys: ['F1', 'F2'] } },
        { read: { features: ['customer:nothing'], rows } },
        { push: { source: 'purchases', df: { ...df, quantity: [1, 2, 1_000_000_000] } } },
      );
      const values = {
        customer_id: ['F1', 'nobody'],
        purchases_30d: [2, 0],
        spend_minor_90d: [550, 0],
        last_purchase_at: [at.getTime(), null],
      };
      const statuses = {
        customer_id: [PRESENT, PRESENT],
        purchases_30d: [PRESENT, NOT_FOUND],
        spend_minor_90d: [PRESENT, NOT_FOUND],
        last_purchase_at: [PRESENT, NOT_FOUND],
      };
      const full = (names: object) =>
        Object.fromEntries(
          Object.entries(names).map(([name, of]) => [
            name === 'customer_id' ? name : `customer__${name}`,
            of,
          ]),
        );
      expect(outcomes).toEqual([
        { result: { values, statuses } },
        { result: { values: full(values), statuses: full(statuses) } },
        { result: { values: expect.objectContaining({ customer_id: ['F1'] }), statuses: expect.anything() } },
        {
          result: [
            { purchases_30d: 2, spend_minor_90d: 550 },
            { purchases_30d: 1, spend_minor_90d: 450 },
          ],
        },
        {
          error: expect.stringMatching(/^RuntimeError: Failed to get online features: 422 .*unknown_feature/),
        },
        { error: expect.stringMatching(/^RuntimeError: Unable to write.*Error_code=422/) },
      ]);
      const stored = await stack.sql(
        "select count(*)::int as n from millrace.events where source like '/feast/push/%'",
      );
      expect(stored).toEqual([{ n: 3 }]);
    },
    TIMEOUT_MS,
  );

  it.skipIf(IS_PART)(
    'reads a version of a feature by its name',
    async () => {
      const answer = await stack.fetch('/v1/admin/features', { headers: { authorization: `Bearer ${KEY}` } });
      const states = (await answer.json()) as { features: { feature: string; suffix: string }[] };
      const { suffix } = states.features.find(({ feature }) => feature === 'purchases') ?? { suffix: '' };
      const names = [`purchases_30d${suffix}`, 'purchases_30d@000000000000'];
      const [versions, unknown] = await withFeast(
        stack.url,
        KEY,
        names.map((name) => ({
          read: { features: ['customer:purchases_30d', `customer:${name}`], rows: [{ customer_id: 'F1' }] },
        })),
        names,
      );
      expect(versions).toEqual({
        result: {
          values: { customer_id: ['F1'], purchases_30d: [2], [`purchases_30d${suffix}`]: [2] },
          statuses: {
            customer_id: [PRESENT],
            purchases_30d: [PRESENT],
            [`purchases_30d${suffix}`]: [PRESENT],
          },
        },
      });
      expect(unknown).toEqual({
        error: expect.stringMatching(/^RuntimeError: .*422 .*unknown_feature_version/),
      });
    },
    TIMEOUT_MS,
  );

  it.skipIf(IS_PART)(
    'is refused with a key that is not valid',
    async () => {
      const step = { read: { features: ['customer:purchases_30d'], rows: [{ customer_id: 'F1' }] } };
      const [outcome] = await withFeast(stack.url, 'wrong', [step]);
      expect(outcome).toEqual({ error: expect.stringMatching(/^RuntimeError: .*401 .*unauthorized/) });
    },
    TIMEOUT_MS,
  );
});
