import { PROBLEMS } from '../../src/gateway/problem.ts';
import { mayBeMarked, type Operation, type Stated } from './operations.ts';

/** Judges each answer by what the contract states. No I/O, no clock. */

/** `during`: from the begin of the fault until the steady state is reached again. */
export const PHASES = ['before', 'during', 'after'] as const;
export type Phase = (typeof PHASES)[number];

/** One request as the load saw it. */
export interface Answered {
  readonly operation: Operation;
  /** In milliseconds of one clock. */
  readonly begunMs: number;
  readonly afterMs: number;
  /** Undefined where the connection broke or nothing came in time. */
  readonly status: number | undefined;
  /** The code of a problem. */
  readonly code?: string | undefined;
  readonly hasRetryAfter?: boolean;
  /** How the answer says of itself that it is not the usual one; undefined if it does not. */
  readonly mark?: string | undefined;
}

/** `data`: as usual. `marked`: an answer that says that it stands in. `refused`: a problem that may be sent again. */
export type Outcome = 'data' | 'marked' | 'refused';

export const BROKEN_RULES = [
  'no answer',
  'late',
  'server error',
  'status not stated',
  'code not stated',
  'no Retry-After',
] as const;
export type BrokenRule = (typeof BROKEN_RULES)[number];

export type Judged = { readonly outcome: Outcome } | { readonly broken: BrokenRule };

/** The status of each code. */
const STATUSES: ReadonlyMap<string, number> = new Map(
  Object.entries(PROBLEMS).map(([code, [status]]) => [code, status]),
);
/** The statuses of refusals that the contract gives a `Retry-After` (`src/gateway/contract/responses.ts`). */
const WITH_RETRY_AFTER: readonly number[] = [429, 503];

/** @param slackMs what the machine itself took meanwhile, beyond what is stated. */
export function judge(answered: Answered, stated: Stated, slackMs: number): Judged {
  const { status, afterMs, code, hasRetryAfter, mark, operation } = answered;
  if (status === undefined) return { broken: 'no answer' };
  if (status === 500) return { broken: 'server error' };
  if (afterMs > stated.withinMs + slackMs) return { broken: 'late' };
  if (status >= 200 && status < 300) {
    if (mark === undefined) return { outcome: 'data' };
    return mayBeMarked(operation) ? { outcome: 'marked' } : { broken: 'status not stated' };
  }
  if (!stated.refusals.has(status)) return { broken: 'status not stated' };
  if (code === undefined || STATUSES.get(code) !== status) return { broken: 'code not stated' };
  if (WITH_RETRY_AFTER.includes(status) && hasRetryAfter !== true) return { broken: 'no Retry-After' };
  return { outcome: 'refused' };
}

/** A share of marked answers of a second that does not count against the steady state: on a busy machine single ones are. */
const TOLERANCE = 0.02;
const MARKED_MAX = 2;
const WINDOW_MS = 1_000;

/** The share of answers that were as usual. */
export function usualShare(judged: readonly Judged[]): number {
  return judged.length === 0 ? 0 : judged.filter(isUsual).length / judged.length;
}

function isUsual(judged: Judged): boolean {
  return 'outcome' in judged && judged.outcome === 'data';
}

/**
 * How long after `fromMs` the steady state is reached: the end of the last second in which a request was refused, or fewer
 * answers were as usual than before the fault. A request counts in the second in which it began.
 *
 * @param share of usual answers before the fault.
 * @param untilMs when the load ended; the last second that is not over does not count.
 * @returns undefined while the last second is not steady, or there is none.
 */
export function recoveredAfterMs(
  answers: readonly (readonly [Answered, Judged])[],
  { fromMs, untilMs, share }: { readonly fromMs: number; readonly untilMs: number; readonly share: number },
): number | undefined {
  const seconds = Math.floor((untilMs - fromMs) / WINDOW_MS);
  if (seconds < 1) return undefined;
  const counts = Array.from({ length: seconds }, () => ({ all: 0, marked: 0, refused: 0 }));
  for (const [{ begunMs }, judged] of answers) {
    const count = counts[Math.floor((begunMs - fromMs) / WINDOW_MS)];
    if (count === undefined) continue;
    count.all += 1;
    if ('outcome' in judged && judged.outcome === 'marked') count.marked += 1;
    else if (!isUsual(judged)) count.refused += 1;
  }
  const isSteady = ({ all, marked, refused }: (typeof counts)[number]) =>
    all > 0 && refused === 0 && marked <= Math.max(MARKED_MAX, (1 - share + TOLERANCE) * all);
  const last = counts.findLastIndex((count) => !isSteady(count));
  return last === seconds - 1 ? undefined : (last + 1) * WINDOW_MS;
}
