import * as z from 'zod';

/** A chunk of stored events for the feature shards to fold. Their tags have been invalidated already. */
export const ChangesMessage = z.object({
  v: z.literal(1),
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
});
export type ChangesMessage = z.output<typeof ChangesMessage>;
