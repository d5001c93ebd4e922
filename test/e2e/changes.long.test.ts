import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually, KEY, type Stack, startStack } from '../support/node/stack.ts';

const AUTHORIZED = { authorization: `Bearer ${KEY}` };
let stack: Stack;
beforeAll(async () => {
  stack = await startStack({ OUTBOX_WATCH_MS: '200' }, { capture: true });
});
afterAll(() => stack[Symbol.asyncDispose]());

interface Told {
  readonly id: string;
  readonly event: string;
  readonly data: { change: number; type: string; entities: string[]; token: string; reason?: string };
}

/** A client of the feed: reads server-sent events until it has enough, and goes. */
async function follow(query = '', lastEventId?: string) {
  const gone = new AbortController();
  const response = await stack.fetch(`/v1/changes${query}`, {
    headers: { ...AUTHORIZED, ...(lastEventId === undefined ? {} : { 'last-event-id': lastEventId }) },
    signal: gone.signal,
  });
  if (response.status !== 200 || response.body === null)
    return { status: response.status, problem: await response.json() };
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  let position = '';
  const waiting: Told[] = [];
  const block = async (): Promise<string> => {
    for (;;) {
      const end = text.indexOf('\n\n');
      if (end >= 0) {
        const found = text.slice(0, end);
        text = text.slice(end + 2);
        return found;
      }
      const { value, done } = await reader.read();
      if (done) throw new Error('The feed has ended.');
      text += value;
    }
  };
  const read = async () => {
    const lines = (await block()).split('\n').map((line) => line.split(/: (.*)/));
    const fields = Object.fromEntries(lines.map(([name, value]) => [name, value]));
    position = fields['id'] ?? position;
    if (fields['data'] !== undefined)
      waiting.push({
        id: position,
        event: fields['event'] ?? '',
        data: JSON.parse(fields['data']) as Told['data'],
      });
  };
  await read();
  return {
    status: 200,
    contentType: response.headers.get('content-type'),
    position: () => position,
    next: async (): Promise<Told> => {
      while (waiting.length === 0) await read();
      return waiting.shift() as Told;
    },
    leave: () => gone.abort(),
  };
}

async function client(query?: string, lastEventId?: string) {
  const following = await follow(query, lastEventId);
  if (following.next === undefined) throw new Error(JSON.stringify(following));
  return following;
}

const put = (sku: string, unitPrice: number) =>
  stack.caller.ask('PUT', `/v1/products/${sku}`, { json: { description: 'A heart', unitPrice } });

async function send(id: string, sku: string, customerId: string) {
  const data = { invoice: id, sku, quantity: 6, unitPrice: 2.55, customerId, country: 'United Kingdom' };
  const time = new Date().toISOString();
  const event = { specversion: '1.0', id, source: '/feed', type: 'shop.purchase.v1', time, data };
  expect(await stack.caller.send([event])).toMatchObject({ accepted: 1 });
}

describe('the live feed', () => {
  it('sends events, writes through the API, and writes of other applications', async () => {
    const feed = await client();
    expect(feed.contentType).toBe('text/event-stream');
    expect((await put('FEED1', 1)).status).toBe(201);
    const written = await feed.next();
    expect(written).toMatchObject({ event: 'change', data: { type: 'row', entities: ['product:FEED1'] } });
    const shown = await stack.caller.ask('GET', '/v1/products/FEED1', { token: written.data.token });
    expect(shown.json).toMatchObject({ unitPrice: 1 });
    await send('f1', 'FEED1', '17850');
    // The customer was not known: the event brought the row, which is a change of its own.
    const both = [await feed.next(), await feed.next()].toSorted((a, b) =>
      a.data.type < b.data.type ? -1 : 1,
    );
    expect(both.map(({ data }) => data.type)).toEqual(['row', 'shop.purchase.v1']);
    expect(both[0]?.data.entities).toEqual(['customer:17850']);
    expect(both[1]?.data.entities.toSorted()).toEqual(['customer:17850', 'product:FEED1']);
    await stack.sql(`update products set unit_price = 7 where sku = 'FEED1'`);
    expect(await feed.next()).toMatchObject({ data: { type: 'row', entities: ['product:FEED1'] } });
    feed.leave();
  });

  it('continues after the position of its client, and misses no change', async () => {
    const first = await client('?type=shop.purchase.v1');
    await send('r0', 'FEED2', '1');
    const { id } = await first.next();
    first.leave();
    for (let n = 1; n <= 20; n += 1) await send(`r${n}`, `FEED2-${n}`, String(n));
    const second = await client('?type=shop.purchase.v1', id);
    const seen = [];
    for (let n = 1; n <= 20; n += 1) seen.push(await second.next());
    expect(new Set(seen.map(({ data }) => data.change)).size).toBe(20);
    expect(
      seen.flatMap(({ data }) => data.entities).filter((one) => one.startsWith('product:')),
    ).toHaveLength(20);
    second.leave();
  });

  it('sends only the changes that the filter selects', async () => {
    const feed = await client('?entity=customer:77&entity=product:FEED3&type=shop.purchase.v1');
    await put('FEED3', 3);
    await send('w1', 'FEED3', '76');
    await send('w2', 'FEED4', '76');
    await send('w3', 'FEED4', '77');
    const seen = [await feed.next(), await feed.next()];
    expect(seen.flatMap(({ data }) => data.entities).toSorted()).toEqual([
      'customer:76',
      'customer:77',
      'product:FEED3',
      'product:FEED4',
    ]);
    feed.leave();
  });

  it('sends a reset if it cannot continue', async () => {
    const gone = await client('', '00000000-0000-4000-8000-000000000000.5');
    const reset = await gone.next();
    expect(reset).toMatchObject({ event: 'reset', data: { reason: 'log_was_made_anew' } });
    await put('FEED5', 5);
    expect(await gone.next()).toMatchObject({ event: 'change', data: { entities: ['product:FEED5'] } });
    gone.leave();
  });

  it('frees the place of a client that has disconnected', async () => {
    const readers = async () => {
      const { text } = await stack.caller.ask('GET', '/metrics');
      return Number(/^millrace_feed_readers (\d+)$/m.exec(text)?.[1]);
    };
    const clients = await Promise.all([client(), client('?type=row'), client()]);
    await eventually(readers, (count) => count >= 3);
    for (const { leave } of clients) leave();
    await eventually(readers, (count) => count === 0, 25_000);
  });

  it('needs the key, and says what is wrong with a request', async () => {
    expect((await stack.fetch('/v1/changes')).status).toBe(401);
    expect(await follow('', 'nonsense')).toMatchObject({
      status: 400,
      problem: { code: 'invalid_request', pointer: 'Last-Event-ID' },
    });
    expect(await follow(`?${'type=a&'.repeat(21)}`)).toMatchObject({
      status: 400,
      problem: { code: 'invalid_request', pointer: 'type' },
    });
    expect(await follow('?entity=')).toMatchObject({ status: 400, problem: { pointer: 'entity' } });
  });
});
