import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually, type Stack, startStack } from '../support/node/stack.ts';

let stack: Stack;
beforeAll(async () => {
  stack = await startStack();
});
afterAll(async () => {
  await stack[Symbol.asyncDispose]();
});

const write = (method: 'PUT' | 'DELETE', path: string, json?: object) =>
  stack.caller.ask(method, path, { json });
const putProduct = (sku: string, unitPrice: number, description = `About ${sku}`) =>
  write('PUT', `/v1/products/${sku}`, { description, unitPrice });
const putCustomer = (id: string, country: string) => write('PUT', `/v1/customers/${id}`, { country });

interface Page {
  readonly keys: readonly string[];
  readonly next: string | null;
  readonly cache: string;
}
async function read(path: string): Promise<Page> {
  const { status, text, cache } = await stack.caller.ask('GET', path, { consistency: 'strong' });
  expect(status).toBe(200);
  const json = JSON.parse(text) as {
    next: string | null;
    products?: { sku: string }[];
    customers?: { id: string }[];
  };
  return {
    keys: [...(json.products ?? []).map(({ sku }) => sku), ...(json.customers ?? []).map(({ id }) => id)],
    next: json.next,
    cache,
  };
}

/** All pages of a list from the first on, by following `next`. */
async function pagesOf(path: string): Promise<string[]> {
  const paths: string[] = [];
  for (let next: string | null = ''; next !== null; ) {
    const page: string = next === '' ? path : `${path}&after=${encodeURIComponent(next)}`;
    paths.push(page);
    next = (await read(page)).next;
  }
  return paths;
}

/** Fills the pages, does the write, and tells which of them are read afresh after it. */
async function voided(paths: readonly string[], change: () => Promise<unknown>): Promise<number[]> {
  for (const path of paths) await read(path);
  for (const path of paths)
    expect([path, (await read(path)).cache]).toEqual([path, expect.stringContaining('; hit')]);
  await change();
  const stale: number[] = [];
  for (const [index, path] of paths.entries()) {
    const { cache } = await read(path);
    if (cache.includes('fwd=stale')) stale.push(index);
    else expect([path, cache]).toEqual([path, expect.stringContaining('; hit')]);
  }
  return stale;
}

/** What the database has, in the order that the list promises. */
async function inDatabase(query: string): Promise<unknown[]> {
  return (await stack.sql(query)).map(({ key }) => key);
}
async function everything(paths: readonly string[]): Promise<string[]> {
  const pages = await Promise.all(paths.map(read));
  return pages.flatMap(({ keys }) => keys);
}

describe('products', () => {
  const bySku = '/v1/products?limit=4';
  const byPrice = '/v1/price-list?limit=4';
  /** 24 products of 12 prices, each price twice: pages of four hold two prices each. */
  const skus = Array.from({ length: 24 }, (_, index) => `${10 + 3 * index}A`);
  let skuPages: string[];
  let pricePages: string[];

  beforeAll(async () => {
    for (const [index, sku] of skus.entries()) await putProduct(sku, 1 + ((index * 5) % 12));
    skuPages = await pagesOf(bySku);
    pricePages = await pagesOf(byPrice);
  });

  it('are listed completely and in order, by SKU and by price', async () => {
    expect(skuPages).toHaveLength(7);
    expect(await everything(skuPages)).toEqual(
      await inDatabase('select sku as key from products order by sku collate "C"'),
    );
    expect(await everything(pricePages)).toEqual(
      await inDatabase('select sku as key from products order by unit_price, sku collate "C"'),
    );
  });

  it('that are inserted void the page that they enter, and no other', async () => {
    // The third page is 34A to 43A; the price lies between those of the third page of prices and the fourth.
    expect(await voided([...skuPages, ...pricePages], () => putProduct('38B', 6.5))).toEqual([2, 7 + 3]);
    expect((await read(skuPages[2] ?? '')).keys).toEqual(['34A', '37A', '38B', '40A']);
    expect(await voided(skuPages, () => putProduct('99Z', 100))).toEqual([6]);
    expect(await voided(skuPages, () => putProduct('05', 100))).toEqual([0]);
  });

  it('that are deleted void the page that held them, and no other', async () => {
    for (const sku of ['99Z', '05']) await write('DELETE', `/v1/products/${sku}`);
    skuPages = await pagesOf(bySku);
    pricePages = await pagesOf(byPrice);
    const remove = () => write('DELETE', '/v1/products/38B');
    expect(await voided([...skuPages, ...pricePages], remove)).toEqual([2, skuPages.length + 3]);
    skuPages = await pagesOf(bySku);
    pricePages = await pagesOf(byPrice);
    expect(await everything(skuPages)).toEqual(skus);
  });

  it('whose price changes void the pages by price that they leave and enter, and the one by SKU that shows it', async () => {
    const [sku = ''] = (await read(pricePages[1] ?? '')).keys;
    const at = skuPages.length;
    const shownOn = Math.floor(skus.indexOf(sku) / 4);
    expect(await voided([...skuPages, ...pricePages], () => putProduct(sku, 9.5))).toEqual([
      shownOn,
      at + 1,
      at + 4,
    ]);
    expect((await read(pricePages[4] ?? '')).keys).toContain(sku);
    pricePages = await pagesOf(byPrice);
    expect(await everything(pricePages)).toEqual(
      await inDatabase('select sku as key from products order by unit_price, sku collate "C"'),
    );
  });

  it('whose description changes invalidate only the pages that show them', async () => {
    const sku = skus[9] ?? '';
    const [{ price = 0 } = {}] = (await stack.sql(
      'select unit_price::float8 as price from products where sku = $1',
      [sku],
    )) as { price?: number }[];
    const shows = await Promise.all(pricePages.map(async (path) => (await read(path)).keys.includes(sku)));
    expect(await voided([...skuPages, ...pricePages], () => putProduct(sku, price, 'Another text'))).toEqual([
      2,
      skuPages.length + shows.indexOf(true),
    ]);
  });

  it('that an event mentions first enter their page', async () => {
    const event = {
      specversion: '1.0',
      id: 'list-1',
      source: '/e2e',
      type: 'shop.purchase.v1',
      data: {
        invoice: '1',
        sku: '46X',
        description: null,
        quantity: 1,
        unitPrice: 4.25,
        customerId: 'eve',
        country: 'Malta',
      },
    };
    const malta = '/v1/customers?country=Malta';
    const [page = ''] = await pagesOf(malta);
    const stale = await voided([...skuPages, malta], async () => {
      await stack.caller.send([event]);
      await eventually(
        () => stack.sql(`select sku from products where sku = '46X'`),
        (rows) => rows.length === 1,
      );
      await eventually(
        () => stack.sql('select count(*)::int as pending from millrace.outbox where relayed_at is null'),
        ([row]) => row?.['pending'] === 0,
      );
    });
    expect(stale).toEqual([3, skuPages.length]);
    expect((await read(page)).keys).toEqual(['eve']);
    expect((await read(skuPages[3] ?? '')).keys).toContain('46X');
  });
});

describe('customers of a country', () => {
  it('leave one list and enter another, and the rest of both stays', async () => {
    const ids = Array.from({ length: 12 }, (_, index) => `${100 + 30 * index}`);
    for (const id of ids) await putCustomer(id, Number(id) % 60 === 40 ? 'France' : 'Spain');
    const france = await pagesOf('/v1/customers?country=France&limit=2');
    const spain = await pagesOf('/v1/customers?country=Spain&limit=2');
    const none = '/v1/customers?country=Japan';
    const paths = [...france, ...spain, none];
    const before = await Promise.all([...france, ...spain].map(read));
    expect(before.flatMap(({ keys }) => keys).sort()).toEqual(ids);
    // 280 is on the second page of France, and comes to lie between Spain's 250 and 310.
    const holds = before.map(({ keys }) => keys.includes('280')).indexOf(true);
    const enters = before.findIndex(({ keys }, index) => index >= france.length && keys.includes('310'));
    expect(await voided(paths, () => putCustomer('280', 'Spain'))).toEqual([holds, enters]);
    expect((await read(paths[enters] ?? '')).keys).toContain('280');
    expect((await read(paths[holds] ?? '')).keys).not.toContain('280');
    expect(await voided(paths, () => putCustomer('900', 'Japan'))).toEqual([paths.length - 1]);
    expect((await read(none)).keys).toEqual(['900']);
  });
});

describe('a cursor', () => {
  it('that no page returned is refused', async () => {
    for (const cursor of ['x', '1:85123A', 'MSwxMjM', `${'A'.repeat(3_000)}`]) {
      const { status, json } = await stack.caller.ask('GET', `/v1/price-list?after=${cursor}`);
      expect([cursor, status, json['code'], json['pointer']]).toEqual([
        cursor,
        400,
        'invalid_cursor',
        'after',
      ]);
    }
  });
});

describe('a delete', () => {
  it('is visible to a reader with its token, and answers 204 with a token when it is repeated', async () => {
    await putProduct('70001A', 1);
    expect((await stack.caller.ask('GET', '/v1/products/70001A')).status).toBe(200);
    const { status, token } = await write('DELETE', '/v1/products/70001A');
    expect(status).toBe(204);
    const seen = await stack.caller.ask('GET', '/v1/products/70001A', { token });
    expect([seen.status, seen.cache]).toEqual([404, expect.stringContaining('fwd=stale')]);
    const again = await write('DELETE', '/v1/products/70001A');
    expect([again.status, again.token]).toEqual([204, expect.stringMatching(/\.\d+$/)]);
    expect(await write('DELETE', '/v1/products/%3Cb%3E')).toMatchObject({
      status: 400,
      json: { pointer: 'sku' },
    });
    expect((await putProduct('70001A', 2)).status).toBe(201);
  });

  it('of a row that a foreign key refers to is refused', async () => {
    await putProduct('70002A', 1);
    await stack.sql('create table stock (sku text references products (sku))');
    await stack.sql(`insert into stock values ('70002A')`);
    expect(await write('DELETE', '/v1/products/70002A')).toMatchObject({
      status: 409,
      json: { code: 'still_referenced', pointer: 'sku' },
    });
    await stack.sql('drop table stock');
    expect((await write('DELETE', '/v1/products/70002A')).status).toBe(204);
  });
});

describe('writers of one row at a time', () => {
  it('each invalidate the place that they found and the place that they left', async () => {
    await putCustomer('race', 'Start');
    const countries = Array.from({ length: 12 }, (_, index) => `Country ${index}`);
    await Promise.all(countries.map((country) => putCustomer('race', country)));
    const rows = await stack.sql(
      `select tags from millrace.outbox where 'customer:race' = any (tags) order by id`,
    );
    // In the order of their commits, each write leaves the list that the one before it entered. Behind its own tags
    // each names those of the writes before it that were not invalidated yet.
    const moves = rows.map(({ tags }) =>
      (tags as string[]).filter((tag) => tag.endsWith('^')).map((tag) => /\[(.*)\]/.exec(tag)?.[1]),
    );
    const left = moves.slice(1).map(([from]) => from);
    const entered = moves.map(([from, to], index) => (index === 0 ? from : to));
    expect(left).toEqual(entered.slice(0, -1));
    expect([...entered].sort()).toEqual(['Start', ...countries].sort());
  });
});
