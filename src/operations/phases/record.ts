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
  /** Who approved the switch although gates did not hold; null if they did, or nobody was asked. */
  approvedBy: z.string().nullable().default(null),
  /** A switch to `on` that gates refused, and that waits for a second principal. */
  asked: z
    .object({
      atMs: z.number(),
      by: z.string(),
      reason: z.string(),
      /** The gates that did not hold. */
      gates: z.array(z.string()),
    })
    .nullable()
    .default(null),
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

/** How long a switch waits for its approval, in milliseconds: the gates that did not hold are those of now, or nearly. */
export const APPROVAL_MS = 3_600_000;

/** A principal's wish to switch a phase on although gates do not hold. */
export type PhaseAsk = Omit<PhaseSwitch, 'state'> & { readonly gates: readonly string[] };

const NEVER: PhaseEntry = {
  ...{ state: 'on', atMs: null, by: null, reason: null },
  ...{ approvedBy: null, asked: null },
};
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
  return { ...record, [phase]: { ...{ state, atMs: nowMs, by, reason }, approvedBy: null, asked: null } };
}

/** The record with a switch that waits for a second principal; `record` itself if the phase is on. */
export function asked(
  record: PhaseRecord,
  { phase, by, reason, gates }: PhaseAsk,
  nowMs: number,
): PhaseRecord {
  if (!PHASE_NAMES.includes(phase)) throw new RangeError(`There is no phase "${phase}".`);
  if (record[phase].state === 'on') return record;
  return {
    ...record,
    [phase]: { ...record[phase], asked: { atMs: nowMs, by, reason, gates: [...gates] } },
  };
}

/** Why a switch cannot be approved. */
export type ApprovalRefusal = 'nothing_asked' | 'too_late' | 'same_principal';

/** The record after a second principal has approved what was asked, or why that cannot be. */
export function approved(
  record: PhaseRecord,
  { phase, by }: Pick<PhaseSwitch, 'phase' | 'by'>,
  nowMs: number,
): PhaseRecord | ApprovalRefusal {
  if (!PHASE_NAMES.includes(phase)) throw new RangeError(`There is no phase "${phase}".`);
  const ask = record[phase].asked;
  if (ask === null) return 'nothing_asked';
  if (nowMs - ask.atMs > APPROVAL_MS) return 'too_late';
  if (ask.by === by) return 'same_principal';
  const entry: PhaseEntry = {
    ...{ state: 'on', atMs: nowMs, by: ask.by, reason: ask.reason },
    ...{ approvedBy: by, asked: null },
  };
  return { ...record, [phase]: entry };
}
