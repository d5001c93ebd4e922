import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as z from 'zod';
import { deploymentOf } from '../../src/cache/tiers/deployment.ts';
import { cursorKey, signCursors } from '../../src/gateway/cursors.ts';
import { FIXTURE } from '../support/node/fixture.ts';
import { eventually, KEY, type Stack, startStack } from '../support/node/stack.ts';

const AUTHORIZED = { authorization: `Bearer ${KEY}` };
const Page = z.looseObject({ next: z.string().nullable() });
const Refused = z.looseObject({ code: z.string(), pointer: z.string(), detail: z.string() });

let stack: Stack;
let place: string;
beforeAll(async () => {
  stack = await startStack();
  await stack.sql(
    `insert into products (sku, description, unit_price) select 'S' || n, 'A cup', n from generate_series(1, 9) n`,
  );
  await stack.sql(
    `insert into customers (id, country)
     select 'c' || n, case when n % 2 = 0 then 'Malta' else 'Spain' end from generate_series(1, 8) n`,
  );
  await stack.sql(
    `insert into purchases (event_seq, invoice, sku, customer_id, quantity, unit_price, country, occurred_at)
     select 9000000 + n, 'I' || n, 'S1', case when n % 2 = 0 then 'c1' else 'c2' end, 1, 1, 'Malta', now()
     from generate_series(1, 8) n`,
  );
  [place = ''] = (await cursorOf('/v1/price-list?limit=2')).split('.');
});
afterAll(() => stack[Symbol.asyncDispose]());

const get = (path: string, headers: Record<string, string> = AUTHORIZED) =>
  stack.fetch(path, { headers: { 'millrace-consistency': 'strong', ...headers } });

async function pageOf(path: string) {
  const response = await get(path);
  expect([path, response.status]).toEqual([path, 200]);
  return Page.parse(await response.json());
}
async function cursorOf(path: string): Promise<string> {
  return z.string().parse((await pageOf(path)).next);
}
async function refusalOf(path: string) {
  const response = await get(path);
  const { code, pointer, detail } = Refused.parse(await response.json());
  expect(detail).toContain('Start over from the first page');
  return [response.status, code, pointer];
}

describe('a cursor', () => {
  it('leads through all pages, of sizes that change on the way', async () => {
    const seen: unknown[] = [];
    let next: string | null = null;
    for (const limit of [2, 1, 3, 4, 2, 9]) {
      const page = await pageOf(`/v1/price-list?limit=${limit}${next === null ? '' : `&after=${next}`}`);
      seen.push(...z.array(z.looseObject({ sku: z.string() })).parse(page['products']));
      next = page.next;
      if (next === null) break;
    }
    expect(seen.map((row) => Reflect.get(Object(row), 'sku'))).toEqual(
      Array.from({ length: 9 }, (_, index) => `S${index + 1}`),
    );
    expect(next).toBeNull();
  });

  it('is refused with one code and the remedy if it is damaged, unsigned, or signed under another secret', async () => {
    const cursor = await cursorOf('/v1/price-list?limit=2');
    const [view] = FIXTURE.catalog.views.filter(({ name }) => name === 'price-list');
    if (view === undefined) throw new Error('The fixture has the view.');
    const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');
    const signedBy = (secret: string) => {
      const apiKeySha256 = sha256(secret);
      const key = cursorKey({ deployment: deploymentOf(stack.database.url, apiKeySha256), apiKeySha256 });
      const request = { input: { limit: 2 }, principal: undefined, owner: undefined };
      const loaded = { value: { products: [], next: place }, tags: [], storable: true };
      return z.object({ next: z.string() }).parse(signCursors(key, view, request, loaded).value).next;
    };
    expect(signedBy(KEY)).toBe(cursor);
    for (const wrong of [
      `${cursor.slice(0, -1)}${cursor.endsWith('A') ? 'B' : 'A'}`,
      cursor.slice(1),
      cursor.slice(0, -1),
      `${cursor}A`,
      place,
      `${place}.`,
      'x',
      '',
      signedBy('the secret of before'),
    ])
      expect([wrong, ...(await refusalOf(`/v1/price-list?after=${wrong}`))]).toEqual([
        wrong,
        400,
        'invalid_cursor',
        'after',
      ]);
  });

  it('is refused for another country, and for the purchases of another customer', async () => {
    const maltese = await cursorOf('/v1/customers?country=Malta&limit=2');
    expect((await pageOf(`/v1/customers?country=Malta&limit=1&after=${maltese}`))['customers']).toHaveLength(
      1,
    );
    expect(await refusalOf(`/v1/customers?country=Spain&after=${maltese}`)).toEqual([
      400,
      'invalid_cursor',
      'after',
    ]);
    const own = await cursorOf('/v1/customers/c1/purchases?limit=2');
    expect((await pageOf(`/v1/customers/c1/purchases?before=${own}`))['purchases']).toHaveLength(2);
    expect(await refusalOf(`/v1/customers/c2/purchases?before=${own}`)).toEqual([
      400,
      'invalid_cursor',
      'before',
    ]);
  });
});

it('a page behind a cursor is a hit for every reader, and a forged cursor gets nothing of it', async () => {
  const path = `/v1/price-list?limit=3&after=${await cursorOf('/v1/price-list?limit=3')}`;
  const cacheOf = async () => {
    const response = await stack.fetch(path);
    await response.text();
    return response.headers.get('cache-status') ?? '';
  };
  await eventually(cacheOf, (status) => status.includes('; hit'));
  expect(await refusalOf(`${path.slice(0, -1)}${path.endsWith('A') ? 'B' : 'A'}`)).toEqual([
    400,
    'invalid_cursor',
    'after',
  ]);
  expect(await cacheOf()).toContain('; hit');
});

it('an operator names an entry with and without the signature, and purges both as one', async () => {
  const cursor = await cursorOf('/v1/price-list?limit=4');
  const [at = ''] = cursor.split('.');
  const path = `/v1/price-list?limit=4&after=${cursor}`;
  await eventually(
    async () => (await stack.fetch(path)).headers.get('cache-status') ?? '',
    (status) => status.includes('; hit'),
  );
  const inspect = async (text: string) => {
    const query = new URLSearchParams({ path: `/v1/price-list?limit=4&after=${text}` });
    const response = await get(`/v1/admin/cache/inspect?${query}`);
    return z.looseObject({ key: z.string() }).parse(await response.json()).key;
  };
  expect(await inspect(at)).toBe(await inspect(cursor));
  const purge = (text: string) =>
    stack.caller.ask('POST', '/v1/admin/cache/purge', {
      json: { path: `/v1/price-list?limit=4&after=${text}` },
    });
  expect((await purge(at)).status).toBe(200);
  const after = await get(path);
  await after.text();
  expect(after.headers.get('cache-status')).not.toContain('; hit');
  const nowhere = await purge('x');
  expect([nowhere.status, Refused.parse(nowhere.json).code]).toEqual([400, 'invalid_cursor']);
});
