import type { FillGatePort } from '../cache/fill-gate.ts';
import { gateIn, poolOf } from '../cache/gate-pool.ts';
import { ENTER_TIMEOUT_MS } from '../cache/single-flight.ts';
import { peerStub } from '../platform/peer.ts';
import type { Region } from '../platform/regions.ts';
import type { Env } from './env.ts';

/**
 * Typed stubs of the Durable Objects, each with its deadlines in milliseconds. Names of objects occur only in this
 * file. A deadline is far beyond an ordinary answer; the caller decides what a request does without one.
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

export function rootClock(env: Pick<Env, 'TAG_CLOCK'>) {
  return peerStub('root-clock', env.TAG_CLOCK.getByName('root'), { default: WRITE_MS, sync: READ_MS });
}

/** The clock of a region, placed there on its first use. */
export function regionalClock(env: Pick<Env, 'TAG_CLOCK'>, region: Region) {
  const stub = env.TAG_CLOCK.getByName(region, { locationHint: region });
  return peerStub('regional-clock', stub, { default: WRITE_MS, sync: READ_MS });
}

/** A shard by its name, `<entity>/<n>`. */
export function featureShard(env: Pick<Env, 'FEATURE_SHARD'>, shard: string) {
  return peerStub('feature-shard', env.FEATURE_SHARD.getByName(shard), {
    default: LONG_MS,
    read: READ_MS,
    foldedEvents: REPORT_MS,
  });
}

export function outboxRelay(env: Pick<Env, 'OUTBOX_RELAY'>) {
  const deadlines = { default: LONG_MS, arm: WRITE_MS, sweepLive: SWEEP_LIVE_MS };
  return peerStub('outbox-relay', env.OUTBOX_RELAY.getByName('main'), deadlines);
}

/** The object that adds up the counters of all isolates. */
export function cacheStats(env: Pick<Env, 'CACHE_STATS'>) {
  const deadlines = { default: WRITE_MS, report: REPORT_MS };
  return peerStub('cache-stats', env.CACHE_STATS.getByName('main'), deadlines);
}

/** The object that counts the quality of all events. */
export function qualityWindow(env: Pick<Env, 'QUALITY_WINDOW'>) {
  const deadlines = { default: WRITE_MS, counts: REPORT_MS };
  return peerStub('quality-window', env.QUALITY_WINDOW.getByName('main'), deadlines);
}

/**
 * The log of all changes, for live feeds.
 *
 * @param waitMs how long `next` waits for a change.
 */
export function changeFeed(env: Pick<Env, 'CHANGE_FEED'>, waitMs = 0) {
  const deadlines = { default: WRITE_MS, next: waitMs + READ_MS, status: REPORT_MS, append: LONG_MS };
  return peerStub('change-feed', env.CHANGE_FEED.getByName('main'), deadlines);
}

/** One of the objects that remember queued events. */
export function queuedEvents(env: Pick<Env, 'QUEUED_EVENTS'>, shard: number) {
  return peerStub('queued-events', env.QUEUED_EVENTS.getByName(String(shard)), { default: READ_MS });
}

/** The reader of one partition of a topic. */
export function kafkaSource(env: Pick<Env, 'KAFKA_SOURCE'>, topic: string, partition: number) {
  const stub = env.KAFKA_SOURCE.getByName(`${topic}/${partition}`);
  return peerStub('kafka-source', stub, { default: WRITE_MS, status: REPORT_MS });
}

/** The fill gate of one cache key, in the object of its pool. `enter` waits for the fill of another request. */
export function fillGate(env: Pick<Env, 'FILL_GATE'>, key: string): FillGatePort {
  const deadlines = { default: WRITE_MS, enter: ENTER_TIMEOUT_MS, ping: READ_MS };
  const pool = peerStub('fill-gate', env.FILL_GATE.getByName(String(poolOf(key))), deadlines);
  return gateIn(pool, key);
}
