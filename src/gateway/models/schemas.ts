import { z } from '@hono/zod-openapi';

/** What a version can be used for: `champion` answers; `challenger` and `shadow` are for comparison. */
export const ALIASES = ['champion', 'challenger', 'shadow'] as const;

export const ModelName = z.string().max(64);
export const VersionName = z.string().regex(/^[0-9a-f]{12}$/);

/** As `Measurement` in `src/inference/measure.ts`. */
export const Measured = z
  .object({
    firstHitMs: z.number().openapi({ description: 'loading the graph and the first run' }),
    firstTenMs: z.number().openapi({ description: 'the first ten runs together' }),
    warmP50Ms: z.number(),
    warmP99Ms: z.number(),
    warmRuns: z.int().openapi({ description: 'how many runs the warm figures are of' }),
    rows: z.int().openapi({ description: 'the golden rows of a run' }),
    memoryBytes: z.int().openapi({ description: 'of the graph in the runtime' }),
  })
  .openapi('ModelMeasurement');
