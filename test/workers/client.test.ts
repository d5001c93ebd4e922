import { SELF } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { expect, it } from 'vitest';
import { changes, createClient, ProblemError, sendEvents } from '../../src/client/index.ts';

/** As a Worker uses it: its requests go through a binding. */
const client = (key = 'test-key') =>
  createClient({
    url: 'https://shop.test',
    key,
    system: { fetch: (input, init) => SELF.fetch(input, init) },
  });

it('reads, and throws the problem of a refusal', async () => {
  const { data } = await client().get('/v1/events/types');
  expect(data.types.map(({ type }) => type)).toContain('shop.purchase.v1');
  const refused = await client('wrong')
    .get('/v1/admin/queues')
    .catch((error: unknown) => error);
  expect(refused).toBeInstanceOf(ProblemError);
  expect(refused).toMatchObject({ code: 'unauthorized', status: 401 });
});

it('sends gzipped events in batches', async () => {
  const report = await sendEvents(
    client(),
    // The contract refuses them all, so that nothing is left to store.
    Array.from({ length: 1_200 }, (_, n) => ({
      ...{ id: `bad-${n}`, source: '/client', type: 'shop.purchase.v1', data: { invoice: n } },
    })),
  );
  expect(report).toMatchObject({ accepted: 0, quarantined: 1_200 });
  expect(report.verdicts.at(-1)).toMatchObject({ index: 1_199, id: 'bad-1199' });
});

it('follows the changes', async () => {
  const feed = changes(client());
  const first = feed.next();
  const change = { change: 1, type: 'row', entities: ['product:A1'], token: 'e.1' };
  // The feed begins with its connection, so the change is appended until the reader has it.
  let number = 0;
  const appended = async () => {
    number += 1;
    await env.CHANGE_FEED.getByName('main').append([{ ...change, change: number }]);
    return await Promise.race([
      first.then(() => true),
      new Promise((resolve) => setTimeout(resolve, 50, false)),
    ]);
  };
  await expect.poll(appended, { timeout: 20_000 }).toBe(true);
  expect(await first).toMatchObject({ value: { kind: 'change', change: { entities: ['product:A1'] } } });
});
