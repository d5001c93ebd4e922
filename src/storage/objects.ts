import type { Env } from '../env.ts';

/** Typed stubs of the Durable Objects: the one place that knows their names. */

export function rootClock(env: Pick<Env, 'TAG_CLOCK'>) {
  return env.TAG_CLOCK.getByName('root');
}

/** A shard by its name, `<entity>/<n>`. */
export function featureShard(env: Pick<Env, 'FEATURE_SHARD'>, shard: string) {
  return env.FEATURE_SHARD.getByName(shard);
}

export function outboxRelay(env: Pick<Env, 'OUTBOX_RELAY'>) {
  return env.OUTBOX_RELAY.getByName('main');
}
