import { afterAll, beforeAll, expect, it } from 'vitest';
import { answererOf } from '../../../../src/inference/segments.ts';
import { IS_PART } from '../../../../test/support/node/part.ts';
import { eventually, type Stack, startStack } from '../../../../test/support/node/stack.ts';
import { SHOP } from '../served.ts';

const [CUSTOMERS, DAYS, STAPLES, STARTERS] = [400, 200, 10, 10];
const OVER = ['done', 'refused', 'failed', 'cancelled'];

const staple = (number: number) => String(20_000 + (number % STAPLES));
const starter = (number: number) => String(30_000 + (number % STARTERS));

/**
 * Every half day a customer comes for the first time and buys starters, which nobody buys again; six weeks later, and each
 * fortnight from then on, the customer buys staples. So staples are popular, and no new customer buys one within four weeks.
 */
const LINES = Array.from({ length: CUSTOMERS }, (_, customer) => {
  const first = (customer * DAYS) / CUSTOMERS;
  const line = (day: number, sku: string) => ({ day, customer: `c${customer}`, sku });
  const starters = [0, 1, 2].map((at) => line(first, starter(customer * 3 + at)));
  const visits = Array.from({ length: 12 }, (_, visit) => first + 42 + 14 * visit).filter(
    (day) => day < DAYS,
  );
  const staples = visits.flatMap((day) => [0, 1, 2].map((at) => line(day, staple(customer * 3 + at))));
  return [...starters, ...staples];
}).flat();

let stack: Stack;
beforeAll(async () => {
  const lines = JSON.stringify(LINES).replaceAll("'", "''");
  stack = await startStack(
    {},
    {
      served: SHOP,
      existing: [
        `insert into millrace.events (source, id, type, occurred_at, recorded_at, data, batch)
         select '/old', n::text, 'shop.purchase.v1', m_at, m_at + interval '1 second',
           jsonb_build_object('invoice', n::text, 'sku', sku, 'description', null, 'quantity', 1, 'unitPrice', 2,
             'customerId', customer, 'country', 'United Kingdom'), gen_random_uuid()
         from (select row_number() over (order by day, customer, sku) n, customer, sku,
             now() - interval '${DAYS} days' + day * interval '1 day' - interval '1 hour' as m_at
           from jsonb_to_recordset('${lines}') as lines(day float8, customer text, sku text)) m_all`,
      ],
    },
  );
});
afterAll(() => stack[Symbol.asyncDispose]());

const get = async (path: string) => (await stack.caller.ask('GET', path, { consistency: 'strong' })).json;

async function buys(customer: string, skus: readonly string[], times = 1): Promise<void> {
  const events = Array.from({ length: times }, (_, time) =>
    skus.map((sku) => ({
      ...{ specversion: '1.0', id: `${customer}-${sku}-${time}`, source: '/tills', type: 'shop.purchase.v1' },
      data: {
        ...{ invoice: `${customer}-${time}`, sku, description: 'A thing', quantity: 1, unitPrice: 2 },
        ...{ customerId: customer, country: 'United Kingdom' },
      },
    })),
  ).flat();
  await stack.caller.send(events, { wait: true });
}

// A run of some minutes: npm run test:all has it.
it.skipIf(IS_PART)(
  'lets the model answer new customers if its evaluation finds that it is better for them',
  async () => {
    // By these the quality of the pipeline is known.
    await buys('regular', [staple(1)], 120);
    const { status, json: begun } = await stack.caller.ask('POST', '/v1/training', {
      json: { model: 'ranker' },
    });
    expect(status).toBe(202);
    const run = await eventually(
      () => get(`/v1/training/${begun['id']}`),
      ({ state }) => OVER.includes(String(state)),
      240_000,
    );
    expect([run['failure'], run['state'], run['verdict']]).toEqual([null, 'done', 'better']);
    const { segments } = (
      run['evaluation'] as { ranking: { segments: Record<'new' | 'returning', Segment> } }
    ).ranking;
    const chosen = {
      new: answererOf('new', segments.new),
      returning: answererOf('returning', segments.returning),
    };
    expect(chosen).toEqual({ new: 'model', returning: 'model' });
    expect(segments.new.gain.low).toBeGreaterThan(0);

    const { segments: registered, card } = await get(`/v1/models/ranker/versions/${run['version']}`);
    expect(registered).toEqual(chosen);
    expect(card).toContain('New entities are answered by the model. Gain over popularity: ');
    const promoted = await stack.caller.ask('PUT', '/v1/admin/models/ranker/aliases/champion', {
      json: { version: run['version'] },
    });
    expect(promoted.status).toBe(200);
    const stranger = await get('/v1/customers/stranger/recommendations?limit=3');
    expect([stranger['source'], stranger['reason']]).toEqual(['model', undefined]);
    // Its order is that of the scores, and not that of what most customers buy.
    const items = (stranger['items'] as { item: string; score: number }[]).map(({ item }) => item);
    const { json: named } = await stack.caller.ask('POST', '/v1/predictions/ranker', {
      json: { key: 'stranger', items },
    });
    expect((named['items'] as { item: string }[]).map(({ item }) => item)).toEqual(items);
    expect(items[0], items.join()).toMatch(/^3/);
  },
);

interface Segment {
  readonly queries: number;
  readonly gain: { readonly low: number; readonly high: number };
}
