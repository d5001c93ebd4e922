import { type ClientRequest, request } from 'node:http';
import { join } from 'node:path';
import { build } from 'esbuild';
import { convertV4MiniflareOptions, Miniflare } from 'miniflare';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { eventually } from '../support/node/stack.ts';

/** What the worker has told, in order. */
const told: string[] = [];
/** The commits that the worker waits for, by their items. */
const commits = new Map<string, () => void>();
let runtime: Miniflare;
let url: URL;

async function gate(asked: { url: string }): Promise<string> {
  const what = new URL(asked.url).pathname.slice(1);
  told.push(what);
  if (!what.startsWith('commit/')) return 'noted';
  const { promise, resolve } = Promise.withResolvers<void>();
  commits.set(what.slice('commit/'.length), resolve);
  await promise;
  return 'committed';
}

beforeAll(async () => {
  const entryPoints = [join(import.meta.dirname, '../support/worker/group.ts')];
  const { outputFiles } = await build({ entryPoints, bundle: true, format: 'esm', write: false });
  const { Response } = await import('miniflare');
  runtime = new Miniflare(
    convertV4MiniflareOptions({
      name: 'group',
      modules: true,
      script: outputFiles[0]?.text ?? '',
      compatibilityDate: '2026-10-01',
      unsafeDirectSockets: [{ host: '127.0.0.1', port: 0 }],
      serviceBindings: { GATE: async (asked: { url: string }) => new Response(await gate(asked)) },
    }),
  );
  await runtime.ready;
  url = await runtime.unsafeGetDirectURL('group');
});
afterAll(() => runtime.dispose());

/** A request on a connection of its own. */
function send(name: string) {
  const { promise: answer, resolve } = Promise.withResolvers<string>();
  const sent = request(new URL(`/${name}`, url), { agent: false }, (response) => {
    response.setEncoding('utf8').on('data', resolve);
  });
  sent.on('error', () => resolve('cancelled')).end();
  return { answer, cancel: () => cancelled(sent) };
}

/**
 * Resets the connection, because the runtime cancels no request whose client has only ended its own side. A server that
 * has answered later connections has seen the reset.
 */
async function cancelled(sent: ClientRequest): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  sent.on('close', resolve).socket?.resetAndDestroy();
  await promise;
  for (let times = 0; times < 3; times += 1) await send('').answer;
}

const until = (what: string) =>
  eventually(
    async () => told,
    (all) => all.includes(what),
  );

it('commits a group whose opening request is cancelled while it gathers', async () => {
  const first = send('a');
  await until('commit/a');
  const opener = send('b');
  await until('begun/b');
  const joined = send('c');
  await until('begun/c');
  await opener.cancel();
  commits.get('a')?.();
  expect(await first.answer).toBe('1');
  await until('commit/b+c');
  commits.get('b+c')?.();
  expect(await joined.answer).toBe('2');
});

it('answers the others of a group whose opening request is cancelled while it commits', async () => {
  const first = send('d');
  await until('commit/d');
  const opener = send('e');
  await until('begun/e');
  const joined = send('f');
  await until('begun/f');
  commits.get('d')?.();
  expect(await first.answer).toBe('1');
  await until('commit/e+f');
  await opener.cancel();
  commits.get('e+f')?.();
  expect(await joined.answer).toBe('2');
  const later = send('g');
  await until('commit/g');
  commits.get('g')?.();
  expect(await later.answer).toBe('1');
});
