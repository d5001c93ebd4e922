import * as z from 'zod';
import { SLOT_COUNT } from './clock/slots.ts';

/** The most tags of one answer: more would make every look-up slow, and mean that it depends on too much. */
export const ENTRY_TAGS_MAX = 256;

/** A stored answer. Tiers hold it, the clock judges it. */
export const Entry = z.object({
  /** The answer as JSON text; `null` stands for "there is no such thing". */
  body: z.string(),
  /** Strong entity tag (RFC 9110 §8.8.3), with its quotes. */
  etag: z.string(),
  slots: z
    .array(
      z
        .int()
        .min(0)
        .max(SLOT_COUNT - 1),
    )
    .max(ENTRY_TAGS_MAX),
  epoch: z.string(),
  /** The mirror's `seq` before the origin was read. */
  stamp: z.int().nonnegative(),
  /**
   * The `seq` by which everything that the entry may reflect has been invalidated, where the origin told: a
   * reader's token is at least this, so that time does not go backwards for who carries it. Null where the origin
   * could not tell: then the answer has no token.
   */
  asOf: z.int().nonnegative().nullable().optional(),
  /** By the filler's clock, milliseconds since the Unix epoch: for `Age` and TTL, never for coherence. */
  filledAt: z.number(),
  /**
   * The `now` that the origin was read with, in milliseconds since the Unix epoch: the beginning of a grain. Absent
   * where time does not change the answer.
   */
  now: z.number().optional(),
  /** How long the origin took, in milliseconds: what takes long is refreshed earlier. */
  fillMs: z.number().nonnegative().optional(),
});
export type Entry = z.output<typeof Entry>;

/** An answer's value as it is stored and sent, with the strong entity tag of that text (RFC 9110 §8.8.3). */
export async function bodyAndEtag(
  value: unknown,
  digest: (text: string) => Promise<string>,
): Promise<{ body: string; etag: string }> {
  const body = JSON.stringify(value);
  return { body, etag: `"${(await digest(body)).slice(0, ETAG_CHARACTERS)}"` };
}

/** Half of a SHA-256 in hexadecimal: 128 bits tell answers apart. */
const ETAG_CHARACTERS = 32;

/**
 * What every stored answer depends on beside its own tags, so that purging is an invalidation like any other:
 * everything, its view, and its key without what it varies on.
 */
export function purgeTags(view: string, key: string): string[] {
  return [EVERYTHING, viewTag(view), keyTag(key)];
}

/** The tag of all stored answers. */
export const EVERYTHING = 'cache';

export function viewTag(view: string): string {
  return `cache:view:${view}`;
}

export function keyTag(key: string): string {
  return `cache:key:${key}`;
}
