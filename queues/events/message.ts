import * as z from 'zod';

/** A chunk of judged events on their way to Postgres. One message holds many: the queue counts messages. */
export const EventsMessage = z.object({
  v: z.literal(1),
  /** How often it has failed by itself, while what it needs was there. */
  tries: z.int().min(0).optional(),
  /** When they were judged, milliseconds since the Unix epoch. */
  receivedAt: z.number(),
  accepted: z.array(
    z.object({
      source: z.string(),
      id: z.string(),
      type: z.string(),
      /** The type as it was sent, where that is an earlier version. */
      sentAs: z.string().exactOptional(),
      subject: z.string().nullable(),
      time: z.string(),
      extensions: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])).exactOptional(),
      data: z.unknown(),
    }),
  ),
  refused: z.array(
    z.object({ raw: z.unknown(), reason: z.string(), pointer: z.string(), detail: z.string() }),
  ),
});
export type EventsMessage = z.output<typeof EventsMessage>;

/** A message in two, each with a half of its events; undefined where it holds one. */
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
