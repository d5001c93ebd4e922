import { Failure } from '../platform/failure.ts';

/** An artifact that a version names is not in the store. */
export class ArtifactLost extends Error {
  override readonly name = 'ArtifactLost';
}

/**
 * Whether a version cannot be loaded because of its artifacts: one of them is lost, has another digest, or the runtime
 * refuses it. Then no later attempt succeeds, and the version before has artifacts of its own. A store that does not answer
 * is no such reason.
 */
export function isBroken(error: unknown): boolean {
  if (!(error instanceof Failure)) return false;
  const { cause } = error;
  return cause instanceof ArtifactLost || (cause instanceof Failure && cause.code === 'invalid_model');
}
