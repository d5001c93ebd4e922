import type { Violation } from '../../test/support/coherence/judge.ts';
import type { EventFindings } from './events-ledger.ts';
import type { Experiment } from './experiment.ts';
import {
  type Answered,
  type BrokenRule,
  type Judged,
  judge,
  type Outcome,
  PHASES,
  type Phase,
  recoveredAfterMs,
  usualShare,
} from './judgement.ts';
import { type Operation, statedForAll } from './operations.ts';

/** From what was seen to a verdict, so that the verdict can be derived again. No I/O. */

/** When the parts of a run began and ended, in milliseconds of one clock. */
export interface Timeline {
  readonly faultMs: number;
  readonly endOfFaultMs: number;
  readonly endOfLoadMs: number;
}

/** The longest time of an answer that needs nothing, by phase: what the machine itself took. */
export type Slowest = Readonly<Record<'before' | 'during' | 'after', number>>;

/** What a run of an experiment has seen. */
export interface Seen {
  readonly answers: readonly Answered[];
  readonly timeline: Timeline;
  readonly slowestMs: Slowest;
  readonly violations: readonly Violation[];
  readonly events: EventFindings;
  readonly acknowledgedEvents: number;
  /** From the end of the load until all events were stored and counted; undefined if that did not happen. */
  readonly settledAfterMs: number | undefined;
  /** What showed, apart from the load, that the fault was there; undefined if nothing did. */
  readonly evidence: string | undefined;
  /** Requests that were due and not sent, because too many had no answer. */
  readonly unsent: number;
}

export interface PhaseFigures {
  readonly requests: number;
  readonly outcomes: Readonly<Record<Outcome, number>>;
  readonly broken: Readonly<Partial<Record<BrokenRule, number>>>;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly slowestMs: number;
}

export interface Verdict {
  readonly phases: Readonly<Record<Phase, PhaseFigures>>;
  readonly recoveredAfterMs: number | undefined;
  /** Why the hypothesis does not hold; empty if it does. */
  readonly reasons: readonly string[];
}

/** What a request may take on a quiet machine beyond what is stated, as `test/e2e/peers.long.test.ts` has it. */
const WORK_MS = 400;
const SLOWEST_TIMES = 3;
const EXAMPLES_MAX = 3;
/** With fewer answers than these before the fault, nothing can be said of the share that is usual. */
const BEFORE_MIN = 20;
/** A read that a cache can answer is answered within a second, whichever peer is in trouble (docs/operations.md). */
const HALF_WITHIN_MS = 1_000;

/** What a request may take beyond what is stated, in milliseconds. */
function slackOf(slowestMs: number): number {
  return WORK_MS + SLOWEST_TIMES * slowestMs;
}

type Rated = readonly [Answered, Judged];

export function verdictOf(
  seen: Seen,
  {
    fault,
    steadyState,
    verdict,
  }: Pick<Experiment, 'steadyState' | 'verdict'> & { fault: Pick<Experiment['fault'], 'peers'> },
): Verdict {
  const { faultMs, endOfFaultMs, endOfLoadMs } = seen.timeline;
  const rate = (phase: Phase) => {
    const stated = statedForAll(phase === 'during' ? fault.peers : []);
    const slackMs = slackOf(seen.slowestMs[phase]);
    return (answered: Answered): Rated => [answered, judge(answered, stated(answered.operation), slackMs)];
  };
  const isBefore = ({ begunMs, afterMs }: Answered) => begunMs + afterMs <= faultMs;
  const before = seen.answers.filter(isBefore).map(rate('before'));
  const share = usualShare(before.map(([, judged]) => judged));
  const later = seen.answers.filter((answered) => !isBefore(answered)).map(rate('during'));
  const recoveredMs = recoveredAfterMs(later, { fromMs: endOfFaultMs, untilMs: endOfLoadMs, share });
  const steadyFromMs = recoveredMs === undefined ? Number.POSITIVE_INFINITY : endOfFaultMs + recoveredMs;
  const rateAfter = rate('after');
  const during = later.filter(([{ begunMs }]) => begunMs < steadyFromMs);
  const after = later
    .filter(([{ begunMs }]) => begunMs >= steadyFromMs)
    .map(([answered]) => rateAfter(answered));
  const rated = { before, during, after };
  const phases = {
    before: figuresOf(before, seen.slowestMs.before),
    during: figuresOf(during, seen.slowestMs.during),
    after: figuresOf(after, seen.slowestMs.after),
  };
  const felt =
    seen.evidence !== undefined ||
    during.some(([, judged]) => 'outcome' in judged && verdict.felt.includes(judged.outcome));
  return {
    phases,
    recoveredAfterMs: recoveredMs,
    reasons: [
      ...(before.length < BEFORE_MIN
        ? [`There were ${before.length} answers before the fault, which is too few to tell a difference.`]
        : []),
      ...PHASES.flatMap((phase) => brokenIn(phase, rated[phase])),
      ...coherenceReasons(seen.violations),
      ...eventReasons(seen),
      ...halfReasons(phases.during, verdict.halfWithinMs ?? HALF_WITHIN_MS),
      ...(felt ? [] : ['The fault was not felt: nothing showed that it was there.']),
      ...recoveryReasons(recoveredMs, steadyState.withinMs),
    ],
  };
}

function brokenIn(phase: Phase, rated: readonly Rated[]): string[] {
  const broken = rated.flatMap(([answered, judged]) =>
    'broken' in judged ? [{ answered, rule: judged.broken }] : [],
  );
  return [...Map.groupBy(broken, ({ rule }) => rule)].map(([rule, all]) => {
    const examples = all.slice(0, EXAMPLES_MAX).map(({ answered }) => exampleOf(answered));
    return `${all.length} answers ${phase} the fault break the contract (${rule}), such as ${examples.join('; ')}.`;
  });
}

function exampleOf({ operation, status, code, afterMs }: Answered): string {
  const answer =
    status === undefined ? 'no answer' : [status, ...(code === undefined ? [] : [code])].join(' ');
  return `${operation}: ${answer} after ${Math.round(afterMs)} ms`;
}

function coherenceReasons(violations: readonly Violation[]): string[] {
  return [...Map.groupBy(violations, ({ rule }) => rule)].map(([rule, all]) => {
    const examples = all
      .slice(0, EXAMPLES_MAX)
      .map(({ read, owed }) => `${read.note}: shown ${read.shown}, owed ${owed}`);
    return `${all.length} answers are stale and do not say so (${rule}), such as ${examples.join('; ')}.`;
  });
}

function eventReasons({ events, settledAfterMs }: Seen): string[] {
  const named = (what: string, all: readonly string[]) =>
    all.length === 0 ? [] : [`${all.length} ${what}: ${all.slice(0, EXAMPLES_MAX).join(', ')}.`];
  return [
    ...named('acknowledged events are lost', events.lost),
    ...named('events are stored twice', events.doubled),
    ...named('events are stored that nobody sent', events.foreign),
    ...named('customers have another number of purchases in their features', events.miscounted),
    ...(settledAfterMs === undefined ? ['The events did not settle in time.'] : []),
  ];
}

function halfReasons({ p50Ms, slowestMs }: PhaseFigures, withinMs: number): string[] {
  if (p50Ms <= withinMs + slackOf(slowestMs)) return [];
  return [
    `Half of the reads took ${Math.round(p50Ms)} ms and more during the fault, instead of ${withinMs} ms.`,
  ];
}

function recoveryReasons(recoveredMs: number | undefined, withinMs: number): string[] {
  if (recoveredMs === undefined) return ['The steady state was not reached again.'];
  if (recoveredMs <= withinMs) return [];
  return [`The steady state was reached after ${recoveredMs} ms instead of ${withinMs} ms.`];
}

function figuresOf(rated: readonly Rated[], slowestMs: number): PhaseFigures {
  const outcomes = { data: 0, marked: 0, refused: 0 };
  const broken: Partial<Record<BrokenRule, number>> = {};
  for (const [, judged] of rated)
    if ('outcome' in judged) outcomes[judged.outcome] += 1;
    else broken[judged.broken] = (broken[judged.broken] ?? 0) + 1;
  const isRead = (operation: Operation) => operation === 'bounded read' || operation === 'strong read';
  const times = rated
    .filter(([{ operation }]) => isRead(operation))
    .map(([{ afterMs }]) => afterMs)
    .sort((a, b) => a - b);
  const quantile = (share: number) =>
    times[Math.min(times.length - 1, Math.floor(share * times.length))] ?? 0;
  return { requests: rated.length, outcomes, broken, p50Ms: quantile(0.5), p99Ms: quantile(0.99), slowestMs };
}

/** The shares of all requests of phases that were answered as stated, and of those with data, marked or not. */
export function availabilityOf(phases: readonly PhaseFigures[]): {
  readonly stated: number;
  readonly withData: number;
} {
  const sum = (of: (phase: PhaseFigures) => number) => phases.reduce((total, phase) => total + of(phase), 0);
  const all = Math.max(
    1,
    sum(({ requests }) => requests),
  );
  const withData = sum(({ outcomes }) => outcomes.data + outcomes.marked);
  return { stated: (withData + sum(({ outcomes }) => outcomes.refused)) / all, withData: withData / all };
}
