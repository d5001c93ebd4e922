import type { CounterSample, PeerFailure } from '../platform/counters.ts';
import { DURATION_BOUNDS_MS, UNBOUNDED } from '../platform/durations.ts';
import { PEER_CALLS, PEER_DURATIONS, PEERS } from '../platform/peer.ts';

/** More bad calls than this share make a service `degraded`, and more than the other one `failing`. */
const DEGRADED_SHARE = 0.01;
const FAILING_SHARE = 0.5;

export const DEPENDENCY_STATES = ['ok', 'degraded', 'failing', 'idle'] as const;

/** The newest minute in which calls of a service failed. */
export interface LastError {
  readonly atMs: number;
  /** Calls of that minute that failed or had no answer in time, and all of them. */
  readonly failed: number;
  readonly calls: number;
}

/** A call that was made for this report. */
export interface Checked {
  readonly isOk: boolean;
  readonly ms: number;
  /** Why it failed: type, code and plain words. */
  readonly message: string | null;
}

export interface DependencyStatus {
  readonly name: string;
  readonly state: (typeof DEPENDENCY_STATES)[number];
  /** Calls of all isolates in the last five to six minutes, by outcome. */
  readonly calls: {
    readonly ok: number;
    readonly failed: number;
    readonly timeout: number;
    /** Calls that were not made, because the breaker of an isolate was open. */
    readonly refused: number;
  };
  /** Bounds of the median and of the slowest hundredth, in milliseconds: 10,000 also for anything slower; null without calls. */
  readonly p50Ms: number | null;
  readonly p99Ms: number | null;
  readonly checked: Checked | null;
  readonly lastError: LastError | null;
  /** What the newest failure was: type, code and plain words of its message; null if it is not known. */
  readonly lastMessage: string | null;
}

/**
 * The state of the database and of each service that a worker calls.
 *
 * @param samples counts of a window; undefined if they could not be read.
 * @param checked services that were called for this report.
 */
export function dependenciesOf(
  samples: readonly CounterSample[] | undefined,
  lastErrors: Readonly<Record<string, LastError>>,
  checked: Readonly<Record<string, Checked>>,
  failures: readonly PeerFailure[] = [],
): DependencyStatus[] {
  return ['database', ...PEERS].map((name) => {
    const own = (samples ?? []).filter(({ labels }) => labels['peer'] === name);
    const of = (outcome: string) =>
      own
        .filter((sample) => sample.name === PEER_CALLS && sample.labels['outcome'] === outcome)
        .reduce((sum, { value }) => sum + value, 0);
    const calls = { ok: of('ok'), failed: of('failed'), timeout: of('timeout'), refused: of('refused') };
    const check = checked[name] ?? null;
    return {
      ...{ name, state: stateOf(calls, check), calls },
      ...{ p50Ms: quantile(own, 0.5), p99Ms: quantile(own, 0.99) },
      ...{ checked: check, lastError: lastErrors[name] ?? null },
      lastMessage: failures.find(({ peer }) => peer === name)?.message ?? null,
    };
  });
}

/** A check tells more of now than the counts of some minutes. */
function stateOf(calls: DependencyStatus['calls'], checked: Checked | null): DependencyStatus['state'] {
  if (checked?.isOk === false) return 'failing';
  const bad = calls.failed + calls.timeout + calls.refused;
  const all = calls.ok + bad;
  if (all === 0) return checked === null ? 'idle' : 'ok';
  if (bad / all > FAILING_SHARE && checked === null) return 'failing';
  return bad / all > DEGRADED_SHARE ? 'degraded' : 'ok';
}

/** The bound of the bucket that has the quantile. */
function quantile(samples: readonly CounterSample[], share: number): number | null {
  const buckets = samples.filter(({ name }) => name === PEER_DURATIONS.bucket);
  const all = buckets.reduce((sum, { value }) => sum + value, 0);
  if (all === 0) return null;
  let counted = 0;
  for (const bound of DURATION_BOUNDS_MS) {
    counted += buckets
      .filter(({ labels: { le = UNBOUNDED } }) => le === String(bound / 1_000))
      .reduce((sum, { value }) => sum + value, 0);
    if (counted >= share * all) return bound;
  }
  return DURATION_BOUNDS_MS.at(-1) ?? null;
}
