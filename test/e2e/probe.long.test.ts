import { afterAll, beforeAll, expect, it } from 'vitest';
import { eventually, type Stack, startStack } from '../support/node/stack.ts';

const LIST = '/v1/products?limit=10';
let stack: Stack;
beforeAll(async () => {
  // Nothing but the probe has the outbox looked at: the watch would often relay the change before a sample is taken.
  stack = await startStack({ PROBE_SHARE: '1', OUTBOX_WATCH_MS: '0' });
});
afterAll(() => stack[Symbol.asyncDispose]());

const list = async () =>
  (await (await stack.fetch(LIST)).json()) as { products: { sku: string }[]; next: string | null };
/** What the probe has found so far about the list; its hits are what is looked at. */
const verdicts = async () => {
  await list();
  const { text } = await stack.caller.ask('GET', '/metrics');
  return text.split('\n').filter((line) => /^millrace_probe_samples_total\{.*view="products"/.test(line));
};

it('the probe does not report a row that left a list as missed while its change is pending', async () => {
  await stack.sql(
    `insert into products (sku, description, unit_price) values ('1', 'One', 1), ('2', 'Two', 2)`,
  );
  expect((await list()).products).toHaveLength(2);
  await eventually(verdicts, (lines) => lines.some((line) => line.includes('reason="equal"')));

  // The writer names the row alone, so the page without it shares no tag with this change; the relay is not told.
  await stack.sql(
    `with gone as (delete from products where sku = '2') insert into millrace.outbox (tags) values (array['product:2'])`,
  );
  const told = await eventually(
    verdicts,
    (lines) => lines.some((line) => !line.includes('reason="equal"')),
    30_000,
  );
  expect(told.filter((line) => !line.includes('reason="equal"'))).toEqual([
    expect.stringContaining('reason="changed_later",verdict="consistent"'),
  ]);
  // To find that out, the probe had the outbox looked after.
  expect((await list()).products).toMatchObject([{ sku: '1' }]);
});
