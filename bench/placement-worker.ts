import { env as bindings } from 'cloudflare:workers';
import { durableObjects } from '../src/composition/durable-objects.ts';
import type { Env } from '../src/composition/env.ts';
import { createWorker } from '../src/composition/worker.ts';
import { sleep } from '../src/platform/clock.ts';
import { REGIONS, type Region } from '../src/platform/regions.ts';
import { catalog } from '../test/support/catalog/index.ts';

/**
 * The built worker in a world of three regions. Every call of an object and every statement waits as if it travelled: half
 * of the round trip there, half back. An object is where its location hint says, or, if it has none, where it was first used.
 */

/**
 * What the bench sets: BENCH_HERE is the region of this script (of its requests, its batches, or its objects),
 * BENCH_FIRST_USE the one in which objects without a hint were first used. BENCH_PLACED is `off` for fill gates that are
 * there, too, as all were before there were rules. BENCH_ROUND_TRIP_MS is between two different regions; within a region
 * nothing is added.
 */
function modelled(name: `BENCH_${string}`): string {
  const value: unknown = Reflect.get(bindings, name);
  if (typeof value !== 'string') throw new Error(`The bench does not set ${name}.`);
  return value;
}

const NAMESPACES = [
  'TAG_CLOCK',
  'FEATURE_SHARD',
  'OUTBOX_RELAY',
  'FILL_GATE',
  'CACHE_STATS',
  'QUALITY_WINDOW',
  'CHANGE_FEED',
  'QUEUED_EVENTS',
  'KAFKA_SOURCE',
  'RATE_LIMITER',
  'IDEMPOTENCY',
  'DATASETS',
  'TRAINING_RUNS',
  'ROLLOUTS',
  'FEEDBACK',
  'DRIFT_WATCHES',
] as const;

const roundTripMs = Number(modelled('BENCH_ROUND_TRIP_MS'));
const here = regionNamed(modelled('BENCH_HERE'));
const firstUse = regionNamed(modelled('BENCH_FIRST_USE'));
const isPlaced = modelled('BENCH_PLACED') !== 'off';
const database = regionNamed(modelled('BENCH_DATABASE'));

function regionNamed(name: string): Region {
  const region = REGIONS.find((known) => known === name);
  if (region === undefined) throw new Error(`The bench names a region that there is not: "${name}".`);
  return region;
}

async function travelling<T>(from: Region, to: Region, call: () => Promise<T>): Promise<T> {
  if (from === to) return await call();
  await sleep(roundTripMs / 2);
  try {
    return await call();
  } finally {
    await sleep(roundTripMs / 2);
  }
}

/** The region of an object, by the hint of its use. */
function placeOf(binding: string, hint: string | undefined): Region {
  if (hint === undefined || (!isPlaced && binding === 'FILL_GATE')) return firstUse;
  return regionNamed(hint);
}

/** The region in which an object itself runs. Gates call nothing, so theirs is not asked. */
function placeOfSelf(name: string | undefined): Region {
  return REGIONS.find((region) => region === name) ?? (isPlaced ? database : firstUse);
}

function distant<Namespace extends object>(binding: string, namespace: Namespace, from: Region): Namespace {
  return new Proxy(namespace, {
    get(target, property) {
      const member: unknown = Reflect.get(target, property, target);
      if (typeof member !== 'function') return member;
      return (...args: unknown[]) => {
        const [, options] = args;
        const hint: unknown =
          typeof options === 'object' && options !== null ? Reflect.get(options, 'locationHint') : undefined;
        const stub: object = Reflect.apply(member, target, args);
        return distantStub(stub, from, placeOf(binding, typeof hint === 'string' ? hint : undefined));
      };
    },
  });
}

function distantStub(stub: object, from: Region, to: Region): object {
  return new Proxy(stub, {
    get(target, method) {
      const member: unknown = Reflect.get(target, method, target);
      if (typeof member !== 'function' || typeof method === 'symbol') return member;
      return (...sent: unknown[]) =>
        travelling(from, to, async () => await Reflect.apply(member, target, sent));
    },
  });
}

const known = new Map<Region, Env>();
/** The bindings as a caller in a region has them; one object for each region, since an isolate is known by them. */
function envIn(from: Region, env: Env): Env {
  const made =
    known.get(from) ??
    ({
      ...env,
      ...Object.fromEntries(NAMESPACES.map((name) => [name, distant(name, env[name], from)])),
    } satisfies Env);
  known.set(from, made);
  return made;
}

const send = fetch;
/** The only fetches are those to the database. A script has one place: its objects that ask it are together. */
globalThis.fetch = (input: RequestInfo | URL, init?: RequestInit) =>
  travelling(here, database, () => send(input, init));

const objects = durableObjects(catalog);
export const {
  Alerts,
  CacheStats,
  ChangeFeed,
  Datasets,
  DriftWatches,
  TrainingRuns,
  FeatureShard,
  Feedback,
  FillGate,
  Idempotency,
  KafkaSource,
  QualityWindow,
  QueuedEvents,
  RateLimiter,
  Rollouts,
} = objects;
export class TagClock extends objects.TagClock {
  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, envIn(placeOfSelf(ctx.id.name), env));
  }
}
export class OutboxRelay extends objects.OutboxRelay {
  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, envIn(placeOfSelf(ctx.id.name), env));
  }
}

const worker = createWorker(catalog);
export default {
  fetch: (request, env, ctx) => worker.fetch(request, envIn(here, env), ctx),
  queue: (batch, env, ctx) => worker.queue(batch, envIn(here, env), ctx),
} satisfies ExportedHandler<Env>;
