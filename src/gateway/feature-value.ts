import { z } from '@hono/zod-openapi';

/** A feature's value in an answer. */
export const FeatureValue = z.object({
  value: z.union([
    z.number(),
    z.string(),
    z.boolean(),
    z.null(),
    z.array(z.object({ item: z.string(), count: z.int(), lastAt: z.int().optional() })),
  ]),
  status: z.enum(['PRESENT', 'NULL_VALUE', 'NOT_FOUND', 'OUTSIDE_MAX_AGE', 'NOT_READY']).openapi({
    description:
      '`NULL_VALUE`: events have contributed, but none has a value in the window. `NOT_FOUND`: no event has contributed, within the longest window if it has windows; a count is then 0, another value null. `OUTSIDE_MAX_AGE`: the newest event is older than the time to live or `maxStalenessS`. `NOT_READY`: the feature is new or was changed, and is being built from history.',
  }),
  eventAt: z.int().nullable().openapi({ description: 'when the newest event behind it happened' }),
  frozenAt: z.int().optional().openapi({
    description:
      'for a version that was replaced: when it was; its windows end there, and later events do not count',
  }),
  ageMs: z.int().nullable().openapi({ description: 'from that event to `asOf`, in milliseconds' }),
});
