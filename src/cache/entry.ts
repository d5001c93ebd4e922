import * as z from 'zod';
import type { Loaded } from '../define/view.ts';
import type { Time } from '../platform/clock.ts';
import { TAG_HASH_MAX, tagHash, tagHashes } from './clock/tag-hash.ts';

/** The most tags of one answer. Each look-up checks all of them, and an answer with more depends on too much. */
export const ENTRY_TAGS_MAX = 256;

/** A stored answer. Tiers hold it; the clock decides whether it is valid. */
export const Entry = z.object({
  /** The answer as JSON text; `null` means "not found". */
  body: z.string(),
  /** Strong entity tag (RFC 9110 §8.8.3), with its quotes. */
  etag: z.string(),
  /** The hashes of the tags that the answer depends on. */
  tagHashes: z.array(z.int().min(0).max(TAG_HASH_MAX)).max(ENTRY_TAGS_MAX),
  epoch: z.string(),
  /** The mirror's `seq` before the origin was read. */
  stamp: z.int().nonnegative(),
  /**
   * The `seq` by which everything that the entry may show has been invalidated, if the origin reported it. A
   * reader's token is at least this, so that a session never goes back. Null if the origin could not report it:
   * then the answer carries no token.
   */
  asOf: z.int().nonnegative().nullable().optional(),
  /** Local time of the filling isolate, in milliseconds since the Unix epoch. Used for `Age` and TTL, never for coherence. */
  filledAt: z.number(),
  /**
   * The `now` with which the origin was read, in milliseconds since the Unix epoch: the start of a grain. Absent if
   * the answer does not depend on time.
   */
  now: z.number().optional(),
  /** Duration of the origin's read, in milliseconds. Slow answers are refreshed earlier. */
  fillMs: z.number().nonnegative().optional(),
});
export type Entry = z.output<typeof Entry>;

/** Whether the answer is "not found". */
export function isNegative({ body }: Pick<Entry, 'body'>): boolean {
  return body === 'null';
}

/** An answer's value as the JSON text that is stored and sent, with the strong entity tag of that text (RFC 9110 §8.8.3). */
export async function bodyAndEtag(
  value: unknown,
  digest: (text: string) => Promise<string>,
): Promise<{ body: string; etag: string }> {
  const body = JSON.stringify(value);
  // In place of a template: that would keep the whole digest in memory, and two objects to join its parts.
  return { body, etag: JSON.stringify((await digest(body)).slice(0, ETAG_CHARACTERS)) };
}

/** Half of a SHA-256 digest in hexadecimal: 128 bits are enough to distinguish answers. */
const ETAG_CHARACTERS = 32;

/**
 * Tags that every stored answer depends on beside its own, so that a purge is an ordinary invalidation: the tag of all
 * answers, that of its view, and that of its key without the variant.
 */
export function purgeTags(view: string, key: string): string[] {
  return [EVERYTHING, viewTag(view), keyTag(key)];
}

/**
 * The entry of what was read from the origin.
 *
 * @param of what was asked for; `purgeKey` as in `ReadRequest`.
 * @param at the clock's moment before the origin was read, how long that took, and the `now` with which it was read.
 */
export async function entryOf(
  { value, tags, asOf }: Loaded,
  of: {
    readonly view: string;
    readonly key: string;
    readonly purgeKey?: string;
    readonly grainMs?: number | undefined;
  },
  { now, ...at }: { epoch: string; stamp: number; fillMs: number; now: number },
  ports: { readonly digest: (text: string) => Promise<string>; readonly time: Pick<Time, 'now'> },
): Promise<Entry> {
  const { view, key, purgeKey = key, grainMs } = of;
  const hashes = tagHashes([...tags, ...purgeTags(view, purgeKey)]);
  if (hashes.length > ENTRY_TAGS_MAX)
    throw new Error(
      `An answer of "${view}" depends on ${hashes.length} tags; at most ${ENTRY_TAGS_MAX} are allowed. Name fewer tags, for example the tag of a whole list.`,
    );
  const { body, etag } = await bodyAndEtag(value, ports.digest).catch((cause: unknown) => {
    throw new Error(
      `An answer of "${view}" cannot be written as JSON. Return only plain values from its load.`,
      { cause },
    );
  });
  // A moment of another epoch than the stamp's cannot be compared with a token of this entry's readers.
  const moment = asOf === undefined ? {} : { asOf: asOf?.epoch === at.epoch ? asOf.seq : null };
  const grain = grainMs === undefined ? {} : { now };
  return { body, etag, tagHashes: hashes, ...at, ...moment, ...grain, filledAt: ports.time.now() };
}

/** The tag of all stored answers. */
export const EVERYTHING = 'cache';

export function viewTag(view: string): string {
  return `cache:view:${view}`;
}

export function keyTag(key: string): string {
  return `cache:key:${key}`;
}

/** The most tags of one invalidation: 256 KB in the root's storage. */
export const INVALIDATION_TAGS_MAX = 65_536;

/** What the root is asked to invalidate for a set of tags. So many that they exceed the limit invalidate everything. */
export function hashesToInvalidate(tags: Iterable<string>): number[] {
  const hashes = tagHashes(tags);
  return hashes.length <= INVALIDATION_TAGS_MAX ? hashes : [tagHash(EVERYTHING)];
}
