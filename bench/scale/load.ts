import { serialize } from 'node:v8';
import { type Clock, invalidate, newClock } from '../../src/cache/clock/clock.ts';
import type { Delta } from '../../src/cache/clock/delta.ts';
import type { SyncAnswer } from '../../src/cache/clock/mirror.ts';
import { encodeAnswer } from '../../src/cache/clock/wire.ts';
import type { Random } from '../../src/platform/random.ts';

/** What a deployment is under. */
export interface Load {
  readonly regions: number;
  /** In all regions together, spread evenly. */
  readonly isolates: number;
  /** Of one isolate, at random moments. */
  readonly readsPerSecond: number;
  /** Calls to the root, at random moments. */
  readonly invalidationsPerSecond: number;
  /** Of one invalidation, each another one at random. */
  readonly tags: number;
}

/** What that costs, by the second. */
export interface Cost {
  /** Calls that the root answers to regions. */
  readonly rootSyncs: number;
  /** Calls that it makes to regions. */
  readonly rootPushes: number;
  /** Bytes that it sends with both. */
  readonly rootBytes: number;
  /** Calls that one region answers to isolates, and the bytes that it sends with them. */
  readonly regionSyncs: number;
  readonly regionBytes: number;
}

/** One way, in milliseconds: an isolate and its region are in one city, the root may be over an ocean. */
export const ISOLATE_TO_REGION_MS = 5;
export const REGION_TO_ROOT_MS = 40;
/** The default of a view. */
export const BOUND_MS = 2_000;
export const EPOCH = '0b8f62c4-8f0e-4a57-9a53-1e1f3a6f7d11';

/** An invalidation of tags that have nothing to do with each other. */
export function randomTags(tags: number, random: Random): number[] {
  const hashes = new Set<number>();
  while (hashes.size < tags) hashes.add(Math.floor(random() * 2 ** 32));
  return [...hashes];
}

/** Bytes of an answer for an asker that has the epoch, packed (wire.ts). */
export function answerBytes(answer: SyncAnswer): number {
  return encodeAnswer(answer, answer.epoch).byteLength;
}

/** Bytes of a push: structured clone, with Node's serializer as a stand-in. */
export function pushBytes(pushed: Delta): number {
  return serialize(pushed).byteLength;
}

/** A clock in which so many invalidations happened after `since`, on top of a long history. */
export function clockAfter(invalidations: number, tags: number, random: Random): [Clock, since: number] {
  const clock = newClock(EPOCH);
  clock.seq = 1_000_000;
  const since = clock.seq;
  for (let count = 0; count < invalidations; count += 1) invalidate(clock, randomTags(tags, random));
  return [clock, since];
}
