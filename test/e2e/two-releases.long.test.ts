import { afterAll, beforeAll, expect, it } from 'vitest';
import * as z from 'zod';
import { FIXTURE } from '../support/node/fixture.ts';
import { IS_PART } from '../support/node/part.ts';
import { eventually, type Stack, startStack } from '../support/node/stack.ts';

/** The release after the fixture's: `spend_minor` is another definition, and `largest_line` is new. */
const NEXT = 'test/support/worker/next-release.ts';
const PURCHASES = 2_000;
const CUSTOMERS = 10;
const EACH = PURCHASES / CUSTOMERS;
const KEYS = Array.from({ length: CUSTOMERS }, (_, n) => `c${n}`);

const Read = z.object({
  results: z.array(
    z.object({
      features: z.record(
        z.string(),
        z.object({ value: z.unknown(), status: z.string(), frozenAt: z.number().optional() }),
      ),
    }),
  ),
});
const States = z.object({
  features: z.array(z.object({ feature: z.string(), state: z.string(), suffix: z.string() })),
});
const Quiet = z.object({ status: z.number() });

let stack: Stack;
beforeAll(async () => {
  if (IS_PART) return;
  stack = await startStack(
    {},
    {
      existing: [
        `insert into millrace.events (source, id, type, occurred_at, data, batch)
         select '/old', n::text, 'shop.purchase.v1', now() - n * interval '1 second',
           jsonb_build_object('invoice', n::text, 'sku', 'S' || n % 7, 'quantity', 1, 'unitPrice', 1.5,
             'customerId', 'c' || n % ${CUSTOMERS}, 'country', 'UK'), gen_random_uuid()
         from generate_series(1, ${PURCHASES}) n`,
      ],
    },
  );
}, 240_000);
afterAll(() => stack?.[Symbol.asyncDispose]());

/** What readers saw of a feature of a customer, without repetitions, in its order. */
const seen: Record<string, string[]> = {};

/** The features of all customers; undefined if the worker is being replaced and does not answer. */
async function read(names: readonly string[]): Promise<Record<string, string>[] | undefined> {
  const json = { entity: 'customer', keys: KEYS, features: names };
  const asked = await stack.caller.ask('POST', '/v1/features/read', { json }).catch(() => undefined);
  if (asked === undefined || Quiet.parse(asked).status >= 500) return undefined;
  expect(asked.status).toBe(200);
  return Read.parse(asked.json).results.map(({ features }, index) =>
    Object.fromEntries(
      Object.entries(features).map(([name, { value, status, frozenAt }]) => {
        const shown = `${status} ${value}${frozenAt === undefined ? '' : ' frozen'}`;
        seen[`${index} ${name}`] ??= [];
        if (seen[`${index} ${name}`]?.at(-1) !== shown) seen[`${index} ${name}`]?.push(shown);
        return [name, shown];
      }),
    ),
  );
}

/** Reads until each customer has what it should have. */
async function until(names: readonly string[], want: (key: string) => Record<string, string>) {
  await eventually(
    () => read(names),
    (rows) => JSON.stringify(rows) === JSON.stringify(KEYS.map(want)),
    90_000,
  );
}

async function suffixOf(): Promise<string> {
  const { json } = await stack.caller.ask('GET', '/v1/admin/features');
  const own = States.parse(json).features.find(
    ({ feature, state }) => feature === 'spend_minor' && state === 'ready',
  );
  return own?.suffix ?? '';
}

async function buy(id: string): Promise<void> {
  const event = {
    ...{ specversion: '1.0', id, source: '/live', type: 'shop.purchase.v1', time: new Date().toISOString() },
    data: { invoice: id, sku: 'S1', unitPrice: 1.5, quantity: 1, customerId: 'c0', country: 'UK' },
  };
  await eventually(
    () => stack.caller.send([event], { wait: true }).catch(() => undefined),
    (sent) => sent?.accepted === 1 || sent?.duplicates === 1,
    60_000,
  );
}

const changesOf = (name: string, customer = 1) => seen[`${customer} ${name}`];

it.skipIf(IS_PART)(
  'goes from one release to the next and back over the same state, and reads go on',
  async () => {
    const [count, spend] = ['purchases_30d', 'spend_minor_90d'] as const;
    const present = (value: number) => `PRESENT ${value}`;
    await until([count, spend], () => ({ [count]: present(EACH), [spend]: present(EACH * 150) }));
    const first = await suffixOf();
    for (const name of Object.keys(seen)) delete seen[name];

    await stack.deploy(NEXT);
    await read([count, spend]);
    await buy('live-1');
    const more = (key: string) => (key === 'c0' ? 1 : 0);
    const both = [count, spend, 'largest_line', `${spend}${first}`];
    await until(both, (key) => ({
      [count]: present(EACH + more(key)),
      [spend]: present((EACH + more(key)) * 2),
      largest_line: present(1),
      // As of its replacement: the purchase that came later does not count.
      [`${spend}${first}`]: `${present(EACH * 150)} frozen`,
    }));
    // The count was read all the time. The changed feature was not ready, then whole, and never a part nor the old one.
    expect(changesOf(count)).toEqual([present(EACH)]);
    expect(changesOf(spend)).toEqual(['NOT_READY null', present(EACH * 2)]);
    expect(changesOf(`${spend}${first}`)).toEqual([`${present(EACH * 150)} frozen`]);
    const second = await suffixOf();
    expect(second).not.toBe(first);
    for (const name of Object.keys(seen)) delete seen[name];

    await stack.deploy(FIXTURE.main);
    await until([count, spend, `${spend}${second}`], (key) => ({
      [count]: present(EACH + more(key)),
      [spend]: present((EACH + more(key)) * 150),
      [`${spend}${second}`]: `${present((EACH + more(key)) * 2)} frozen`,
    }));
    expect(changesOf(count)).toEqual([present(EACH)]);
    expect(changesOf(spend)).toEqual(['NOT_READY null', present(EACH * 150)]);
  },
  400_000,
);
