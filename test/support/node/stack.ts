import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { neon, neonConfig } from '@neondatabase/serverless';
import { createTestHarness } from 'wrangler';
import { runtimePids } from '../../../bench/support/runtime.ts';
import { startDevDatabase } from '../../../scripts/dev/database.ts';
import { EVERYTHING } from '../../../src/cache/entry.ts';
import { captureStatements } from '../../../src/storage/postgres/capture.ts';
import type { DatabaseTarget } from '../../../src/storage/postgres/connect.ts';
import { builtWorker } from './built-worker.ts';
import { Caller } from './caller.ts';
import { FIXTURE, type Served } from './fixture.ts';
import { gateTo } from './gate.ts';
import { memoryDatabase } from './memory-database.ts';
import { workerConfig } from './worker-config.ts';

const ROOT = join(import.meta.dirname, '../../..');
export const KEY = 'end-to-end-key';

/** What tests use of a bucket of R2. */
interface Bucket {
  list(of: { readonly prefix: string }): Promise<{ readonly objects: readonly { readonly key: string }[] }>;
  get(key: string): Promise<{ text(): Promise<string> } | null>;
  put(key: string, text: string): Promise<unknown>;
  delete(key: string): Promise<void>;
}

export interface Stack extends AsyncDisposable {
  /** Where the worker listens, for clients that are programs of their own. */
  readonly url: URL;
  /** The database, for code that connects by itself. */
  readonly database: DatabaseTarget;
  /** Another writer to the same database. */
  sql(text: string, params?: unknown[]): Promise<Record<string, unknown>[]>;
  /** Takes the database away until it is resumed; for a stack with `outages`. */
  pauseDatabase(): Promise<void>;
  resumeDatabase(): Promise<void>;
  /** Takes the database away, as an outage would. */
  stopDatabase(): Promise<void>;
  /**
   * Ends the runtime's process in the middle of whatever it does, with its queues and what its objects have in memory.
   * The local platform starts another, with the objects' storage. Do not run two stacks in one process then.
   */
  killRuntime(): void;
  /**
   * Another release of the worker takes the place of this one, over the same database and the same storage of the objects.
   *
   * @param main its entry module, relative to the repository.
   */
  deploy(main: string): Promise<void>;
  /** The holder of the key, who calls through the client of the product. */
  readonly caller: Caller;
  /** A request as it is, for what no client sends, and for callers with another key or none. */
  fetch(path: string, init?: RequestInit): Promise<Response>;
  /** What the worker and the runtime have logged: each line with its level. */
  logs(): readonly { readonly level: string; readonly message: string }[];
  /** The worker's bucket, as its operator sees it. */
  bucket(): Promise<Bucket>;
  /** What the platform's cron does; locally it never fires by itself. */
  scheduled(): Promise<void>;
}

export interface StackOptions {
  /** The catalog; that of the product's own tests unless given. */
  readonly served?: Served;
  /**
   * Whether triggers capture what other writers change; without them, only an outbox row that the writer inserts
   * invalidates anything.
   */
  readonly capture?: boolean;
  /** A folder of static assets that the platform serves beside the worker. */
  readonly assets?: string;
  /** Statements that make what the database has before Millrace comes. */
  readonly existing?: readonly string[];
  /** An empty database of a Postgres server, which stays there; an embedded one in memory unless given. */
  readonly databaseUrl?: string | undefined;
  /** Whether the database can be paused. */
  readonly outages?: boolean;
  /** Builds the worker from a configuration of wrangler and returns the folder; `builtWorker` unless given. */
  readonly build?: (configPath: string) => Promise<string>;
}

/**
 * The built worker on a real Postgres (PGlite, in memory), with real queues, objects, KV and R2 of the local platform.
 *
 * @param vars what differs from the vars of wrangler.toml.
 */
export async function startStack(
  vars: Readonly<Record<string, string>> = {},
  {
    capture = false,
    served = FIXTURE,
    existing = [],
    build,
    assets,
    databaseUrl,
    outages = false,
  }: StackOptions = {},
): Promise<Stack> {
  const configPath = workerConfig(served.main, assets);
  const { catalog, migrationsDir, cachedPath } = served;
  const [prebuiltWorkerDir, database] = await Promise.all([
    build?.(configPath) ?? builtWorker(served.main, configPath),
    databaseUrl === undefined
      ? memoryDatabase(migrationsDir).then(startDevDatabase)
      : startDevDatabase({ databaseUrl, migrationsDir }),
  ]);
  neonConfig.fetchEndpoint = () => database.endpoint;
  const client = neon(database.connectionString);
  for (const statement of existing) await client.query(statement);
  if (capture) {
    const statements = captureStatements({ ...catalog, everything: EVERYTHING });
    await client.transaction(statements.map((statement) => client.query(statement)));
  }
  const gate = outages ? await gateTo(database.endpoint) : undefined;
  const optionsOf = (worker: { configPath: string; prebuiltWorkerDir: string }) => ({
    root: ROOT,
    workers: [
      {
        ...worker,
        // Filling ahead would hide what a test wants to see void; the one about it switches it on. On a machine that does
        // much else, a model's fallback would answer in tests of the model.
        vars: { WARMING: 'off', DEADLINE_MS: '10000', FEEDBACK_PAUSE_MS: '500', ...vars },
        secrets: {
          DATABASE_URL: database.connectionString,
          DATABASE_ENDPOINT: gate?.url ?? database.endpoint,
          API_KEY_SHA256: createHash('sha256').update(KEY).digest('hex'),
        },
      },
    ],
  });
  const harness = createTestHarness(optionsOf({ configPath, prebuiltWorkerDir }));
  const { url } = await harness.listen();
  let databaseIsUp = true;
  const stopDatabase = async () => {
    if (databaseIsUp) await database.close();
    databaseIsUp = false;
  };
  // A clock that has just been made knows of no source yet, and for a moment answers come from the origin.
  await eventually(
    async () => (await fetch(new URL(cachedPath, url))).headers.get('cache-status') ?? '',
    (status) => status.includes('; hit'),
  );
  return {
    url,
    database: { url: database.connectionString, endpoint: database.endpoint },
    sql: (text, params = []) => client.query(text, params),
    pauseDatabase: async () => await gate?.close(),
    resumeDatabase: async () => await gate?.open(),
    stopDatabase,
    killRuntime: () => {
      for (const pid of runtimePids()) process.kill(pid, 'SIGKILL');
    },
    deploy: async (main) => {
      const other = workerConfig(main, assets);
      await harness.update(
        optionsOf({ configPath: other, prebuiltWorkerDir: await builtWorker(main, other) }),
      );
    },
    caller: new Caller(url.href, KEY),
    fetch: async (path, init) => await fetch(new URL(path, url), init),
    logs: () => harness.getLogs(),
    bucket: async () => (await harness.getWorker<{ MODELS: Bucket }>().getEnv()).MODELS,
    scheduled: async () => {
      await harness.getWorker().scheduled({ cron: '* * * * *' });
    },
    [Symbol.asyncDispose]: async () => {
      await harness.close();
      await gate?.close();
      await stopDatabase();
    },
  };
}

/** Asks until `check` holds, for what happens behind a queue. Fails with the last answer after `timeoutMs`. */
export async function eventually<T>(
  ask: () => Promise<T>,
  check: (answer: T) => boolean,
  timeoutMs = 60_000,
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

/**
 * Asks until `check` holds, and fails if a request that began more than `boundMs` after the call gets an answer that
 * does not pass. A slow machine does not break the promise: it counts from the begin of a request.
 */
export async function withinBound<T>(
  ask: () => Promise<T>,
  check: (answer: T) => boolean,
  boundMs: number,
): Promise<T> {
  const since = performance.now();
  for (;;) {
    const askedAfterMs = performance.now() - since;
    const answer = await ask();
    if (check(answer)) return answer;
    if (askedAfterMs > boundMs)
      throw new Error(
        `A request that began after ${Math.round(askedAfterMs)} ms, more than ${boundMs} ms, was answered with ${JSON.stringify(answer)}.`,
      );
    await sleep(50);
  }
}
