import { afterAll, beforeAll, expect, it } from 'vitest';
import * as z from 'zod';
import {
  bought,
  digest,
  historyOf,
  makeDataset,
  objects,
  places,
  rebuiltDigest,
} from '../support/forget/customer.ts';
import { gateTo, startCli } from '../support/node/cli.ts';
import { IS_PART } from '../support/node/part.ts';
import { eventually, type Stack, startStack } from '../support/node/stack.ts';

const VICTIM = 'forget-me-0815';
const DAYS = 30;
/** In a part the command is killed at every sixth of its requests. */
const EVERY = IS_PART ? 12 : 1;

let stack: Stack;
beforeAll(async () => {
  stack = await startStack({}, { existing: historyOf([VICTIM, 'c0', 'c1'], DAYS) });
});
afterAll(async () => await stack[Symbol.asyncDispose]());

const Page = z.object({
  state: z.string(),
  total: z.int(),
  models: z.array(z.object({ model: z.string() })),
});
const Said = z.object({
  erased: Page,
  left: Page,
  trained: z.array(z.object({ model: z.string(), refused: z.string().nullable() })),
});

/**
 * Runs the command, and kills it with the `at`th request of its run, before that is handed on or before it is answered.
 *
 * @returns what it wrote and its exit code; null if it was killed.
 */
async function runKilled(at: number, moment: 'before' | 'after') {
  let requests = 0;
  let child: ReturnType<typeof startCli>['child'] | undefined;
  const gate = await gateTo(stack, (_, when) => {
    if (when === 'before') requests += 1;
    if (requests !== at || when !== moment) return true;
    child?.kill('SIGKILL');
    return false;
  });
  try {
    const command = startCli(gate.url, 'forget', 'customer', VICTIM, '--json', '--yes', '--retrain');
    child = command.child;
    const { text, code } = await command.ended;
    return code === null ? null : { text, code };
  } finally {
    gate.close();
  }
}

it('an erasure whose command is killed at each of its requests loses and leaves nothing', async () => {
  const events = [bought('k1', VICTIM), bought('kbad', VICTIM, { quantity: 0 }), bought('ko', 'c0')];
  expect(await stack.caller.send(events, { wait: true })).toMatchObject({ accepted: 2, quarantined: 1 });
  await eventually(
    () => stack.caller.featuresOf('customer', VICTIM),
    (read) => read['purchases_365d']?.value === DAYS + 1,
  );
  const id = await makeDataset(stack);
  const countOthers = () =>
    stack.sql(
      'select customer_id, count(*) as n from purchases where customer_id <> $1 group by 1 order by 1',
      [VICTIM],
    );
  const others = await countOthers();
  let kills = 0;
  let ended: Awaited<ReturnType<typeof runKilled>> = null;
  for (let at = 1; ended === null; at += EVERY) {
    ended = await runKilled(at, at % 2 === 0 ? 'before' : 'after');
    if (ended === null) kills += 1;
  }
  expect(kills).toBeGreaterThan(20 / EVERY);
  expect(ended.code, ended.text).toBe(0);
  const from = ended.text.search(/^\{/m);
  const said = Said.parse(JSON.parse(ended.text.slice(from, ended.text.lastIndexOf('}') + 1)));
  expect(said.left.total).toBe(0);
  // Which versions have learned is known, although an earlier run of the command removed the events.
  expect(said.erased.models).toEqual([expect.objectContaining({ model: 'expected-spend' })]);
  expect(said.left.models).toEqual(said.erased.models);
  expect(said.trained.map(({ model }) => model)).toEqual(['expected-spend']);
  expect(await places(stack, VICTIM)).toEqual({});
  expect(await objects(stack, VICTIM)).toEqual([]);
  expect((await stack.caller.ask('GET', `/v1/admin/datasets/${id}`)).status).toBe(404);
  expect(await countOthers()).toEqual(others);
  const served = await digest(stack);
  expect(await rebuiltDigest(stack)).toBe(served);
  expect(await stack.caller.send([bought('k1', VICTIM)], { wait: true })).toMatchObject({ duplicates: 1 });
});
