import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, type JWTPayload, SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as z from 'zod';
import { eventually, KEY, type Stack, startStack } from '../support/node/stack.ts';

const ISSUER = 'https://issuer.test/';
const LIST = '/v1/customers?country=Germany';

let stack: Stack;
let issuer: Server;
let fetches = 0;
const pair = await generateKeyPair('RS256', { extractable: true });
const jwk = { ...(await exportJWK(pair.publicKey)), kid: 'one', alg: 'RS256' };

beforeAll(async () => {
  issuer = createServer((request, response) => {
    fetches += 1;
    if (request.url !== '/keys') response.writeHead(404).end();
    else response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ keys: [jwk] }));
  });
  await new Promise<void>((resolve) => issuer.listen(0, '127.0.0.1', resolve));
  const { port } = issuer.address() as AddressInfo;
  stack = await startStack({
    OIDC_ISSUER: ISSUER,
    OIDC_AUDIENCE: 'millrace',
    OIDC_JWKS_URL: `http://127.0.0.1:${port}/keys`,
    OIDC_ROW_CLAIMS: 'customer',
  });
});
afterAll(async () => {
  await stack[Symbol.asyncDispose]();
  issuer.close();
});

const token = async (payload: JWTPayload = {}) =>
  await new SignJWT({ iss: ISSUER, aud: 'millrace', sub: 'ada', scope: 'data:read', ...payload })
    .setProtectedHeader({ alg: 'RS256', kid: 'one' })
    .setExpirationTime('5 min')
    .sign(pair.privateKey);
async function get(path: string, bearer: string) {
  const response = await stack.fetch(path, { headers: { authorization: `Bearer ${bearer}` } });
  const text = await response.text();
  return {
    status: response.status,
    headers: response.headers,
    json: JSON.parse(text) as Record<string, unknown>,
  };
}

describe('a token of the issuer', () => {
  it('opens what its scopes name, as a key does, and the issuer is asked once', async () => {
    const own = await token();
    expect((await get(LIST, own)).status).toBe(200);
    const again = await get(LIST, own);
    expect([again.status, again.headers.get('cache-status')]).toEqual([
      200,
      expect.stringContaining('; hit'),
    ]);
    expect((await get(LIST, await token({ sub: 'bob' }))).status).toBe(200);
    expect((await get('/v1/admin/keys', own)).json['code']).toBe('insufficient_scope');
    expect(fetches).toBe(1);
    expect((await get(LIST, KEY)).status).toBe(200);
  });

  it('is refused if it is not valid, and unknown keys do not make the worker ask the issuer', async () => {
    const before = fetches;
    for (const payload of [{ aud: 'another' }, { iss: 'https://evil.test/' }]) {
      const { status, json, headers } = await get(LIST, await token(payload));
      expect([status, json['code']]).toEqual([401, 'unauthorized']);
      expect(headers.get('www-authenticate')).toContain('Bearer');
    }
    const other = await generateKeyPair('RS256');
    for (let n = 0; n < 20; n += 1) {
      const forged = await new SignJWT({ iss: ISSUER, aud: 'millrace', sub: 'ada', scope: 'data:read' })
        .setProtectedHeader({ alg: 'RS256', kid: `unknown-${n}` })
        .setExpirationTime('5 min')
        .sign(other.privateKey);
      expect((await get(LIST, forged)).status).toBe(401);
    }
    expect(fetches - before).toBe(0);
  });

  it('reads the rows of its claim alone, with an answer of its own where the path does not name them', async () => {
    for (const id of ['x', 'y'])
      await stack.sql('insert into customers (id, country) values ($1, $2)', [id, `Country ${id}`]);
    const of = (customer: unknown) => token({ customer });
    for (const id of ['x', 'y', 'x', 'y']) {
      expect((await get('/v1/account', await of(id))).json['id']).toBe(id);
      expect((await get(`/v1/customers/${id}`, await of(id))).status).toBe(200);
    }
    for (const [path, customer, code] of [
      ['/v1/customers/y', 'x', 'outside_rows'],
      ['/v1/customers/y', '*', 'outside_rows'],
      ['/v1/customers/y', undefined, 'claim_missing'],
      ['/v1/customers/y', ['y'], 'claim_missing'],
      ['/v1/account', undefined, 'claim_missing'],
      [LIST, 'x', 'rows_not_limited'],
    ] as const) {
      const { status, json } = await get(path, await of(customer));
      expect([path, status, json['code']]).toEqual([path, 403, code]);
    }
  });

  it('is named in the audit log by its issuer and subject', async () => {
    const admin = await token({ sub: 'root', scope: 'operations:write operations:read' });
    const swept = await stack.fetch('/v1/admin/outbox/sweep', {
      method: 'POST',
      headers: { authorization: `Bearer ${admin}` },
    });
    expect(swept.status).toBe(200);
    const { json } = await get('/v1/admin/audit?limit=1', admin);
    expect(json['entries']).toMatchObject([{ principal: `token:${ISSUER}#root`, action: 'outbox.sweep' }]);
  });

  it('is named among the users of a deprecated version by its issuer and subject, whatever its scopes', async () => {
    const Listed = z.looseObject({
      versions: z.array(
        z.object({ version: z.string(), users: z.array(z.looseObject({ principal: z.string() })) }),
      ),
    });
    let sent = 0;
    const users = async () => {
      for (const scope of ['events:write', 'events:write data:read']) {
        sent += 1;
        const own = await token({ sub: 'eve', scope });
        const { status } = await stack.caller.as(own).ask('POST', '/v1/events', {
          contentType: 'application/cloudevents+json',
          json: {
            ...{ specversion: '1.0', id: `old-${sent}`, source: '/tokens', type: 'shop.product-view.v1' },
            data: { sku: 'A1', customerId: 'c1' },
          },
        });
        expect(status).toBe(202);
      }
      // The counts go with those of the cache.
      await stack.caller.ask('GET', '/v1/products/A1');
      const { json } = await stack.caller.ask('GET', '/v1/admin/deprecations');
      const found = Listed.parse(json).versions.find(({ version }) => version === 'shop.product-view.v1');
      return found?.users.map(({ principal }) => principal) ?? [];
    };
    expect(await eventually(users, ({ length }) => length > 0, 30_000)).toEqual([`token:${ISSUER}#eve`]);
  });
});
