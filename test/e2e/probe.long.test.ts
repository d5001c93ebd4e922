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

const isEqual = (line: string) => line.includes('reason="equal"');
const equalSamples = (lines: readonly string[]) => Number(lines.find(isEqual)?.split(' ').at(-1) ?? 0);

it('the probe does not report a row that left a list as missed while its change is pending', async () => {
  const skus = Array.from({ length: 8 }, (_, index) => String(index + 1));
  await stack.sql(
    `insert into products (sku, description, unit_price) select sku, 'One', 1 from unnest(array['${skus.join("','")}']) as sku`,
  );
  expect((await list()).products).toHaveLength(skus.length);
  await eventually(verdicts, (lines) => lines.some(isEqual));

  const left = [...skus];
  const told = async (): Promise<string[]> => {
    const sku = left.pop() ?? '';
    // The writer names the row alone, so the page without it shares no tag with this change; the relay is not told.
    await stack.sql(
      `with gone as (delete from products where sku = '${sku}') insert into millrace.outbox (tags) values (array['product:${sku}'])`,
    );
    const before = equalSamples(await verdicts());
    // The second equal sample began after the change, so the page was read anew before any sample saw the change pending.
    const seen = await eventually(
      verdicts,
      (lines) => !lines.every(isEqual) || equalSamples(lines) >= before + 2,
    );
    return seen.every(isEqual) && left.length > 0 ? await told() : seen;
  };
  expect((await told()).filter((line) => !isEqual(line))).toEqual([
    expect.stringContaining('reason="changed_later",verdict="consistent"'),
  ]);
  // To find that out, the probe had the outbox looked after.
  expect((await list()).products.map(({ sku }) => sku)).toEqual(left);
});
