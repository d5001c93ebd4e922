import type { Region } from '../platform/regions.ts';
import type { Env } from './env.ts';

/** Typed stubs of the Durable Objects. Their names occur only in this file. */

export function rootClock(env: Pick<Env, 'TAG_CLOCK'>) {
  return env.TAG_CLOCK.getByName('root');
}

/** The clock of a region, placed there on its first use. */
export function regionalClock(env: Pick<Env, 'TAG_CLOCK'>, region: Region) {
  return env.TAG_CLOCK.getByName(region, { locationHint: region });
}

/** A shard by its name, `<entity>/<n>`. */
export function featureShard(env: Pick<Env, 'FEATURE_SHARD'>, shard: string) {
  return env.FEATURE_SHARD.getByName(shard);
}

export function outboxRelay(env: Pick<Env, 'OUTBOX_RELAY'>) {
  return env.OUTBOX_RELAY.getByName('main');
}

/** The object that adds up the counters of all isolates. */
export function cacheStats(env: Pick<Env, 'CACHE_STATS'>) {
  return env.CACHE_STATS.getByName('main');
}

/** The object that counts the quality of all events. */
export function qualityWindow(env: Pick<Env, 'QUALITY_WINDOW'>) {
  return env.QUALITY_WINDOW.getByName('main');
}

/** The log of all changes, for live feeds. */
export function changeFeed(env: Pick<Env, 'CHANGE_FEED'>) {
  return env.CHANGE_FEED.getByName('main');
}

/** One of the objects that remember queued events. */
export function queuedEvents(env: Pick<Env, 'QUEUED_EVENTS'>, shard: number) {
  return env.QUEUED_EVENTS.getByName(String(shard));
}

/** The reader of one partition of a topic. */
export function kafkaSource(env: Pick<Env, 'KAFKA_SOURCE'>, topic: string, partition: number) {
  return env.KAFKA_SOURCE.getByName(`${topic}/${partition}`);
}

/** The fill gate of one cache key, named after the key. */
export function fillGate(env: Pick<Env, 'FILL_GATE'>, key: string) {
  return env.FILL_GATE.getByName(key);
}
