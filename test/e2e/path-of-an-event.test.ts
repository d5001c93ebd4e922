import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as z from 'zod';
import { rankerBundle } from '../support/models/ranker.ts';
import { BOUND_MS } from '../support/node/reads.ts';
import { eventually, type Stack, startStack, withinBound } from '../support/node/stack.ts';
import { AUTHORIZED, PurchaseClient, purchaseOf, strong } from './purchases.ts';

let stack: Stack;
let client: PurchaseClient;
beforeAll(async () => {
  stack = await startStack();
  client = new PurchaseClient(stack);
  expect((await client.publishModel()).status).toBe(201);
});
afterAll(async () => {
  await stack[Symbol.asyncDispose]();
});

describe('the path of an event', () => {
  it('invalidates the answers that it touches, and no others', async () => {
    expect((await client.send([purchaseOf('alice', '10001A'), purchaseOf('bob', '10002B')])).status).toBe(
      202,
    );
    await client.folded('alice', 1);
    await client.folded('bob', 1);

    const paths = {
      product: '/v1/products/10001A',
      other: '/v1/products/10002B',
      alice: '/v1/customers/alice/recommendations',
      bob: '/v1/customers/bob/recommendations',
      alicePurchases: '/v1/customers/alice/purchases',
      bobPurchases: '/v1/customers/bob/purchases',
      list: '/v1/products',
    };
    const read = async () =>
      Object.fromEntries(
        await Promise.all(
          Object.entries(paths).map(async ([name, path]) => [name, await client.get(path, strong)] as const),
        ),
      );
    // On a busy machine the first answers may be given before the model is loaded, or before the alias is verified.
    const first = await eventually(read, (answers) =>
      [answers['alice'], answers['bob']].every(
        (answer) => answer?.json['source'] === 'model' && answer.json['degraded'] === undefined,
      ),
    );
    expect(first['product']?.json).toMatchObject({ sku: '10001A', sold: { units: 2 } });
    expect(first['alice']?.json).toMatchObject({ customer: 'alice', source: 'model' });
    // On a busy machine a fill may take longer than its readers wait, and the next one fills again.
    await eventually(read, (answers) => Object.values(answers).every(({ cache }) => cache.includes('; hit')));

    expect((await client.send([purchaseOf('alice', '10001A', { quantity: 5 })])).status).toBe(202);
    await client.folded('alice', 2);
    await eventually(
      () => client.get(paths.alice, strong),
      ({ json }) => JSON.stringify(json) !== JSON.stringify(first['alice']?.json),
    );
    const second = await read();
    expect(second['product']?.json).toMatchObject({ sold: { units: 7 } });
    expect(second['alicePurchases']?.json['purchases']).toHaveLength(2);
    for (const name of ['other', 'bob', 'bobPurchases', 'list']) {
      expect([name, second[name]?.cache]).toEqual([name, expect.stringContaining('; hit')]);
      expect(second[name]?.json).toEqual(first[name]?.json);
    }
  });

  it('counts an event once, however often it is sent', async () => {
    const event = purchaseOf('carol', '10003C');
    await client.send([event, event]);
    await client.send([event]);
    await client.folded('carol', 1);
    await client.send([purchaseOf('carol', '10003C')]);
    await client.folded('carol', 2);
    expect((await client.get('/v1/products/10003C', strong)).json).toMatchObject({ sold: { units: 4 } });
  });

  it('replaces a cached 404 when the product appears', async () => {
    expect((await client.get('/v1/products/10004D')).status).toBe(404);
    const again = await client.get('/v1/products/10004D');
    expect(again.status).toBe(404);
    expect(again.cache).toContain('; hit');
    const purchase = purchaseOf(null, '10004D');
    await client.send([purchase]);
    await eventually(
      () => client.get('/v1/products/10004D', strong),
      ({ status }) => status === 200,
    );
    const list = await client.get('/v1/products', strong);
    expect(JSON.stringify(list.json)).toContain('10004D');
    const of = await client.get(
      `/v1/events/${encodeURIComponent(String(purchase.source))}/${purchase.id}`,
      AUTHORIZED,
    );
    const tags = z.object({ invalidated: z.object({ tags: z.array(z.string()) }) }).parse(of.json);
    expect(tags.invalidated.tags).toContain('product:10004D');
    expect(tags.invalidated.tags.some((tag) => tag.startsWith('product/by-price^'))).toBe(true);
  });

  it('quarantines a bad event with its reason, and stores the others of its batch', async () => {
    const events = [purchaseOf('dave', '10005E'), purchaseOf('dave', '10005E', { quantity: -3 })];
    const response = await client.send(events);
    expect(response.status).toBe(207);
    expect(response.json).toMatchObject({
      accepted: 1,
      quarantined: 1,
      verdicts: [{ index: 1, reason: 'quantity_not_positive', pointer: '/data/quantity' }],
    });
    await client.send(events);
    await client.folded('dave', 1);
    const pipeline = await eventually(
      () => client.get('/v1/admin/pipeline', AUTHORIZED),
      ({ json }) => JSON.stringify(json['quarantine']) !== '{}',
    );
    expect(pipeline.json['quarantine']).toEqual({ quantity_not_positive: 1 });
  });

  it('quarantines only the event that the database refuses', async () => {
    await stack.sql(`alter table purchases add constraint picky check (country <> 'Atlantis')`);
    const events = [purchaseOf('erin', '10006F'), purchaseOf('erin', '10006F', { country: 'Atlantis' })];
    expect((await client.send(events)).status).toBe(202);
    await client.folded('erin', 1);
    await eventually(
      () => client.get('/v1/admin/pipeline', AUTHORIZED),
      ({ json }) => Object.keys(json['quarantine'] ?? {}).includes('storage_refused'),
    );
  });

  it('tells a waiting client why the database refused an event, and never that it is stored', async () => {
    const wait = (body: unknown, type: string) =>
      stack.caller.ask('POST', '/v1/events', { json: body, contentType: type, headers: { prefer: 'wait' } });
    const bad = purchaseOf('frank', '10007G', { country: 'Atlantis' });
    const single = await wait(bad, 'application/cloudevents+json');
    expect(single.status).toBe(422);
    const refusal = {
      code: 'storage_refused',
      pointer: '/data',
      detail: expect.stringMatching(/SQLSTATE 23514, table "purchases", constraint "picky"/),
    };
    expect(single.json).toMatchObject(refusal);
    const batch = await wait([purchaseOf('frank', '10007G'), bad], 'application/cloudevents-batch+json');
    expect(batch.status).toBe(207);
    expect(batch.json).toMatchObject({
      accepted: 1,
      quarantined: 1,
      verdicts: [{ index: 1, verdict: 'quarantined', reason: 'storage_refused', ...refusal }],
    });
    const [source, id] = [String(bad.source), String(bad.id)];
    const status = await client.get(
      `/v1/events/${encodeURIComponent(source)}/${encodeURIComponent(id)}`,
      AUTHORIZED,
    );
    expect(status.json).toMatchObject({
      status: 'quarantined',
      reason: 'storage_refused',
      detail: refusal.detail,
    });
    const { json } = await client.get('/v1/admin/quarantine?reason=storage_refused', AUTHORIZED);
    expect(JSON.stringify(json)).toContain('SQLSTATE 23514');
  });
});

describe('a write', () => {
  const put = (sku: string, body: object) => stack.caller.ask('PUT', `/v1/products/${sku}`, { json: body });

  it('is visible at once to every reader with its token', async () => {
    expect((await put('20001A', { description: 'First', unitPrice: 1 })).status).toBe(201);
    await client.get('/v1/products/20001A');
    const written = await put('20001A', { description: 'Second', unitPrice: 2.25 });
    expect(written.status).toBe(200);
    const { token } = written;
    const seen = await client.get('/v1/products/20001A', { 'millrace-token': token });
    expect(seen.json).toMatchObject({ description: 'Second', unitPrice: 2.25 });
    expect(seen.cache).toContain('fwd=stale');
    const [epoch, seq] = token.split('.');
    const future = await client.get('/v1/products/20001A', {
      'millrace-token': `${epoch}.${Number(seq) + 1_000}`,
    });
    expect(future.json).toMatchObject({ code: 'token_from_the_future' });
  });

  it('is visible to a bounded read within its bound, and answers 304 while nothing has changed', async () => {
    const before = await client.get('/v1/products/20001A');
    const etag = before.headers.get('etag') ?? '';
    expect((await client.get('/v1/products/20001A', { 'if-none-match': etag })).status).toBe(304);
    await put('20001A', { description: 'Third', unitPrice: 3 });
    const seen = await withinBound(
      () => client.get('/v1/products/20001A', { 'if-none-match': etag }),
      ({ status }) => status === 200,
      BOUND_MS,
    );
    expect(seen.json).toMatchObject({ description: 'Third' });
  });

  it('that stopped between its commit and its invalidation is invalidated by the relay', async () => {
    await put('20002B', { description: 'Before', unitPrice: 1 });
    await client.get('/v1/products/20002B', strong);
    await stack.sql(`
      with written as (update products set description = 'After' where sku = '20002B')
      insert into millrace.outbox (tags) values (array['product:20002B'])`);
    const swept = await stack.caller.ask('POST', '/v1/admin/outbox/sweep');
    expect(swept.status).toBe(200);
    expect((await client.get('/v1/products/20002B', strong)).json).toMatchObject({ description: 'After' });
    const pending = await stack.sql(
      'select count(*)::int as count from millrace.outbox where relayed_at is null',
    );
    expect(pending).toEqual([{ count: 0 }]);
  });
});

describe('the model', () => {
  it('scores the requested items, and runs only tensors of its shape', async () => {
    const post = (json: object) => stack.caller.ask('POST', '/v1/predictions/ranker', { json });
    const scored = await post({ key: 'alice', items: ['10001A', '10002B'] });
    expect(scored.status).toBe(200);
    expect(scored.json['items']).toHaveLength(2);
    expect(await post({ key: 'alice', items: ['10001A', 'no-such-product'] })).toMatchObject({
      status: 422,
      json: { code: 'unknown_item', pointer: '/items/1' },
    });
    const { golden } = rankerBundle();
    const rows = golden.inputs.features;
    const width = rows[0]?.length ?? 0;
    const tensor = { name: 'features', datatype: 'FP32', shape: [rows.length, width], data: rows.flat() };
    const ran = await post({ inputs: [tensor] });
    const [output] = ran.json['outputs'] as { data: number[] }[];
    for (const [index, expected] of golden.outputs.score.entries())
      expect(output?.data[index]).toBeCloseTo(expected, 4);
    expect(await post({ inputs: [{ ...tensor, shape: [rows.length, width + 1] }] })).toMatchObject({
      status: 422,
      json: { code: 'tensor_mismatch', pointer: '/inputs/0/shape' },
    });
    expect(await post({ inputs: [{ ...tensor, data: [1] }] })).toMatchObject({
      json: { pointer: '/inputs/0/data' },
    });
  });

  it('is refused if it is incomplete, and the present version stays', async () => {
    const broken = await client.publishModel((bundle) => {
      bundle.model = Buffer.from('not a graph').toString('base64');
    });
    expect(broken.status).toBe(422);
    expect(broken.json).toMatchObject({ code: 'invalid_model', pointer: '/manifest/model/bytes' });
    const wrong = await client.publishModel(({ golden }) => {
      golden.outputs.score = golden.outputs.score.map((score) => score + 0.5);
    });
    expect(wrong.json).toMatchObject({ code: 'invalid_model', pointer: '/golden/outputs/score' });
    expect((await client.get('/v1/customers/alice/recommendations', strong)).json).toMatchObject({
      source: 'model',
    });
  });

  it('invalidates all recommendations when another version is published', async () => {
    await client.get('/v1/customers/bob/recommendations', strong);
    expect((await client.publishModel()).status).toBe(201);
    expect((await client.get('/v1/customers/bob/recommendations', strong)).cache).toContain('fwd=stale');
  });
});

describe('a purge', () => {
  const purge = async (body: object) => {
    const { status, json } = await stack.caller.ask('POST', '/v1/admin/cache/purge', { json: body });
    return { status, json: json as { token?: string; code?: string } };
  };
  const paths = [
    '/v1/products/10001A',
    '/v1/products/10002B',
    '/v1/products?limit=2',
    '/v1/customers/bob/recommendations',
  ];
  /** Fills all, purges, and returns which of them are still hits for a reader with the purge's token. */
  const hitsAfter = async (body: object) => {
    for (const path of paths) await client.get(path, strong);
    const { status, json } = await purge(body);
    expect(status).toBe(200);
    const headers = { 'millrace-token': json.token ?? '' };
    const hits: boolean[] = [];
    for (const path of paths) hits.push((await client.get(path, headers)).cache.includes('; hit'));
    return hits;
  };

  it('invalidates only what it names, for every reader with its token', async () => {
    expect(await hitsAfter({ tags: ['product:10001A'] })).toEqual([false, true, false, true]);
    expect(await hitsAfter({ path: '/v1/products?limit=2' })).toEqual([true, true, false, true]);
    expect(await hitsAfter({ path: '/v1/products/10002B' })).toEqual([true, false, true, true]);
    expect(await hitsAfter({ view: 'product' })).toEqual([false, false, true, true]);
    expect(await hitsAfter({ view: 'ranker' })).toEqual([true, true, true, false]);
    expect(await hitsAfter({ everything: true })).toEqual([false, false, false, false]);
  });

  it('of an unknown view or path is refused', async () => {
    expect(await purge({ path: '/v1/nothing' })).toMatchObject({ status: 404 });
    expect(await purge({ path: '/v1/products?limit=1000' })).toMatchObject({ status: 400 });
    expect(await purge({ view: 'nothing' })).toMatchObject({ status: 404 });
    expect(await purge({})).toMatchObject({ status: 400, json: { code: 'invalid_request' } });
  });
});
