import * as z from 'zod';
import type { FillGatePort } from '../cache/fill-gate.ts';
import { gateIn, poolOf } from '../cache/gate-pool.ts';
import { ENTER_TIMEOUT_MS } from '../cache/single-flight.ts';
import { throwingMoves } from '../features/moved-answers.ts';
import { ASK_TIMEOUT_MS } from '../limits/budgets.ts';
import { peerStub } from '../platform/peer.ts';
import type { Region, RequestPlace } from '../platform/regions.ts';
import { databaseRegion } from './config.ts';
import type { Env } from './env.ts';
import { type BesideDatabase, fillGateName, readerRegion } from './placement.ts';

/**
 * Typed stubs of the Durable Objects, each with its place (`placement.ts`) and its deadlines in milliseconds. Names of
 * objects occur only in this file. A deadline is far beyond an ordinary answer; the caller decides what a request does without one.
 */

/** A read waits for these, so they leave time for another way to answer within a second. */
const READ_MS = 900;
/** People and scrapers wait for these, and there is nothing else to show. */
const REPORT_MS = 2_000;
/** A write or a consumer waits for these, and repeats what did not answer. */
const WRITE_MS = 5_000;
/** A request that waits for its events waits for this sweep: as long as for one statement of the database. */
const SWEEP_LIVE_MS = 10_000;
/** Work over many rows of an object, in a consumer or a command. */
const LONG_MS = 30_000;

/** The variables that say where the database is, and the span that a call is within. */
export type DatabasePlace = Pick<Env, 'DATABASE_URL' | 'DATABASE_REGION' | 'span'>;

/** The only function that asks a namespace for an object, so that no object is placed by accident. */
function placed<T extends Rpc.DurableObjectBranded>(
  namespace: DurableObjectNamespace<T>,
  name: string,
  region: Region | undefined,
) {
  return namespace.getByName(name, region === undefined ? {} : { locationHint: region });
}

/** A stub of an object beside the database. */
function besideDatabase<T extends Rpc.DurableObjectBranded>(
  peer: BesideDatabase,
  env: DatabasePlace,
  [namespace, name]: readonly [DurableObjectNamespace<T>, string],
  deadlinesMs: Parameters<typeof peerStub>[2],
) {
  return peerStub(peer, placed(namespace, name, databaseRegion(env)), deadlinesMs, env.span);
}

export function rootClock(env: Pick<Env, 'TAG_CLOCK'> & DatabasePlace) {
  return besideDatabase('root-clock', env, [env.TAG_CLOCK, 'root'], {
    ...{ default: WRITE_MS, sync: READ_MS, phases: REPORT_MS },
  });
}

/** The clock of a region, placed there on its first use. */
export function regionalClock(env: Pick<Env, 'TAG_CLOCK' | 'span'>, region: Region) {
  const deadlines = { default: WRITE_MS, sync: READ_MS };
  return peerStub('regional-clock', placed(env.TAG_CLOCK, region, region), deadlines, env.span);
}

/** A shard by its name, `<entity>/<n>`. */
export function featureShard(env: Pick<Env, 'FEATURE_SHARD'> & DatabasePlace, shard: string) {
  const stub = besideDatabase('feature-shard', env, [env.FEATURE_SHARD, shard], {
    default: LONG_MS,
    read: READ_MS,
    readWithFolds: READ_MS,
    readVersions: READ_MS,
    oldVersions: REPORT_MS,
    announced: WRITE_MS,
    foldedEvents: REPORT_MS,
  });
  return throwingMoves(stub);
}

export function outboxRelay(env: Pick<Env, 'OUTBOX_RELAY'> & DatabasePlace) {
  return besideDatabase('outbox-relay', env, [env.OUTBOX_RELAY, 'main'], {
    ...{ default: LONG_MS, arm: WRITE_MS, sweepLive: SWEEP_LIVE_MS, status: READ_MS },
    startBackfill: WRITE_MS,
  });
}

/** The object that adds up the counters of all isolates. */
export function cacheStats(env: Pick<Env, 'CACHE_STATS'> & DatabasePlace) {
  const deadlines = { default: WRITE_MS, report: REPORT_MS, totals: REPORT_MS };
  return besideDatabase('cache-stats', env, [env.CACHE_STATS, 'main'], deadlines);
}

/** The object that counts the quality of all events. */
export function qualityWindow(env: Pick<Env, 'QUALITY_WINDOW'> & DatabasePlace) {
  const deadlines = { default: WRITE_MS, counts: REPORT_MS, totals: REPORT_MS };
  return besideDatabase('quality-window', env, [env.QUALITY_WINDOW, 'main'], deadlines);
}

/**
 * The log of all changes, for live feeds.
 *
 * @param waitMs how long `next` waits for a change.
 */
export function changeFeed(env: Pick<Env, 'CHANGE_FEED'> & DatabasePlace, waitMs = 0) {
  const deadlines = { default: WRITE_MS, next: waitMs + READ_MS, status: REPORT_MS, append: LONG_MS };
  return besideDatabase('change-feed', env, [env.CHANGE_FEED, 'main'], deadlines);
}

/** One of the objects that remember queued events. */
export function queuedEvents(env: Pick<Env, 'QUEUED_EVENTS'> & DatabasePlace, shard: number) {
  return besideDatabase('queued-events', env, [env.QUEUED_EVENTS, String(shard)], { default: READ_MS });
}

/** The reader of one partition of a topic. */
export function kafkaSource(
  env: Pick<Env, 'KAFKA_SOURCE'> & DatabasePlace,
  topic: string,
  partition: number,
) {
  const name = `${topic}/${partition}`;
  return besideDatabase('kafka-source', env, [env.KAFKA_SOURCE, name], {
    default: WRITE_MS,
    status: REPORT_MS,
  });
}

/** One of the objects that have the budgets of senders. */
export function rateLimiter(env: Pick<Env, 'RATE_LIMITER'> & DatabasePlace, shard: number) {
  return besideDatabase('rate-limiter', env, [env.RATE_LIMITER, String(shard)], { default: ASK_TIMEOUT_MS });
}

/** One of the objects that keep the answers to requests with an `Idempotency-Key`. */
export function idempotency(env: Pick<Env, 'IDEMPOTENCY'> & DatabasePlace, shard: number) {
  return besideDatabase('idempotency', env, [env.IDEMPOTENCY, String(shard)], { default: READ_MS });
}

/** The object that makes datasets. */
export function datasets(env: Pick<Env, 'DATASETS'> & DatabasePlace) {
  return besideDatabase('datasets', env, [env.DATASETS, 'main'], { default: REPORT_MS });
}

/** The object that trains models. */
export function trainingRuns(env: Pick<Env, 'TRAINING_RUNS'> & DatabasePlace) {
  return besideDatabase('training-runs', env, [env.TRAINING_RUNS, 'main'], {
    ...{ default: REPORT_MS, begin: WRITE_MS, check: LONG_MS, expire: LONG_MS },
  });
}

/** The object that watches the rollout of a model. */
export function rollouts(env: Pick<Env, 'ROLLOUTS'> & DatabasePlace, model: string) {
  const deadlines = { default: WRITE_MS, live: READ_MS, wake: LONG_MS };
  return besideDatabase('rollouts', env, [env.ROLLOUTS, model], deadlines);
}

/** The object that joins served predictions with later events. */
export function feedback(env: Pick<Env, 'FEEDBACK'> & DatabasePlace) {
  return besideDatabase('feedback', env, [env.FEEDBACK, 'main'], { default: WRITE_MS, counts: REPORT_MS });
}

/** The object that evaluates the objectives. */
export function alerts(env: Pick<Env, 'ALERTS'> & DatabasePlace) {
  return besideDatabase('alerts', env, [env.ALERTS, 'main'], { default: REPORT_MS });
}

/** The object that watches the rows that a model answers. */
export function driftWatches(env: Pick<Env, 'DRIFT_WATCHES'> & DatabasePlace, model: string) {
  const deadlines = { default: WRITE_MS, report: REPORT_MS };
  return besideDatabase('drift-watches', env, [env.DRIFT_WATCHES, model], deadlines);
}

/** The fill gate of one cache key, in the object of its pool in the region of a request. `enter` waits for another's fill. */
export function fillGate(
  env: Pick<Env, 'FILL_GATE'> & DatabasePlace,
  key: string,
  place: RequestPlace,
): FillGatePort {
  const region = readerRegion(place, databaseRegion(env));
  const deadlines = { default: WRITE_MS, enter: ENTER_TIMEOUT_MS, ping: READ_MS };
  const name = fillGateName(region, poolOf(key));
  return gateIn(peerStub('fill-gate', placed(env.FILL_GATE, name, region), deadlines, env.span), key);
}

/** The method by which every object tells how much it has on disk (`durable-objects.ts`). */
export const DATABASE_BYTES = 'databaseBytes';

/** How much an object has on disk, in bytes. @param stub one of the functions above. */
export async function databaseBytes(stub: object): Promise<number> {
  return z.number().parse(await Reflect.apply(Reflect.get(stub, DATABASE_BYTES), stub, []));
}
