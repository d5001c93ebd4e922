import { Failure } from '../platform/failure.ts';
import type { DegradedReason } from './degraded.ts';

/** A version that only the runtime could run, while the phase is degraded. No version is answerable for that. */
export class RuntimeSwitchedOff extends Failure {
  constructor() {
    super(
      'model_unavailable',
      'The phase inference is degraded: the runtime is switched off, and the evaluator does not compute this version.',
      { retryAfterS: 60 },
    );
  }
}

/** Why something else answers in place of a version that could not be loaded. */
export function loadReason(failure: unknown): DegradedReason {
  return failure instanceof RuntimeSwitchedOff ? 'phase_degraded' : 'model_unavailable';
}

/** The phase is off, and nothing may answer in place of a model. */
export function inferenceIsOff(): Failure {
  return new Failure('phase_off', 'The phase inference is switched off. An operator switches it on again.', {
    retryAfterS: 60,
  });
}

/** Whether an answer is degraded by a switch. A stale answer of a model is no better then: the switch means models. */
export function isBySwitch(reason: DegradedReason | undefined): boolean {
  return reason === 'phase_off' || reason === 'phase_degraded';
}
