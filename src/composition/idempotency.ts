import { tagHash } from '../cache/clock/tag-hash.ts';
import type { IdempotencyPort } from '../gateway/idempotency/port.ts';
import type { Env } from './env.ts';
import { idempotency } from './objects.ts';

/** The objects that share the keys. Each takes about 500 requests a second, with two calls for each. */
export const IDEMPOTENCY_OBJECTS = 16;

/** The keys of requests, in the objects of a worker. */
export function idempotencyPort(env: Env): IdempotencyPort {
  const objectOf = (id: string) => idempotency(env, tagHash(id) % IDEMPOTENCY_OBJECTS);
  return {
    begin: (id, ...rest) => objectOf(id).begin(id, ...rest),
    keep: (id, ...rest) => objectOf(id).keep(id, ...rest),
    release: (id, lease) => objectOf(id).release(id, lease),
  };
}
