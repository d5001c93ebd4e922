import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { convertV4MiniflareOptions, Log, LogLevel, Miniflare } from 'miniflare';
import * as z from 'zod';
import { queueConsumers } from '../../bench/support/queue-consumers.ts';
import { COMMON, KEY, millrace } from '../../bench/support/runtime.ts';
import { builtWorker } from '../../test/support/node/built-worker.ts';
import { workerConfig } from '../../test/support/node/worker-config.ts';
import { type Answer, ask } from '../verify/client.ts';
import { type ChaosDatabase, startChaosDatabase } from './database.ts';

/** The worker of the product with routes for an experiment. */
const MAIN = 'test/support/worker/chaos.ts';
/** It has all objects and consumers, and no readers: on the platform these run elsewhere than what answers requests. */
const HOME = 'millrace-home';
/** The isolates that answer the load. */
const EDGES = ['millrace-1', 'millrace-2'] as const;
/** It has answered nothing: what an isolate does that the platform has just started. */
const SPARE = 'millrace-new';
const ELSEWHERE = { scriptName: HOME };
/** The header that sets a request's `cf` on the local platform. */
const CF_HEADER = 'mf-cf-blob';
/** Where the readers of each isolate are: in the regions of `REGIONS_OF_LOAD`. */
const CONTINENTS = ['EU', 'AS', 'EU'] as const;
/** The cron of wrangler.toml, which does not fire by itself on the local platform. */
const CRON_MS = 60_000;
const READY_TIMEOUT_MS = 60_000;

/** What the routes of an experiment answer. */
const Controlled = z.object({ now: z.number().optional(), answers: z.boolean().optional() });

interface ObjectsFault {
  readonly className: 'TagClock' | 'FeatureShard' | 'OutboxRelay';
  readonly names: readonly string[];
  readonly fault: 'hang' | 'gone' | 'lose';
}

/** The built worker in the real runtime, over a database of its own. */
export interface ChaosStack {
  readonly database: ChaosDatabase;
  /** The isolates that answer the load. */
  readonly edges: number;
  /** The isolate that has answered nothing yet. */
  readonly spare: number;
  urlOf(isolate: number, path: string): URL;
  /** Headers of every request to an isolate: where it comes from, and the key. */
  headersOf(isolate: number): Record<string, string>;
  /** A request that has to succeed. */
  request(isolate: number, method: string, path: string, json?: unknown): Promise<Answer>;
  disturbObjects(fault: ObjectsFault): Promise<void>;
  /** Whether an object answers a call within a second. */
  answersCalls(className: ObjectsFault['className'], name: string): Promise<boolean>;
  /** Objects that hang go on, and those that were kept from starting may start. */
  releaseObjects(): Promise<void>;
  /** @param ms how far the wall clock of the isolate is ahead. @returns the time that it shows then. */
  setClock(isolate: number, ms: number): Promise<number>;
  /** Turns every bit of every object in R2; once more, and they are as they were. */
  turnBits(): Promise<void>;
  /** Warnings and errors that the worker has logged, by message; it only grows. */
  readonly logged: ReadonlyMap<string, number>;
  close(): Promise<void>;
}

/** @param options.isEmbedded whether the database is the embedded one, also where the machine has a server. */
export async function startChaosStack(options: { readonly isEmbedded: boolean }): Promise<ChaosStack> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-chaos-'));
  // The database's server runs as another user, who has to pass through it.
  chmodSync(folder, 0o711);
  await using cleanup = new AsyncDisposableStack();
  const remove = () => rmSync(folder, { recursive: true, force: true });
  cleanup.defer(remove);
  const database = await startChaosDatabase(folder, options);
  cleanup.defer(() => database.close());
  // After the database's own: its disk is not mounted any more.
  process.once('exit', remove);
  const bundle = await builtWorker(MAIN, workerConfig(MAIN));
  const logged = new Map<string, number>();
  const miniflare = new Miniflare(optionsOf(bundle, database, join(folder, 'storage'), logged));
  cleanup.defer(() => miniflare.dispose());
  await miniflare.ready;
  const names = [...EDGES, SPARE];
  const urls = await Promise.all(names.map((name) => miniflare.unsafeGetDirectURL(name)));
  const home = await miniflare.unsafeGetDirectURL(HOME);
  const control = async (method: string, path: string, json: unknown, at: URL = home) => {
    const answer = await ask(new URL(path, at), { method, headers: {}, body: JSON.stringify(json) });
    if (typeof answer === 'string' || answer.status !== 200)
      throw new Error(`${method} ${path} of the experiment failed: ${JSON.stringify(answer)}`);
    return Controlled.parse(answer.body);
  };
  const headersOf = (isolate: number) => ({
    [CF_HEADER]: JSON.stringify({ continent: CONTINENTS[isolate] }),
    authorization: `Bearer ${KEY}`,
  });
  const urlOf = (isolate: number, path: string) => new URL(path, urls[isolate]);
  // Not by `getWorker` of Miniflare, which stops this thread until the work is done.
  const cron = setInterval(() => void control('POST', '/chaos/cron', {}).catch(() => undefined), CRON_MS);
  cleanup.defer(() => clearInterval(cron));
  const owned = cleanup.move();
  return {
    database,
    edges: EDGES.length,
    spare: EDGES.length,
    urlOf,
    headersOf,
    request: (isolate, method, path, json) =>
      untilDone(urlOf(isolate, path), method, headersOf(isolate), json),
    disturbObjects: async (fault) => void (await control('PUT', '/chaos/objects', fault)),
    answersCalls: async (className, name) =>
      (await control('POST', '/chaos/objects', { className, name })).answers === true,
    releaseObjects: async () => void (await control('DELETE', '/chaos/objects', {})),
    setClock: async (isolate, ms) => (await control('PUT', '/chaos/clock', { ms }, urls[isolate])).now ?? 0,
    turnBits: async () => void (await control('POST', '/chaos/bucket', {})),
    logged,
    close: () => owned.disposeAsync(),
  };
}

/** Sends a request until it succeeds: a stack that has just started, or recovers, refuses some. */
async function untilDone(
  url: URL,
  method: string,
  headers: Readonly<Record<string, string>>,
  json: unknown,
): Promise<Answer> {
  const body = json === undefined ? {} : { body: JSON.stringify(json) };
  const sent = { method, headers: { ...headers, 'content-type': 'application/json' }, ...body };
  for (const deadline = performance.now() + READY_TIMEOUT_MS; ; await sleep(100)) {
    const answer = await ask(url, sent);
    if (typeof answer === 'object' && answer.status < 300) return answer;
    if (performance.now() > deadline)
      throw new Error(`${method} ${url.pathname} did not succeed: ${JSON.stringify(answer)}`);
  }
}

function optionsOf(folder: string, database: ChaosDatabase, storage: string, logged: Map<string, number>) {
  const worker = millrace(database, folder, `${basename(MAIN, '.ts')}.js`);
  const objects = Object.entries(worker.durableObjects).map(([binding, of]) => ({ binding, ...of }));
  const objectsOf = (name: string) =>
    Object.fromEntries(
      objects.map(({ binding, ...of }) => [binding, { ...of, ...(name === HOME ? {} : ELSEWHERE) }]),
    );
  return convertV4MiniflareOptions({
    resourcePersistencePath: storage,
    // Every request brings its own.
    cf: false,
    log: new Log(LogLevel.NONE),
    handleStructuredLogs: ({ level, message }) => {
      const text = messageOf(message);
      if (text !== undefined && (level === 'warn' || level === 'error'))
        logged.set(text, (logged.get(text) ?? 0) + 1);
    },
    workers: [HOME, ...EDGES, SPARE].map((name) => ({
      ...worker,
      ...COMMON,
      name,
      durableObjects: objectsOf(name),
      ...(name === HOME ? { queueConsumers: queueConsumers() } : {}),
    })),
  });
}

/** The message of a line of the worker's own log; undefined for other lines. */
function messageOf(line: string): string | undefined {
  try {
    const parsed: unknown = JSON.parse(line);
    const message: unknown =
      typeof parsed === 'object' && parsed !== null ? Reflect.get(parsed, 'message') : undefined;
    return typeof message === 'string' ? message : undefined;
  } catch {
    return undefined;
  }
}
