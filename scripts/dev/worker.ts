import { type ChildProcess, spawn } from 'node:child_process';
import { createWriteStream, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DevDatabase } from './database.ts';

/** How long the worker may take to answer its first request. */
const START_TIMEOUT_MS = 60_000;
/** An end later than this is a crash worth a new start; one sooner would only happen again. */
const RESTART_AFTER_MS = 10_000;

export interface DevWorker {
  /** Settles when the worker has ended for good. */
  readonly ended: Promise<void>;
  stop(): Promise<void>;
}

/**
 * Starts `wrangler dev` with everything local and kept in the state folder. Its output goes to
 * `wrangler.log` there; warnings and errors of the worker are shown, too.
 */
export async function startWorker(options: {
  port: number;
  stateDir: string;
  database: DevDatabase;
  apiKeySha256: string;
  /** Further variables of the worker. */
  vars?: Record<string, string>;
  signal: AbortSignal;
}): Promise<DevWorker> {
  const { port, stateDir, database, apiKeySha256, signal } = options;
  const envFile = join(stateDir, 'worker.env');
  const vars = {
    DATABASE_URL: database.connectionString,
    DATABASE_ENDPOINT: database.endpoint,
    API_KEY_SHA256: apiKeySha256,
    ...options.vars,
  };
  writeFileSync(
    envFile,
    Object.entries(vars)
      .map(([name, value]) => `${name}="${value}"\n`)
      .join(''),
    { mode: 0o600 },
  );

  const log = createWriteStream(join(stateDir, 'wrangler.log'), { flags: 'w' });
  let child: ChildProcess | undefined;
  const run = async (): Promise<void> => {
    for (;;) {
      const startedAt = performance.now();
      child = launch(port, stateDir, envFile, log);
      const { promise: exited, resolve } = Promise.withResolvers<void>();
      child.once('exit', () => resolve());
      await exited;
      if (signal.aborted) return;
      if (performance.now() - startedAt < RESTART_AFTER_MS) {
        throw new Error(`wrangler dev ended at once; see ${join(stateDir, 'wrangler.log')}.`);
      }
      console.error('  wrangler dev has ended; starting it again');
    }
  };
  signal.addEventListener('abort', () => stopGroup(child));
  const ended = run();
  ended.catch(() => undefined);
  await Promise.race([untilLive(port, signal), ended]);
  return {
    ended,
    stop: async () => {
      stopGroup(child);
      await ended.catch(() => undefined);
    },
  };
}

function launch(port: number, stateDir: string, envFile: string, log: NodeJS.WritableStream): ChildProcess {
  const flags = ['--ip', '127.0.0.1', '--port', String(port), '--inspector-port', '0'];
  const state = ['--persist-to', join(stateDir, 'worker'), '--env-file', envFile];
  const child = spawn('wrangler', ['dev', ...flags, ...state, '--show-interactive-dev-session=false'], {
    // A group of its own: workerd runs below wrangler and has to end with it.
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...process.env,
      // Nothing here needs a network: these are the places where wrangler would look for one.
      WRANGLER_SEND_METRICS: 'false',
      WRANGLER_HIDE_BANNER: 'true',
      CLOUDFLARE_CF_FETCH_ENABLED: 'false',
      // Kept traces of every request grow by gigabytes during an import; set it to true to have them.
      X_LOCAL_OBSERVABILITY: process.env['X_LOCAL_OBSERVABILITY'] ?? 'false',
      NO_COLOR: '1',
    },
  });
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (chunk: Buffer) => {
      log.write(chunk);
      const text = chunk.toString('utf8');
      if (/"log\.level":"(warn|error)"|\[ERROR\]|✘/.test(text)) process.stderr.write(text);
    });
  }
  return child;
}

function stopGroup(child: ChildProcess | undefined): void {
  if (child?.pid === undefined || child.exitCode !== null) return;
  try {
    process.kill(-child.pid, 'SIGTERM');
  } catch {
    // It has ended by itself in the meantime.
  }
}

async function untilLive(port: number, signal: AbortSignal): Promise<void> {
  const deadline = performance.now() + START_TIMEOUT_MS;
  while (!signal.aborted) {
    const response = await fetch(`http://127.0.0.1:${port}/health/live`, {
      signal: AbortSignal.timeout(5_000),
    }).catch(() => undefined);
    if (response?.ok) return;
    if (performance.now() > deadline) throw new Error(`The worker does not answer on port ${port}.`);
    await sleep(200);
  }
}
