import { afterAll, beforeAll, expect, it } from 'vitest';
import * as z from 'zod';
import { eventually, KEY, type Stack, startStack } from '../support/node/stack.ts';

let stack: Stack;
beforeAll(async () => {
  stack = await startStack();
});
afterAll(async () => {
  await stack[Symbol.asyncDispose]();
});

async function post(path: string, json: unknown, key: string) {
  return await stack.caller.as(key).ask('POST', path, { json });
}
/** The status of the feed's answer, as an `EventSource` would ask for it. */
async function open(query: string, path = '/v1/changes') {
  const response = await stack.fetch(`${path}${query}`, { headers: { accept: 'text/event-stream' } });
  await response.body?.cancel();
  return response.status;
}
const Ticket = z.object({ ticket: z.string(), path: z.string(), expiresAt: z.string() });
const ticketFor = async (key: string) =>
  Ticket.parse((await post('/v1/tickets', { path: '/v1/changes' }, key)).json);
const query = (ticket: string) => `?entity=product&ticket=${encodeURIComponent(ticket)}`;

it('a ticket opens the live feed without a header, and nothing else', async () => {
  const { ticket, expiresAt } = await ticketFor(KEY);
  expect(Date.parse(expiresAt) - Date.now()).toBeLessThanOrEqual(60_000);
  expect(await open(query(ticket))).toBe(200);
  expect(await open('')).toBe(401);
  expect(await open(query(`${ticket}x`))).toBe(401);
  expect(await open(query(ticket), '/v1/lineage/events')).toBe(401);
  expect(await open(query(ticket), '/v1/customers')).toBe(401);
});

it('a ticket is given to holders of the scope, for paths that take one', async () => {
  const scopes = async (...names: string[]) =>
    z
      .object({ id: z.string(), key: z.string() })
      .parse((await post('/v1/admin/keys', { name: 'n', scopes: names }, KEY)).json);
  const writer = await scopes('events:write');
  expect((await post('/v1/tickets', { path: '/v1/changes' }, writer.key)).json['code']).toBe(
    'insufficient_scope',
  );
  expect((await post('/v1/tickets', { path: '/v1/admin/keys' }, KEY)).status).toBe(400);
  const reader = await scopes('data:read');
  const { ticket } = await ticketFor(reader.key);
  expect(await open(query(ticket))).toBe(200);
  const revoked = await stack.caller.ask('DELETE', `/v1/admin/keys/${reader.id}`);
  expect(revoked.status).toBe(204);
  await eventually(
    () => open(query(ticket)),
    (status) => status === 401,
  );
});
