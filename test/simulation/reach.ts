import { LEASE_MS } from '../../src/cache/single-flight.ts';
import { Failure } from '../../src/platform/failure.ts';
import type { ReadRecord, Token } from '../support/coherence/judge.ts';

/**
 * The longest time to an answer, in milliseconds, whatever hangs: waits for two syncs of others and one of its own,
 * for the fill gate, for a statement, and for an invalidation, each up to its own deadline.
 */
export const ANSWER_MS_MAX = 25_000;

/** An answer that should have been another, or that should have come. */
export interface Refusal {
  readonly rule:
    | 'token-refused'
    | 'unanswered'
    | 'wrong-code'
    | 'wrong-stand-in'
    | 'late'
    | 'uncollapsed'
    | 'not-folded';
  readonly what: string;
  readonly begunMs: number;
  readonly endedMs: number;
}

/** What was true while a read was under way, as one who sees everything knows it. */
export interface Circumstances {
  readonly begun: ReadRecord['begun'];
  readonly endedMs: number;
  readonly token: Token | undefined;
  /** The root's epochs at the beginning and at the end of the read. */
  readonly epochs: readonly [string, string];
  /** Whether a message between the reader's isolate and the database was lost or hung, or the database was down. */
  readonly isDatabaseInReach: boolean;
  /** Whether, besides, no message between them took unusually long. The database's own work may have taken long. */
  readonly isDatabasePrompt: boolean;
  /** Whether a query had a defect. */
  readonly hasDefect: boolean;
  /** Of a read of a customer: whether a message between its isolate and the shard was lost, hung or late. */
  readonly isShardInReach: boolean;
}

const TOKEN_CODES: readonly string[] = ['token_from_another_epoch', 'token_from_the_future'];

/** Judges a read that failed: what is in reach answers, a token of the living epoch is taken, and codes are right. */
export function judgeFailure(what: string, error: unknown, seen: Circumstances): Refusal[] {
  const { begun, endedMs, token, epochs, isDatabaseInReach, isShardInReach, hasDefect } = seen;
  const refusal = (rule: Refusal['rule']): Refusal[] => [
    { rule, what: `${what}: ${String(error)}`, begunMs: begun.ms, endedMs },
  ];
  const code = error instanceof Failure ? error.code : '';
  // The model needs a database that answers within 0.6 s, which not every one that is in reach does.
  if (code === 'model_unavailable') return [];
  if (code === 'features_unavailable') return isShardInReach ? refusal('unanswered') : [];
  if (TOKEN_CODES.includes(code)) {
    if (token === undefined || epochs.every((epoch) => epoch === token.epoch))
      return refusal('token-refused');
    return code === 'token_from_another_epoch' ? [] : refusal('wrong-code');
  }
  if (code === 'database_unavailable') return isDatabaseInReach ? refusal('unanswered') : [];
  return hasDefect ? [] : refusal('wrong-code');
}

/** Judges an answer by an old entry that stands in for the database: an outage excuses it, and slow work does not. */
export function judgeStandIn(
  what: string,
  { begun, endedMs, isDatabasePrompt, isShardInReach }: Circumstances,
): Refusal[] {
  if (!isDatabasePrompt || !isShardInReach) return [];
  return [{ rule: 'wrong-stand-in', what, begunMs: begun.ms, endedMs }];
}

/**
 * The reads of the origin that asked no gate. An isolate sends one for a key, and within a lease after it the others ask
 * the gate.
 */
export class DirectReads {
  /** By isolate, its life and the key: the last one's begin by the isolate's own clock, in milliseconds. */
  readonly #lastMs = new Map<string, number>();

  note(isolate: { readonly name: string; readonly life: number }, key: string, nowMs: number): Refusal[] {
    const what = `${isolate.name}, life ${isolate.life}, ${key}`;
    const begunMs = this.#lastMs.get(what) ?? Number.NEGATIVE_INFINITY;
    this.#lastMs.set(what, nowMs);
    return nowMs - begunMs < LEASE_MS ? [{ rule: 'uncollapsed', what, begunMs, endedMs: nowMs }] : [];
  }
}

/** The reads that are under way, each judged by the time that it takes. */
export class OpenReads {
  readonly #open = new Map<
    number,
    { readonly what: string; readonly begunMs: number; isLost: () => boolean }
  >();

  /** @param isLost whether the reader's isolate has ended, so that no answer can come. */
  begin({ order, ms }: ReadRecord['begun'], what: string, isLost: () => boolean): void {
    this.#open.set(order, { what, begunMs: ms, isLost });
  }

  end({ order, ms }: ReadRecord['begun'], what: string, endedMs: number): Refusal[] {
    this.#open.delete(order);
    return endedMs - ms > ANSWER_MS_MAX ? [{ rule: 'late', what, begunMs: ms, endedMs }] : [];
  }

  /** The reads that are without an answer for longer than any may take. */
  overdue(nowMs: number): Refusal[] {
    return [...this.#open.values()]
      .filter(({ begunMs, isLost }) => nowMs - begunMs > ANSWER_MS_MAX && !isLost())
      .map(({ what, begunMs }) => ({ rule: 'late', what, begunMs, endedMs: nowMs }));
  }
}
