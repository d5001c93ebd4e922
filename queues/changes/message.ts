import * as z from 'zod';
import { FeedChange } from '../../src/pipeline/feed/change.ts';

/** A chunk of changes: for the feature shards their events, to be folded. Their tags have been invalidated already. */
export const ChangesMessage = z.object({
  v: z.literal(1),
  /** How often it has failed by itself, while what it needs was there. */
  tries: z.int().min(0).optional(),
  events: z.array(
    z.object({
      /** The idempotency key: the event's number in the store. */
      seq: z.number().int(),
      type: z.string(),
      /** Milliseconds since the Unix epoch. */
      occurredAt: z.number(),
      data: z.unknown(),
    }),
  ),
  /** What live feeds tell: of these events, and of changes that no event stands behind. */
  changes: z.array(FeedChange).default([]),
});
export type ChangesMessage = z.output<typeof ChangesMessage>;

/** A message in two, each with a half of its events; undefined where it holds one at most. */
export function halvesOfChanges(
  message: ChangesMessage,
): readonly [ChangesMessage, ChangesMessage] | undefined {
  const { events, changes } = message;
  const half = Math.ceil(events.length / 2);
  if (events.length <= 1) return undefined;
  return [
    { ...message, events: events.slice(0, half), changes: changes.slice(0, half) },
    { ...message, events: events.slice(half), changes: changes.slice(half) },
  ];
}
