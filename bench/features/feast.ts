import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import * as z from 'zod';

const START_MS = 120_000;
const POLL_MS = 200;

/** The features are in an order of the server's own. */
const Answer = z.object({
  metadata: z.object({ feature_names: z.array(z.string()) }),
  results: z.array(z.object({ values: z.array(z.union([z.number(), z.string(), z.null()])) })),
});

interface Feast {
  readonly url: URL;
  stop(): Promise<void>;
}

type Rows = Readonly<Record<string, readonly (number | null)[]>>;

/** Feast's server over a Redis of its own, filled with these rows; or why there is none. */
export async function startFeast(names: readonly string[], rows: Rows): Promise<Feast | string> {
  const python = process.env['FEAST_PYTHON'];
  if (python === undefined) return 'FEAST_PYTHON names no folder with feast[redis].';
  try {
    execFileSync('which', ['redis-server'], { stdio: 'ignore' });
  } catch {
    return 'redis-server is not installed.';
  }
  const folder = mkdtempSync(join(tmpdir(), 'millrace-feast-'));
  const [redisPort, port] = [await freePort(), await freePort()];
  const redis = spawn('redis-server', ['--port', String(redisPort), '--save', '', '--dir', folder], {
    stdio: 'ignore',
  });
  const server = spawn(
    'python3',
    [join(import.meta.dirname, 'feast_server.py'), String(port), String(redisPort)],
    { env: { ...process.env, PYTHONPATH: python }, stdio: ['pipe', 'ignore', 'pipe'], detached: true },
  );
  let log = '';
  server.stderr.on('data', (chunk: Buffer) => {
    log = (log + chunk.toString()).slice(-4_000);
  });
  const stop = async () => {
    endGroup(server);
    redis.kill();
    rmSync(folder, { recursive: true, force: true });
  };
  server.stdin.end(JSON.stringify({ names, rows }));
  const url = new URL(`http://127.0.0.1:${port}/get-online-features`);
  try {
    await untilRight(url, names, rows, () => {
      if (server.exitCode !== null) throw new Error(`Feast's server ended: ${log}`);
    });
    return { url, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Returns once the server answers a key with its row. @throws if it answers with another. */
async function untilRight(
  url: URL,
  names: readonly string[],
  rows: Rows,
  assertAlive: () => void,
): Promise<void> {
  const [key = '', row = []] = Object.entries(rows)[0] ?? [];
  const body = JSON.stringify({
    features: names.map((name) => `customer:${name}`),
    entities: { customer_id: [key] },
  });
  const giveUpAt = performance.now() + START_MS;
  while (performance.now() < giveUpAt) {
    assertAlive();
    await sleep(POLL_MS);
    let response: Response;
    try {
      response = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
    } catch {
      continue; // It does not listen yet.
    }
    if (!response.ok) throw new Error(`Feast's server: ${response.status} ${await response.text()}`);
    const { metadata, results } = Answer.parse(await response.json());
    const values = names.map((name) => results[metadata.feature_names.indexOf(name)]?.values[0] ?? null);
    if (JSON.stringify(values) !== JSON.stringify(row))
      throw new Error(`Feast answers ${key} with ${JSON.stringify(values)}, not ${JSON.stringify(row)}.`);
    return;
  }
  throw new Error(`Feast's server did not start within ${START_MS / 1_000} s.`);
}

/** The server and the worker processes that it has started. */
function endGroup({ pid }: ChildProcess): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL');
  } catch {
    // It has ended.
  }
}

async function freePort(): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<number>();
  const server = createServer().listen(0, '127.0.0.1', () => {
    const address = server.address();
    server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
  });
  return await promise;
}
