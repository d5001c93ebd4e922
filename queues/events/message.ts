import * as z from 'zod';

/** A chunk of judged events on their way to Postgres. One message holds many: the queue counts messages. */
export const EventsMessage = z.object({
  v: z.literal(1),
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
      data: z.unknown(),
    }),
  ),
  refused: z.array(
    z.object({ raw: z.unknown(), reason: z.string(), pointer: z.string(), detail: z.string() }),
  ),
});
export type EventsMessage = z.output<typeof EventsMessage>;
