import type { TroubledPeer } from '../../test/support/peers/table.ts';
import type { Outcome } from './judgement.ts';
import type { Shape } from './load.ts';
import type { ChaosStack } from './stack.ts';

/** The regions of the load, whose clocks the isolates sync with. */
export const REGIONS_OF_LOAD = ['weur', 'apac'] as const;

/** What a fault needs of the machine. */
export type Need = 'server' | 'disk';

/** Ends a fault; everything may recover from then on. */
export type EndOfFault = () => Promise<void> | void;

/** One experiment: what is expected to hold while something real is wrong. */
export interface Experiment {
  readonly name: string;
  /** What is expected, in a sentence that the run can refute. */
  readonly hypothesis: string;
  readonly fault: {
    /** What is done, and to what. */
    readonly what: string;
    /** The peers that are in trouble: docs/operations.md states what each route answers then. */
    readonly peers: readonly TroubledPeer[];
    readonly needs?: readonly Need[];
    /** @returns how it ends. */
    begin(stack: ChaosStack): Promise<EndOfFault> | EndOfFault;
    /** @returns what shows, apart from the load, that the fault is there; undefined if nothing does. */
    readonly evidence?: (stack: ChaosStack) => Promise<string | undefined>;
    /** How many times as long as the other phases it lasts; once unless given. */
    readonly lasts?: number;
    /** How the load changes during the fault. */
    readonly load?: (shape: Shape, stack: ChaosStack) => Shape;
  };
  readonly steadyState: {
    /** From the end of the fault until as many answers are as usual as before it, in milliseconds. */
    readonly withinMs: number;
  };
  readonly verdict: {
    /** Without evidence one of these has to occur during the fault: otherwise it was not there, and nothing is shown. */
    readonly felt: readonly Outcome[];
    /** Half of the reads are answered within this time during the fault, in milliseconds; a second unless given. */
    readonly halfWithinMs?: number;
  };
}

/** A fault that no experiment has, and why. */
export interface LeftOut {
  readonly name: string;
  readonly reason: string;
}
