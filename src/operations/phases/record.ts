import * as z from 'zod';
import {
  PHASE_NAMES,
  PHASE_STATES,
  type PhaseName,
  type PhaseState,
  type PhaseStates,
} from '../../platform/phases.ts';

/** Rules of the record that the root clock keeps of the phases. */

const PhaseEntry = z.object({
  state: z.enum(PHASE_STATES),
  /** When the phase was switched to this state, in milliseconds since the Unix epoch; null if it never was. */
  atMs: z.number().nullable(),
  /** The principal, as the audit log names it. */
  by: z.string().nullable(),
  reason: z.string().nullable(),
});
export type PhaseEntry = z.output<typeof PhaseEntry>;

const PhaseRecordSchema = z.object({ pipeline: PhaseEntry, cache: PhaseEntry, inference: PhaseEntry });
export type PhaseRecord = Readonly<z.output<typeof PhaseRecordSchema>>;

/** A principal's wish for one phase. */
export interface PhaseSwitch {
  readonly phase: PhaseName;
  readonly state: PhaseState;
  readonly by: string;
  readonly reason: string;
}

const NEVER: PhaseEntry = { state: 'on', atMs: null, by: null, reason: null };
export const NEVER_SWITCHED: PhaseRecord = { pipeline: NEVER, cache: NEVER, inference: NEVER };

/** @throws Error if the text is no record. */
export function parseRecord(text: string): PhaseRecord {
  return PhaseRecordSchema.parse(JSON.parse(text));
}

export function statesOf(record: PhaseRecord): PhaseStates {
  const { pipeline, cache, inference } = record;
  return { pipeline: pipeline.state, cache: cache.state, inference: inference.state };
}

/**
 * The record after a switch; `record` itself if the phase is in that state already.
 *
 * @throws RangeError for a phase or a state that there is not.
 */
export function switched(
  record: PhaseRecord,
  { phase, state, by, reason }: PhaseSwitch,
  nowMs: number,
): PhaseRecord {
  if (!PHASE_NAMES.includes(phase)) throw new RangeError(`There is no phase "${phase}".`);
  if (!PHASE_STATES.includes(state)) throw new RangeError(`There is no state "${state}".`);
  if (record[phase].state === state) return record;
  return { ...record, [phase]: { state, atMs: nowMs, by, reason } };
}
