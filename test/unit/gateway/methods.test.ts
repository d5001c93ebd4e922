import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { createApp, type GatewayPorts } from '../../../src/gateway/app.ts';
import { ALL_ON } from '../../../src/platform/phases.ts';
import { FIXTURE } from '../../support/node/fixture.ts';
import { unlimited } from '../../support/node/unlimited.ts';

const KEY = 'the-key';
const AUTHORIZED = { authorization: `Bearer ${KEY}` };
const CONTEXT = { waitUntil: () => {}, passThroughOnException: () => {}, props: {} };
const METHODS = ['GET', 'PUT', 'POST', 'PATCH', 'DELETE'];

function needless(): never {
  throw new Error('The secret of the deployment needs no look-up.');
}
const ports = {
  limits: unlimited(),
  // What else the phases have, no request reaches.
  phases: { states: () => ALL_ON.states } as unknown as GatewayPorts['phases'],
  access: {
    apiKeySha256: createHash('sha256').update(KEY).digest('hex'),
    peekKey: needless,
    findKey: needless,
    noteUse: needless,
    holderOfTicket: needless,
    acceptsTokens: false,
    peekToken: needless,
    verifyToken: needless,
  },
} satisfies Partial<GatewayPorts>;
const app = createApp({
  catalog: FIXTURE.catalog,
  viewsOf: () => {
    throw new Error('No view is read.');
  },
  countRequest: () => undefined,
  portsOf: () => ports as unknown as GatewayPorts,
});
const Operation = z.object({
  parameters: z
    .array(z.object({ in: z.string(), name: z.string(), schema: z.object({ type: z.unknown() }) }))
    .default([]),
});
const { paths } = z
  .object({ paths: z.record(z.string(), z.record(z.string(), Operation)) })
  .parse(
    JSON.parse(
      JSON.stringify(app.getOpenAPI31Document({ openapi: '3.1.0', info: { title: '', version: '' } })),
    ),
  );

/** A path with a text in place of each parameter; a parameter that is a number takes numbers only. */
function filled(template: string, texts: { readonly number: string; readonly other: string }): string {
  const parameters = Object.values(paths[template] ?? {}).flatMap((operation) => operation.parameters);
  const numbers = new Set(
    parameters.flatMap(({ in: place, name, schema: { type } }) =>
      place === 'path' && type === 'integer' ? [name] : [],
    ),
  );
  return template.replaceAll(/\{(\w+)\}/g, (_, name: string) =>
    numbers.has(name) ? texts.number : texts.other,
  );
}

/** A path, and the methods that the OpenAPI document has for it or for another path that matches it. */
const documented = Object.keys(paths).map((template) => {
  const path = filled(template, { number: '7', other: 'x1' });
  const methods = Object.entries(paths)
    .filter(([other]) =>
      new RegExp(`^${filled(other.replaceAll('.', '\\.'), { number: '\\d+', other: '[^/]+' })}$`).test(path),
    )
    .flatMap(([, operations]) => Object.keys(operations).map((method) => method.toUpperCase()));
  return { path, methods: METHODS.filter((method) => methods.includes(method)) };
});
const allowOf = (methods: readonly string[]) =>
  [...methods.flatMap((method) => (method === 'GET' ? ['GET', 'HEAD'] : [method])), 'OPTIONS'].join(', ');
const send = (method: string, path: string, headers: Record<string, string> = AUTHORIZED) =>
  app.request(path, { method, headers }, {}, CONTEXT);

it.each([
  ['200', '/openapi.json'],
  ['404', '/no/route'],
  ['406', '/openapi.json'],
])(
  'an answer with %s is kept by no cache, framed by no page, and a failure is JSON whatever is accepted',
  async (status, path) => {
    const accept = status === '200' ? 'application/*' : 'text/csv';
    const response = await send('GET', path, { ...AUTHORIZED, accept });
    expect(String(response.status)).toBe(status);
    expect(response.headers.get('content-type')).toMatch(/json/);
    expect(response.headers.get('cache-control')).toBe('no-store');
    expect(response.headers.get('content-security-policy')).toBe(
      "default-src 'none'; frame-ancestors 'none'",
    );
  },
);

it('the pages keep the policies of their own', async () => {
  for (const [path, accept] of [
    ['/', 'text/html'],
    ['/docs', 'text/html'],
  ] as const) {
    const { headers } = await send('GET', path, { accept });
    expect(headers.get('content-security-policy')).toContain('script-src');
    expect(headers.get('cache-control')).toBe('no-cache');
  }
});

it('the document has enough paths to test', () => {
  expect(documented.length).toBeGreaterThan(30);
});

describe.each(documented)('$path', ({ path, methods }) => {
  it('answers OPTIONS with its methods, also without a key', async () => {
    const response = await send('OPTIONS', path, {});
    expect(response.status).toBe(204);
    expect(response.headers.get('allow')).toBe(allowOf(methods));
    expect(response.headers.get('x-content-type-options')).toBe('nosniff');
    expect(response.headers.get('x-request-id')).toMatch(/./);
  });

  it('answers 405 with Allow to every other method', async () => {
    const others = [...METHODS, 'PURGE'].filter((method) => !methods.includes(method));
    for (const method of others) {
      const response = await send(method, path);
      expect({ method, status: response.status }).toEqual({ method, status: 405 });
      expect(response.headers.get('allow')).toBe(allowOf(methods));
      // The Open Inference Protocol has a body of its own.
      expect(await response.json()).toMatchObject(
        path.startsWith('/v2')
          ? { error: expect.stringContaining('It allows') }
          : { code: 'method_not_allowed', status: 405 },
      );
    }
  });
});

it('a path without any route is 404 with a key and 401 without one, for every method', async () => {
  for (const method of [...METHODS, 'OPTIONS', 'PURGE']) {
    expect((await send(method, '/v1/nothing-has-this-path/at/all')).status).toBe(404);
    expect((await send(method, '/v1/nothing-has-this-path/at/all', {})).status).toBe(401);
  }
});
