import { afterAll, beforeAll, expect, it } from 'vitest';
import { KEY, type Stack, startStack } from '../support/node/stack.ts';

const AUTHORIZED = { authorization: `Bearer ${KEY}` };
let stack: Stack;
beforeAll(async () => {
  stack = await startStack();
});
afterAll(() => stack[Symbol.asyncDispose]());

async function call(method: string, sku: string, headers: Record<string, string> = {}, unitPrice = 1) {
  const body = method === 'PUT' ? { body: JSON.stringify({ description: null, unitPrice }) } : {};
  const response = await stack.fetch(`/v1/products/${sku}`, {
    method,
    headers: { ...AUTHORIZED, 'content-type': 'application/json', ...headers },
    ...body,
  });
  const text = await response.text();
  return {
    status: response.status,
    etag: response.headers.get('etag') ?? '',
    token: response.headers.get('millrace-token'),
    json: (text === '' ? {} : JSON.parse(text)) as Record<string, unknown>,
  };
}

it('lets only one of two writers with the same version succeed, by the entity tag of a write or of a view', async () => {
  const written = await call('PUT', 'C1');
  expect(written.etag).toMatch(/^"row-\d+"$/);
  const read = await call('GET', 'C1', { 'millrace-token': written.token ?? '' });
  const answers = await Promise.all([
    call('PUT', 'C1', { 'if-match': written.etag }, 2),
    call('PUT', 'C1', { 'if-match': read.etag }, 3),
  ]);
  expect(answers.map(({ status }) => status).sort()).toEqual([200, 412]);
  const lost = answers.find(({ status }) => status === 412);
  expect(lost?.json).toMatchObject({ code: 'precondition_failed' });
  const won = answers.find(({ status }) => status === 200);
  const after = await call('GET', 'C1', { 'millrace-token': won?.token ?? '' });
  expect(after.json['unitPrice']).toBe(won === answers[0] ? 2 : 3);
});

it('inserts once under If-None-Match: *, and replaces nothing that is missing under If-Match: *', async () => {
  expect((await call('PUT', 'C2', { 'if-match': '*' })).status).toBe(412);
  const both = await Promise.all([1, 2].map((price) => call('PUT', 'C2', { 'if-none-match': '*' }, price)));
  expect(both.map(({ status }) => status).sort()).toEqual([201, 412]);
  expect((await call('PUT', 'C2', { 'if-match': '*' }, 5)).status).toBe(200);
  expect((await call('PUT', 'C2', { 'if-match': 'W/"row-1", "other"' }, 6)).status).toBe(412);
});

it('deletes the version that If-Match names, and answers a repeated deletion with 204 and a token', async () => {
  const { etag } = await call('PUT', 'C3');
  expect((await call('DELETE', 'C3', { 'if-match': '"row-1"' })).status).toBe(412);
  expect((await call('DELETE', 'C3', { 'if-match': etag })).status).toBe(204);
  const again = await call('DELETE', 'C3');
  expect(again.status).toBe(204);
  expect(again.token).toMatch(/\.\d+$/);
  expect((await call('GET', 'C3', { 'millrace-token': again.token ?? '' })).status).toBe(404);
});
