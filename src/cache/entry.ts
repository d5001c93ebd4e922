import * as z from 'zod';
import { SLOT_COUNT } from './clock/slots.ts';

/** The most tags of one answer. Each look-up checks all of them, and an answer with more depends on too much. */
export const ENTRY_TAGS_MAX = 256;

/** A stored answer. Tiers hold it; the clock decides whether it is valid. */
export const Entry = z.object({
  /** The answer as JSON text; `null` means "not found". */
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
   * The `seq` by which everything that the entry may show has been invalidated, if the origin reported it. A
   * reader's token is at least this, so that a session never goes back. Null if the origin could not report it:
   * then the answer carries no token.
   */
  asOf: z.int().nonnegative().nullable().optional(),
  /** Local time of the filling isolate, in milliseconds since the Unix epoch. Used for `Age` and TTL, never for coherence. */
  filledAt: z.number(),
  /** Duration of the origin's read, in milliseconds. Slow answers are refreshed earlier. */
  fillMs: z.number().nonnegative().optional(),
});
export type Entry = z.output<typeof Entry>;
