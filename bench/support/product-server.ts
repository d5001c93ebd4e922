import { convertV4MiniflareOptions, Miniflare } from 'miniflare';
import * as z from 'zod';
import { type DevDatabase, startDevDatabase } from '../../scripts/dev/database.ts';
import { connect } from '../../src/storage/postgres/connect.ts';
import { products } from '../../test/support/catalog/tables.ts';
import { FIXTURE } from '../../test/support/node/fixture.ts';
import type { queueConsumers } from './queue-consumers.ts';
import { bundle, COMMON, KEY, millrace, modulesOf, runtimePids } from './runtime.ts';

/** A worker in a process of its own. */
interface Server {
  readonly url: URL;
  readonly pid: number;
  stop(): Promise<void>;
}

/** The built worker over an embedded database with `keys` products. `url` is that of a product without the rank of its key. */
export async function productServer(
  main: string,
  keys: number,
  options: readonly string[] = [],
  vars: Readonly<Record<string, string>> = {},
): Promise<Server> {
  bundle(main, '--outdir', 'dist/millrace', ...options);
  const database = await startDevDatabase({ dataDir: 'memory://', migrationsDir: FIXTURE.migrationsDir });
  try {
    await insertProducts(database, keys);
    const entry = `${main.split('/').at(-1)?.replace(/\.ts$/, '')}.js`;
    const worker = millrace(database, 'dist/millrace', entry);
    const bindings = { ...worker.bindings, ...vars };
    const server = await start(Object.assign(worker, { bindings }), `/v1/products/K`);
    return {
      ...server,
      stop: async () => {
        await server.stop();
        await database.close();
      },
    };
  } catch (error) {
    await database.close();
    throw error;
  }
}

/** The floor: an empty Hono route. */
export async function emptyServer(): Promise<Server> {
  bundle('--config', 'bench/empty.toml', '--outdir', '../dist/empty');
  return await start({ ...COMMON, ...modulesOf('dist/empty', 'empty-worker.js') }, '/');
}

/** Starts a worker in a process of its own. */
export async function start(
  worker: typeof COMMON &
    ReturnType<typeof modulesOf> & { queueConsumers?: ReturnType<typeof queueConsumers> },
  path: string,
): Promise<Server> {
  const before = new Set(runtimePids());
  const runtime = new Miniflare(convertV4MiniflareOptions({ ...worker, name: 'measured' }));
  await runtime.ready;
  const pid = runtimePids().find((candidate) => !before.has(candidate));
  if (pid === undefined) throw new Error('The runtime has no process.');
  const url = new URL(path, await runtime.unsafeGetDirectURL('measured'));
  return { url, pid, stop: () => runtime.dispose() };
}

/** Rows of one statement. */
const ROWS_MAX = 5_000;

async function insertProducts({ connectionString: url, endpoint }: DevDatabase, keys: number): Promise<void> {
  const db = connect({ url, endpoint });
  for (let first = 0; first < keys; first += ROWS_MAX) {
    const ranks = Array.from({ length: Math.min(ROWS_MAX, keys - first) }, (_, index) => first + index);
    await db.insert(products).values(
      ranks.map((rank) => ({
        sku: `K${rank}`,
        description: 'A description of thirty-four chars',
        unitPrice: 2.95,
      })),
    );
  }
}

/** A key that may read, made by the bootstrap secret of the worker. */
export async function createKey(url: URL): Promise<string> {
  const response = await fetch(new URL('/v1/admin/keys', url), {
    method: 'POST',
    headers: { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' },
    body: JSON.stringify({ name: 'bench', scopes: ['data:read'] }),
  });
  return z.object({ key: z.string() }).parse(await response.json()).key;
}

const FILLS_AT_ONCE = 8;

/**
 * Requests each of the first `keys` products once, the most popular last, because memory drops what was read least lately.
 * `url` is as `productServer` returns it.
 */
export async function fillAhead(url: URL, keys: number, apiKey?: string): Promise<void> {
  const headers: Record<string, string> = apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` };
  let rank = keys;
  const fill = async () => {
    while (rank > 0) {
      rank -= 1;
      const response = await fetch(url.href + rank, { headers });
      const text = await response.text();
      if (response.status !== 200) throw new Error(`${response.url}: ${response.status} ${text}`);
    }
  };
  await Promise.all(Array.from({ length: FILLS_AT_ONCE }, fill));
}
