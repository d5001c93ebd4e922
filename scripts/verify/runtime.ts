import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { convertV4MiniflareOptions, Log, LogLevel, Miniflare } from 'miniflare';
import { bundle, COMMON, emptyModules, KEY, millrace, runtimePids } from '../../bench/support/runtime.ts';
import { FIXTURE } from '../../test/support/node/fixture.ts';
import { ask } from './client.ts';
import { type Fault, withFault, withSourceBound } from './faults.ts';

/**
 * The runtime runs one isolate a worker, so each isolate is a worker of its own with the same bundle: own memory
 * and mirror, and in common the Durable Objects of the first, the KV namespace, and the database.
 */
const ISOLATES = ['millrace-1', 'millrace-2', 'millrace-3'] as const;
const HOME = ISOLATES[0];
/** Says of a Durable Object that it is the first worker's. */
const ELSEWHERE = { scriptName: HOME };
/** The header that sets a request's `cf` on the local platform. */
const CF_HEADER = 'mf-cf-blob';
const RESTART_TIMEOUT_MS = 30_000;
/**
 * Evicts from within the runtime. Miniflare's own `unsafeEvictDurableObject` does the same, but stops the thread
 * that calls it meanwhile, and with it all readers.
 */
const EVICTOR = 'evictor';
const EVICTOR_SCRIPT = `
import unsafe from 'workerd:unsafe';
export default {
  async fetch(request, env) {
    const [className, name] = new URL(request.url).pathname.slice(1).split('/').map(decodeURIComponent);
    try {
      if (className === '') await unsafe.abortAllDurableObjects();
      else await unsafe.evict(env[className].getByName(name));
      return Response.json({});
    } catch (error) {
      return Response.json(String(error), { status: 409 });
    }
  },
};`;

export type DurableObjectClass = 'TagClock' | 'FillGate' | 'FeatureShard';

/** The isolates under test, all in one process of the runtime. */
export interface Runtime {
  readonly isolates: number;
  /** Counts the kills: an isolate of another generation has another memory. */
  readonly generation: number;
  urlOf(isolate: number, path: string): URL;
  /** Headers of every request: where it comes from, and the key. */
  headersFrom(continent: string): Record<string, string>;
  /**
   * Ends one Durable Object once it has answered what it was asked: what it has in memory is gone, what is on disk
   * stays.
   *
   * @returns false for one that is not running.
   */
  evict(className: DurableObjectClass, name: string): Promise<boolean>;
  /** Ends all Durable Objects in the middle of what they do, the relay's among them: their callers get errors. */
  abortAll(): Promise<boolean>;
  /** Ends the process of the runtime in the middle of whatever it does; returns once a new one answers. */
  kill(): Promise<void>;
  /** How often the runtime ended without having been killed. */
  readonly crashes: number;
  /** Warnings and errors that the worker has logged, by message. */
  readonly logged: ReadonlyMap<string, number>;
  close(): Promise<void>;
}

export async function startRuntime(options: {
  stateDir: string;
  connectionString: string;
  endpoint: string;
  sourceBoundMs: number;
  fault: Fault | undefined;
}): Promise<Runtime> {
  const folder = join(options.stateDir, 'bundle');
  bundle(FIXTURE.main, '--outdir', folder);
  const entry = join(folder, 'index.js');
  const text = withSourceBound(readFileSync(entry, 'utf8'), options.sourceBoundMs);
  writeFileSync(entry, options.fault === undefined ? text : withFault(text, options.fault));
  emptyModules(folder);

  const logged = new Map<string, number>();
  let restarts = 0;
  const miniflare = new Miniflare({
    ...optionsOf(folder, options, logged),
    unsafeHandleRuntimeRestart: () => {
      restarts += 1;
    },
  });
  try {
    await miniflare.ready;
  } catch (error) {
    await miniflare.dispose().catch(() => undefined);
    throw error;
  }
  const evictor = await miniflare.unsafeGetDirectURL(EVICTOR);
  const urls = await Promise.all(ISOLATES.map((name) => miniflare.unsafeGetDirectURL(name)));
  let generation = 0;
  const untilLive = async () => {
    const deadline = performance.now() + RESTART_TIMEOUT_MS;
    for (;;) {
      const answer = await ask(new URL('/health/live', urls[0]), { headers: {} });
      if (typeof answer === 'object' && answer.status === 200) return;
      if (performance.now() > deadline) throw new Error('The runtime does not answer.');
      await sleep(20);
    }
  };
  await untilLive();
  return {
    isolates: ISOLATES.length,
    get generation() {
      return generation;
    },
    urlOf: (isolate, path) => new URL(path, urls[isolate]),
    headersFrom: (continent) => ({
      [CF_HEADER]: JSON.stringify({ continent }),
      authorization: `Bearer ${KEY}`,
    }),
    evict: (className, name) => isDone(new URL(`/${className}/${encodeURIComponent(name)}`, evictor)),
    abortAll: () => isDone(new URL('/', evictor)),
    kill: async () => {
      const pid = runtimePids().at(-1);
      if (pid === undefined) throw new Error('There is no runtime to kill.');
      process.kill(pid, 'SIGKILL');
      generation += 1;
      while (runtimePids().at(-1) === pid) await sleep(10);
      await untilLive();
    },
    get crashes() {
      return Math.max(0, restarts - generation);
    },
    logged,
    close: () => miniflare.dispose(),
  };
}

async function isDone(url: URL): Promise<boolean> {
  const answer = await ask(url, { headers: {} });
  return typeof answer === 'object' && answer.status === 200;
}

function optionsOf(
  folder: string,
  { stateDir, connectionString, endpoint }: { stateDir: string; connectionString: string; endpoint: string },
  logged: Map<string, number>,
) {
  const worker = millrace({ connectionString, endpoint }, folder, 'index.js');
  const objects = Object.entries(worker.durableObjects).map(([binding, of]) => ({ binding, ...of }));
  return convertV4MiniflareOptions({
    // Storage outlives the process, as it does on the platform.
    resourcePersistencePath: join(stateDir, 'storage'),
    // Every request brings its own.
    cf: false,
    log: new Log(LogLevel.NONE),
    handleStructuredLogs: ({ level, message }) => {
      const text = messageOf(message);
      if (text !== undefined && (level === 'warn' || level === 'error'))
        logged.set(text, (logged.get(text) ?? 0) + 1);
    },
    workers: [
      ...ISOLATES.map((name) => ({
        ...worker,
        name,
        durableObjects: Object.fromEntries(
          objects.map(({ binding, ...of }) => [binding, { ...of, ...(name === HOME ? {} : ELSEWHERE) }]),
        ),
      })),
      {
        ...COMMON,
        name: EVICTOR,
        modules: true as const,
        script: EVICTOR_SCRIPT,
        compatibilityFlags: ['unsafe_module'],
        durableObjects: Object.fromEntries(
          objects.map(({ binding: _, ...of }) => [of.className, { ...of, ...ELSEWHERE }]),
        ),
      },
    ],
  });
}

/** The message of a line of the worker's own log; other lines are the runtime's and come with every kill. */
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
