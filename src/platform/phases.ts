/** The phases that an operator can switch, from the one that the others are built on. */
export const PHASE_NAMES = ['pipeline', 'cache', 'inference'] as const;
export type PhaseName = (typeof PHASE_NAMES)[number];

/** `degraded`: the phase works without its optional parts. docs/phases.md says what each state leaves out. */
export const PHASE_STATES = ['on', 'degraded', 'off'] as const;
export type PhaseState = (typeof PHASE_STATES)[number];

export type PhaseStates = Readonly<Record<PhaseName, PhaseState>>;

/**
 * How old an isolate's knowledge of the states may be when a request begins, in milliseconds. A request that begins this
 * long after the answer to a switch sees the switch. It equals the bound of a bounded read, so that both share their syncs.
 */
export const PHASE_BOUND_MS = 2_000;

/** The states of all phases as of an invalidation of the clock. */
export interface PhaseMark {
  readonly states: PhaseStates;
  /** The number of the invalidation that came with these states; 0 if no phase was ever switched. */
  readonly seq: number;
}

/** One object for each combination, so that a mirror allocates none. */
const COMBINATIONS: readonly PhaseStates[] = PHASE_STATES.flatMap((inference) =>
  PHASE_STATES.flatMap((cache) =>
    PHASE_STATES.map((pipeline) => Object.freeze({ pipeline, cache, inference })),
  ),
);

/** The number of a combination of states, in one byte; 0 if all are on. */
export function phaseCode({ pipeline, cache, inference }: PhaseStates): number {
  const at = (state: PhaseState) => PHASE_STATES.indexOf(state);
  return at(pipeline) + PHASE_STATES.length * (at(cache) + PHASE_STATES.length * at(inference));
}

/** @throws RangeError for a number that is no combination of states. */
export function statesOfCode(code: number): PhaseStates {
  const states = COMBINATIONS[code];
  if (states === undefined) throw new RangeError(`${code} is no combination of the states of phases.`);
  return states;
}

/** What holds until a phase is switched for the first time. */
export const ALL_ON: PhaseMark = Object.freeze({ states: statesOfCode(0), seq: 0 });
