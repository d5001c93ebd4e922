import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { neon, neonConfig } from '@neondatabase/serverless';
import { createTestHarness } from 'wrangler';
import { runtimePids } from '../../../bench/support/runtime.ts';
import { captureOtherWriters } from '../../../scripts/dev/database/capture.ts';
import { CATALOG_MIGRATIONS } from '../../../scripts/dev/database/folders.ts';
import { startDevDatabase } from '../../../scripts/dev/database.ts';

const ROOT = join(import.meta.dirname, '../../..');
export const KEY = 'end-to-end-key';

export interface Stack extends AsyncDisposable {
  /** Another writer to the same database. */
  sql(text: string, params?: unknown[]): Promise<Record<string, unknown>[]>;
  /** Takes the database away, as an outage would. */
  stopDatabase(): Promise<void>;
  /**
   * Ends the runtime's process in the middle of whatever it does, with its queues and what its objects have in memory.
   * The local platform starts another, with the objects' storage. Do not run two stacks in one process then.
   */
  killRuntime(): void;
  fetch(path: string, init?: RequestInit): Promise<Response>;
  /** What the platform's cron does; locally it never fires by itself. */
  scheduled(): Promise<void>;
}

/**
 * The built worker on a real Postgres (PGlite, in memory), with real queues, objects, KV and R2 of the local platform.
 * Other writers are captured where a test asks for it; otherwise nobody is told what they change.
 */
export async function startStack(
  vars: Readonly<Record<string, string>> = {},
  { capture = false }: { readonly capture?: boolean } = {},
): Promise<Stack> {
  const database = await startDevDatabase({
    dataDir: 'memory://',
    migrationsDir: join(ROOT, CATALOG_MIGRATIONS),
  });
  if (capture) await captureOtherWriters(database);
  const harness = createTestHarness({
    root: ROOT,
    workers: [
      {
        configPath: 'wrangler.toml',
        // Filling ahead would hide what a test wants to see void; the one about it switches it on.
        vars: { WARMING: 'off', ...vars },
        secrets: {
          DATABASE_URL: database.connectionString,
          DATABASE_ENDPOINT: database.endpoint,
          API_KEY_SHA256: createHash('sha256').update(KEY).digest('hex'),
        },
      },
    ],
  });
  const { url } = await harness.listen();
  let databaseIsUp = true;
  const stopDatabase = async () => {
    if (databaseIsUp) await database.close();
    databaseIsUp = false;
  };
  neonConfig.fetchEndpoint = () => database.endpoint;
  const client = neon(database.connectionString);
  // A clock that has just been made knows of no source yet, and for a moment answers come from the origin.
  await eventually(
    async () => (await fetch(new URL('/v1/products/NONE', url))).headers.get('cache-status') ?? '',
    (status) => status.includes('; hit'),
  );
  return {
    sql: (text, params = []) => client.query(text, params),
    stopDatabase,
    killRuntime: () => {
      for (const pid of runtimePids()) process.kill(pid, 'SIGKILL');
    },
    fetch: async (path, init) => await fetch(new URL(path, url), init),
    scheduled: async () => {
      await harness.getWorker().scheduled({ cron: '* * * * *' });
    },
    [Symbol.asyncDispose]: async () => {
      await harness.close();
      await stopDatabase();
    },
  };
}

/** Asks until `check` holds, for what happens behind a queue. Fails with the last answer after `timeoutMs`. */
export async function eventually<T>(
  ask: () => Promise<T>,
  check: (answer: T) => boolean,
  timeoutMs = 15_000,
): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const answer = await ask();
    if (check(answer)) return answer;
    if (performance.now() > deadline)
      throw new Error(`It never came to that; the last answer was ${JSON.stringify(answer)}`);
    await sleep(100);
  }
}
