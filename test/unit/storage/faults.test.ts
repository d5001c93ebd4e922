import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { NeonDbError } from '@neondatabase/serverless';
import { sql } from 'drizzle-orm';
import { afterEach, describe, expect, it } from 'vitest';
import { Failure } from '../../../src/platform/failure.ts';
import { isOutage } from '../../../src/storage/outage.ts';
import { classifyFault, connect, guarded } from '../../../src/storage/postgres/connect.ts';

let server: Server | undefined;
afterEach(() => {
  server?.closeAllConnections();
  server?.close();
});

/** What a query ends with at a database that answers like this. */
async function errorOf(answer: Parameters<typeof createServer>[1]): Promise<unknown> {
  const { promise, resolve } = Promise.withResolvers<void>();
  server = createServer({}, answer ?? (() => undefined)).listen(0, '127.0.0.1', resolve);
  await promise;
  const { port } = server.address() as AddressInfo;
  const db = connect({ url: 'postgres://u:p@127.0.0.1:9/none', endpoint: `http://127.0.0.1:${port}/sql` });
  return await db.execute(sql`select 1`).then(
    () => undefined,
    (error: unknown) => error,
  );
}

const codeOf = (error: unknown) =>
  guarded(() => Promise.reject(error)).catch((failed: unknown) =>
    failed instanceof Failure ? failed.code : failed,
  );

describe('an error of the connection is an outage', () => {
  it.each([
    ['a database that refuses connections', undefined],
    ['a gateway that is overloaded', (_, response) => response.writeHead(503).end('no')],
    [
      'an answer that breaks off',
      (_, response) => {
        response.writeHead(200, { 'content-length': '1000' });
        response.write('{"rows"');
        setTimeout(() => response.destroy(), 20);
      },
    ],
    ['an answer that is none', (_, response) => response.writeHead(200).end('<html>')],
    [
      'an error that breaks off',
      (_, response) => {
        response.writeHead(400, { 'content-length': '1000' });
        response.write('{"message"');
        setTimeout(() => response.destroy(), 20);
      },
    ],
  ] as const satisfies readonly (readonly [string, Parameters<typeof createServer>[1] | undefined])[])(
    '%s',
    async (_, answer) => {
      const error =
        answer === undefined
          ? await connect({ url: 'postgres://u:p@127.0.0.1:9/none', endpoint: 'http://127.0.0.1:9/sql' })
              .execute(sql`select 1`)
              .then(undefined, (reason: unknown) => reason)
          : await errorOf(answer);
      expect(classifyFault(error)).toBe('unavailable');
      expect(isOutage(error)).toBe(true);
      expect(await codeOf(error)).toBe('database_unavailable');
    },
  );
});

describe('an error of code around a query is a bug', () => {
  const withCode = (code: string) => Object.assign(new NeonDbError('no'), { code });
  it.each([
    ['a TypeError', new TypeError("Cannot read properties of undefined (reading 'sku')")],
    ['a wrapped one', new Error('Failed', { cause: new RangeError('Invalid time value') })],
    [
      'a fetch of its own',
      new TypeError('fetch failed', { cause: Object.assign(new Error(), { code: 'EPIPE' }) }),
    ],
    ['an undefined column', withCode('42703')],
    ['something that is no error', 'undefined'],
  ])('%s', async (_, error) => {
    expect(classifyFault(error)).toBe('bug');
    expect(isOutage(error)).toBe(false);
    expect(await codeOf(error)).toBe(error);
  });

  it('is distinguished from refused data, and from a database that shuts down', () => {
    expect(classifyFault(withCode('22003'))).toBe('data');
    expect(classifyFault(withCode('57P03'))).toBe('unavailable');
  });
});
