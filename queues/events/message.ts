import * as z from 'zod';
import { Traceparent } from '../../src/platform/tracing/message.ts';

/** A chunk of checked events on their way to Postgres. A message has many events, because the queue counts messages. */
export const EventsMessage = z.object({
  v: z.literal(1),
  /** How often it has failed while all dependencies were available. */
  tries: z.int().min(0).optional(),
  /** When they were checked, milliseconds since the Unix epoch. */
  receivedAt: z.number(),
  accepted: z.array(
    z.object({
      source: z.string(),
      id: z.string(),
      type: z.string(),
      /** The type as it was sent, if that is an earlier version. */
      sentAs: z.string().exactOptional(),
      subject: z.string().nullable(),
      time: z.string(),
      extensions: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])).exactOptional(),
      data: z.unknown(),
      /** `traceparent` of what sent it, if its trace is recorded. */
      trace: Traceparent.exactOptional(),
    }),
  ),
  refused: z.array(
    z.object({ raw: z.unknown(), reason: z.string(), pointer: z.string(), detail: z.string() }),
  ),
});
export type EventsMessage = z.output<typeof EventsMessage>;

/** Splits a message in two, each with half of its events; undefined if it has one event. */
export function halvesOfEvents(message: EventsMessage): readonly [EventsMessage, EventsMessage] | undefined {
  const { accepted, refused } = message;
  const half = Math.ceil((accepted.length + refused.length) / 2);
  if (accepted.length + refused.length <= 1) return undefined;
  const refusedHalf = Math.max(0, half - accepted.length);
  return [
    { ...message, accepted: accepted.slice(0, half), refused: refused.slice(0, refusedHalf) },
    { ...message, accepted: accepted.slice(half), refused: refused.slice(refusedHalf) },
  ];
}
