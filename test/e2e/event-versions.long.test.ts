import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually, type Stack, startStack } from '../support/node/stack.ts';

const SOURCE = '/versions';
let stack: Stack;
beforeAll(async () => {
  stack = await startStack();
});
afterAll(() => stack[Symbol.asyncDispose]());

async function send(id: string, type: string, data: object) {
  const time = new Date().toISOString();
  return await stack.caller.ask('POST', '/v1/events', {
    contentType: 'application/cloudevents+json',
    headers: { prefer: 'wait' },
    body: JSON.stringify({ specversion: '1.0', id, source: SOURCE, type, time, data }),
  });
}
const ask = async (path: string) => (await stack.caller.ask('GET', path)).json;
const post = async (path: string, json: object) => (await stack.caller.ask('POST', path, { json })).json;
const readViews = () => stack.caller.featuresOf('customer', '17850');

const earlier = { sku: '85123A', customerId: '17850' };

describe('events of several versions', () => {
  it('are stored as the current one and count for one feature', async () => {
    const old = await send('one', 'shop.product-view.v1', earlier);
    expect(old.status).toBe(201);
    expect(old.headers.get('deprecation')).toBe('@1793491200');
    expect(old.headers.get('sunset')).toBe('Mon, 01 Nov 2027 00:00:00 GMT');
    const current = await send('two', 'shop.product-view.v2', { ...earlier, device: 'phone' });
    expect(current.status).toBe(201);
    expect(current.headers.get('deprecation')).toBeNull();
    expect(await ask('/v1/events/%2Fversions/one')).toMatchObject({
      status: 'stored',
      type: 'shop.product-view.v2',
      sentAs: 'shop.product-view.v1',
    });
    const rows = await stack.sql(
      `select id, type, sent_as, data from millrace.events where source = $1 order by seq`,
      [SOURCE],
    );
    expect(rows).toEqual([
      {
        id: 'one',
        type: 'shop.product-view.v2',
        sent_as: 'shop.product-view.v1',
        data: { ...earlier, device: 'unknown' },
      },
      { id: 'two', type: 'shop.product-view.v2', sent_as: null, data: { ...earlier, device: 'phone' } },
    ]);
    await eventually(readViews, (answer) => answer['product_views_7d']?.value === 2);
  });

  it('are one event if two versions have the same content', async () => {
    expect((await send('same', 'shop.product-view.v1', earlier)).status).toBe(201);
    const again = await send('same', 'shop.product-view.v2', { ...earlier, device: 'unknown' });
    expect(again).toMatchObject({ status: 200, json: { verdicts: [{ verdict: 'duplicate' }] } });
    const other = await send('same', 'shop.product-view.v2', { ...earlier, device: 'phone' });
    expect(other).toMatchObject({ status: 409, json: { code: 'conflicting_duplicate' } });
  });

  it('are named in the refusal of an unknown version', async () => {
    const unknown = await send('nine', 'shop.product-view.v9', earlier);
    expect(unknown).toMatchObject({
      status: 422,
      json: {
        code: 'unknown_event_version',
        detail: expect.stringContaining('shop.product-view.v1, shop.product-view.v2'),
      },
    });
    expect(await ask('/v1/events/%2Fversions/nine')).toMatchObject({ status: 'quarantined' });
  });

  it('are stored as the current version when they are released from quarantine', async () => {
    const { events } = (await ask('/v1/admin/quarantine?reason=unknown_event_version')) as {
      events: { id: number }[];
    };
    const time = new Date().toISOString();
    const old = { specversion: '1.0', id: 'nine', source: SOURCE, type: 'shop.product-view.v1', time };
    const released = await post('/v1/admin/quarantine/release', {
      id: events[0]?.id,
      event: { ...old, data: earlier },
    });
    expect(released['results']).toEqual([{ id: events[0]?.id, outcome: 'released' }]);
    expect(await ask('/v1/events/%2Fversions/nine')).toMatchObject({
      status: 'stored',
      type: 'shop.product-view.v2',
      sentAs: 'shop.product-view.v1',
    });
    // Two of the first test, one of the second, and this one.
    await eventually(readViews, (answer) => answer['product_views_7d']?.value === 4);
  });

  it('count as the current version in a replay, even if they were stored before it existed', async () => {
    await stack.sql(
      `update millrace.events set type = 'shop.product-view.v1', sent_as = null, data = data - 'device'
       where source = $1 and id = 'one'`,
      [SOURCE],
    );
    let page = await post('/v1/admin/replay', { rebuild: true });
    while (page['state'] !== 'done') page = await post('/v1/admin/replay', { rebuild: true });
    const { before, after } = page['digests'] as Record<string, { digest: string; events: number }>;
    expect(after).toEqual(before);
    expect((await readViews())['product_views_7d']?.value).toBe(4);
  });

  it('can be sent as /v1/events/types shows them', async () => {
    const { types } = (await ask('/v1/events/types')) as {
      types: { type: string; current: boolean; example: { type: string; data: object } }[];
    };
    expect(types.map(({ type, current }) => [type, current])).toContainEqual(['shop.product-view.v1', false]);
    for (const { example } of types) {
      const sent = await send(`example ${example.type}`, example.type, example.data);
      expect(sent.status).toBe(201);
    }
  });
});
