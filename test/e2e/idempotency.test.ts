import { afterAll, beforeAll, expect, it } from 'vitest';
import * as z from 'zod';
import { KEY, type Stack, startStack } from '../support/node/stack.ts';

const Issued = z.object({ id: z.string(), key: z.string() });

let stack: Stack;
beforeAll(async () => {
  stack = await startStack();
});
afterAll(async () => {
  await stack[Symbol.asyncDispose]();
});

async function send(
  method: string,
  path: string,
  idempotencyKey: string,
  body?: unknown,
  key = KEY,
  type = 'application/json',
) {
  const response = await stack.fetch(path, {
    method,
    headers: {
      authorization: `Bearer ${key}`,
      'idempotency-key': idempotencyKey,
      ...(body === undefined ? {} : { 'content-type': type }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const { status, headers } = response;
  return { status, headers, replayed: headers.get('idempotency-replayed'), text: await response.text() };
}

async function rows(table: string, where: string, value: string): Promise<number> {
  return (await stack.sql(`select 1 from ${table} where ${where} = $1`, [value])).length;
}

it('sixteen requests with one key create one API key, and all that are answered have its secret', async () => {
  const name = 'created once';
  const body = { name, scopes: ['events:write', 'data:write'] };
  const ask = () => send('POST', '/v1/admin/keys', 'create-16', body);
  const answers = await Promise.all(Array.from({ length: 16 }, ask));
  const created = answers.filter(({ status }) => status === 201);
  expect(created.filter(({ replayed }) => replayed === null)).toHaveLength(1);
  for (const { status, text, headers } of answers)
    if (status !== 201) {
      expect([status, text]).toEqual([409, expect.stringContaining('idempotency_in_flight')]);
      expect(headers.get('retry-after')).toBe('1');
    }
  const last = await ask();
  expect(new Set([...created, last].map(({ text }) => text)).size).toBe(1);
  expect(last.headers.get('x-request-id')).not.toBe(created[0]?.headers.get('x-request-id'));
  expect(await rows('millrace.api_keys', 'name', name)).toBe(1);

  const other = await send('POST', '/v1/admin/keys', 'create-16', { ...body, name: 'another' });
  expect([other.status, other.text]).toEqual([422, expect.stringContaining('idempotency_key_reused')]);

  // The other principal has the key's text for itself.
  const { key } = Issued.parse(JSON.parse(last.text));
  const put = await send('PUT', '/v1/products/idem-1', 'create-16', { description: null, unitPrice: 1 }, key);
  expect([put.status, put.replayed]).toEqual([201, null]);
});

it('a write and its repetition have the same token and entity tag; the row is written once', async () => {
  const write = (unitPrice: number, idempotencyKey: string) =>
    send('PUT', '/v1/products/idem-2', idempotencyKey, { description: null, unitPrice });
  const first = await write(1, 'price-1');
  await write(2, 'price-2');
  const again = await write(1, 'price-1');
  expect([first.status, again.status, again.replayed]).toEqual([201, 201, 'true']);
  for (const name of ['millrace-token', 'etag', 'content-type'])
    expect([name, again.headers.get(name)]).toEqual([name, first.headers.get(name)]);
  const [row] = await stack.sql('select unit_price::float8 as price from products where sku = $1', [
    'idem-2',
  ]);
  expect(row).toEqual({ price: 2 });
  const removed = await send('DELETE', '/v1/products/idem-2', 'remove');
  const removedAgain = await send('DELETE', '/v1/products/idem-2', 'remove');
  expect([removed.status, removedAgain.status, removedAgain.replayed]).toEqual([204, 204, 'true']);
});

it('a repeated request adds no entry to the audit log', async () => {
  const purge = () => send('POST', '/v1/admin/cache/purge', 'purge-once', { tags: ['other:idempotent'] });
  const first = await purge();
  const entries = await rows('millrace.audit_log', 'action', 'cache.purge');
  const again = await purge();
  expect([first.status, again.status, again.replayed, again.text]).toEqual([200, 200, 'true', first.text]);
  expect(await rows('millrace.audit_log', 'action', 'cache.purge')).toBe(entries);
});

it('a refused event is refused again without another try, and a key is no way around authorization', async () => {
  const type = 'application/cloudevents+json';
  const ask = () => send('POST', '/v1/events', 'bad-event', { specversion: '1.0', id: 'x' }, KEY, type);
  const first = await ask();
  const again = await ask();
  expect([first.status, again.status, again.replayed, again.text]).toEqual([422, 422, 'true', first.text]);
  expect((await send('POST', '/v1/events', 'bad-event', {}, 'wrong', type)).status).toBe(401);
});
