import * as z from 'zod';
import { FeedChange } from '../../src/pipeline/feed/change.ts';
import { Traceparent } from '../../src/platform/tracing/message.ts';

/** A chunk of invalidated changes, with the events that the feature shards fold. */
export const ChangesMessage = z.object({
  v: z.literal(1),
  /** How often it has failed while all dependencies were available. */
  tries: z.int().min(0).optional(),
  events: z.array(
    z.object({
      /** The idempotency key: the event's number in the store. */
      seq: z.number().int(),
      type: z.string(),
      /** Milliseconds since the Unix epoch. */
      occurredAt: z.number(),
      data: z.unknown(),
      /** `traceparent` of what relayed it, if its trace is recorded. */
      trace: Traceparent.exactOptional(),
    }),
  ),
  /** The changes for the live feed: of these events, and changes without an event. */
  changes: z.array(FeedChange).default([]),
});
export type ChangesMessage = z.output<typeof ChangesMessage>;

/** Splits a message in two, each with half of its events; undefined if it has at most one event. */
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
