import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { settle } from '../../../scripts/dev/ready.ts';
import { failed, report } from '../../../scripts/models/training-run.ts';

/** A worker that is busy: it refuses the first request of each route, as while a relay or a database is slow. */
let server: Server;
let at: { readonly url: string; readonly key: string };
const asked: string[] = [];
const ANSWERS: Readonly<Record<string, unknown>> = {
  'POST /v1/admin/outbox/sweep': { relayed: 0 },
  'GET /v1/admin/pipeline': { features: { folded: {} } },
  'POST /v1/admin/features/backfill': { features: [] },
  'GET /v1/admin/features': { features: [] },
  'PUT /v1/admin/models/ranker/trainings/1': { run: '1' },
};
const BUSY = { title: 'Busy', status: 503, code: 'relay_unavailable', detail: 'The sweep takes longer.' };

beforeEach(async () => {
  asked.length = 0;
  server = createServer((request, response) => {
    const name = `${request.method} ${request.url}`;
    const isFirst = !asked.includes(name);
    asked.push(name);
    request.resume();
    response.setHeader('content-type', isFirst ? 'application/problem+json' : 'application/json');
    response.statusCode = isFirst ? 503 : 200;
    response.end(JSON.stringify(isFirst ? BUSY : ANSWERS[name]));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  at = { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, key: 'a key' };
});
afterEach(async () => {
  vi.restoreAllMocks();
  server.closeAllConnections();
  server.close();
  await once(server, 'close');
});

it('npm run dev asks a worker again whose relay or shards are busy', async () => {
  expect(await settle(at)).toBe(true);
  expect(asked.filter((name) => name === 'POST /v1/admin/outbox/sweep')).toHaveLength(2);
  expect(asked.filter((name) => name === 'POST /v1/admin/features/backfill')).toHaveLength(2);
});

it('a training is reported again to a worker whose database is busy', async () => {
  const warn = vi.spyOn(console, 'warn').mockReturnValue(undefined);
  await report(failed(new Error('no data'), '2026-11-01T00:00:00.000Z'), at, { model: 'ranker', runId: '1' });
  expect(asked).toEqual(new Array(2).fill('PUT /v1/admin/models/ranker/trainings/1'));
  expect(warn).not.toHaveBeenCalled();
});
