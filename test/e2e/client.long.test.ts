import { afterAll, beforeAll, expect, it } from 'vitest';
import { changes, createClient, type LiveEvent, ProblemError, sendEvents } from '../../src/client/index.ts';
import { KEY, type Stack, startStack } from '../support/node/stack.ts';

interface Product {
  readonly '/v1/products/{sku}': {
    get: {
      parameters: { path: { sku: string } };
      responses: { 200: { content: { 'application/json': { description: string; unitPrice: number } } } };
    };
    put: {
      parameters: { path: { sku: string } };
      requestBody: { content: { 'application/json': { description: string; unitPrice: number } } };
      responses: { 200: { content: { 'application/json': unknown } } };
    };
  };
}

let stack: Stack;
beforeAll(async () => {
  stack = await startStack();
});
afterAll(() => stack?.[Symbol.asyncDispose]());

const options = () => ({ url: stack.url.href, key: KEY });
/** Of all events, so that one that is sent again is the same. */
const TIME = new Date().toISOString();
const purchase = (n: number) => ({
  ...{ id: `client-${n}`, source: '/client', type: 'shop.purchase.v1', time: TIME },
  data: {
    ...{ invoice: `9${n}`, sku: 'CLIENT1', description: 'A jug', quantity: 1, unitPrice: 2 },
    ...{ customerId: 'c-client', country: 'France' },
  },
});

it('reads its own writes in a session, and finds its write after it', async () => {
  const session = createClient<Product>(options()).session();
  for (const unitPrice of [1, 2, 3]) {
    const { token } = await session.put('/v1/products/{sku}', {
      path: { sku: 'CLIENT2' },
      body: { description: 'A lamp', unitPrice },
    });
    expect(session.token).toBe(token);
    const { data } = await session.get('/v1/products/{sku}', { path: { sku: 'CLIENT2' } });
    expect(data).toMatchObject({ description: 'A lamp', unitPrice });
  }
  const missing = session.get('/v1/products/{sku}', { path: { sku: 'NOTHING' } });
  await expect(missing).rejects.toMatchObject({ code: 'not_found', status: 404 });
});

it('sends events, follows their change, and reads what they changed', async () => {
  const client = createClient(options());
  const controller = new AbortController();
  const seen: LiveEvent[] = [];
  const following = (async () => {
    for await (const event of changes(client, { signal: controller.signal })) seen.push(event);
  })();
  // The feed begins with its connection, so events are sent until one is seen.
  let sent = 0;
  await expect
    .poll(
      async () => {
        sent += 1;
        const report = await sendEvents(client, [purchase(sent)], { wait: true });
        expect(report).toMatchObject({ accepted: 1, token: expect.stringMatching(/\.\d+$/) });
        return seen.filter((event) => event.kind === 'change' && event.change.type !== 'row').length;
      },
      { timeout: 30_000, interval: 500 },
    )
    .toBeGreaterThan(0);
  controller.abort(new Error('seen'));
  await expect(following).rejects.toThrow('seen');
  expect(seen).toContainEqual({
    kind: 'change',
    id: expect.any(String),
    change: expect.objectContaining({ entities: expect.arrayContaining(['product:CLIENT1']) }),
  });
  const { data } = await client.get('/v1/events/{source}/{id}', {
    path: { source: '/client', id: 'client-1' },
  });
  expect(data.status).toBe('stored');
  const again = await sendEvents(client, [purchase(1)], { wait: true });
  expect(again).toMatchObject({ accepted: 0, duplicates: 1 });
});

it('accepts thousands of events in gzipped batches, and says which of them went to quarantine', async () => {
  const events = Array.from({ length: 2_500 }, (_, n) => purchase(1_000 + n));
  const bad = { ...purchase(9_999), data: { invoice: 1 } };
  const report = await sendEvents(createClient(options()), [...events, bad], { wait: true, lane: 'bulk' });
  expect(report).toMatchObject({ accepted: 2_500, quarantined: 1 });
  expect(report.verdicts).toMatchObject([
    { index: 2_500, verdict: 'quarantined', code: 'contract_violation' },
  ]);
});

it('has the refusal of each kind as a problem', async () => {
  const stranger = createClient({ ...options(), key: 'wrong' });
  await expect(stranger.get('/v1/admin/pipeline')).rejects.toBeInstanceOf(ProblemError);
  const client = createClient(options());
  const unknown = client.post('/v1/features/read', {
    body: { entity: 'nothing', keys: ['a'], features: [] },
  });
  await expect(unknown).rejects.toMatchObject({
    problem: { code: expect.any(String), pointer: expect.any(String) },
  });
});
