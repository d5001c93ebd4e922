import { Failure } from '../platform/failure.ts';

/**
 * The reasons why an answer is not the champion's on the entity's features of now, or may not be. With `model_unverified`
 * the version that answers was the champion when it was last known, and neither the clock nor the database says that it
 * still is. The last two follow a switch of the phase: no runtime may run a graph, or no graph at all.
 */
export const DEGRADED_REASONS = [
  'model_unverified',
  'features_unavailable',
  'features_not_ready',
  'model_unavailable',
  'model_failed',
  'deadline_exceeded',
  'database_unavailable',
  'phase_degraded',
  'phase_off',
] as const;
export type DegradedReason = (typeof DEGRADED_REASONS)[number];

/** Which version made an answer: the champion, or the one that the alias named before. */
export type Maker = 'model' | 'previous';

/** The result, or the failure of this code: something else may answer then. */
export async function orFailure<T>(
  reading: Promise<T>,
  code: 'features_unavailable' | 'model_unavailable' | 'database_unavailable',
): Promise<T | Failure> {
  try {
    return await reading;
  } catch (error) {
    if (error instanceof Failure && error.code === code) return error;
    throw error;
  }
}
