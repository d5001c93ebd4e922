import type { CachedAnswer } from '../cache/cached-answer.ts';
import { Probe, type ProbeContext, type ProbePorts } from '../cache/probe.ts';
import type { FillOutcome, ReadRequest } from '../cache/read-through.ts';
import type { Now } from '../platform/clock.ts';
import { type CounterBatch, CounterFlush, Counters } from '../platform/counters.ts';
import { drainPeerCalls } from '../platform/peer.ts';
import type { Random } from '../platform/random.ts';
import { drainSpanCounts } from '../platform/tracing/counts.ts';
import { PROBE_SAMPLES } from './consistency.ts';
import { DeprecatedUse } from './deprecations.ts';
import { CACHE_ANSWERS, CACHE_FILLS } from './hit-ratio.ts';
import { type RequestCount, RequestCounts } from './requests.ts';

/** How an answer was produced: the labels of `millrace_cache_answers_total`. */
export interface AnswerLabels {
  /**
   * `hit` and `stale` came from a tier. `collapsed` was read from the origin by another request, `miss` by this one.
   * `stand_in` is an old entry served because the origin does not answer.
   */
  readonly outcome: 'hit' | 'stale' | 'collapsed' | 'miss' | 'stand_in';
  /** The tier of a hit; empty otherwise. */
  readonly tier: '' | 'memory' | 'colo' | 'kv';
  /** Why the cache did not answer (RFC 9211 §2.2), or why its answer is unverified. */
  readonly reason: string;
}

/**
 * Counts answers by view and by how they were produced. It runs on every hit: a known series costs two map look-ups
 * and builds no text beyond its key.
 */
export class AnswerCounts {
  readonly #views = new Map<string, Map<string, { readonly labels: AnswerLabels; count: number }>>();

  record(view: string, answer: CachedAnswer): void {
    let series = this.#views.get(view);
    if (series === undefined) {
      series = new Map();
      this.#views.set(view, series);
    }
    const key = keyOf(answer);
    const known = series.get(key);
    if (known === undefined) series.set(key, { labels: labelsOf(answer), count: 1 });
    else known.count += 1;
  }

  /** Passes on the counts since the last call, and resets them. */
  drain(take: (view: string, labels: AnswerLabels, count: number) => void): void {
    for (const [view, series] of this.#views) {
      for (const { labels, count } of series.values()) take(view, labels, count);
    }
    this.#views.clear();
  }
}

/** Identifies a series. For a verified hit, the common case, the key is the tier's name, so that no text is built. */
function keyOf({ source, unverified }: CachedAnswer): string {
  if (source.hit)
    return source.stale || unverified !== undefined ? `${source.tier} ${unverified}` : source.tier;
  return `${source.forward} ${source.collapsed} ${unverified ?? source.because}`;
}

export function labelsOf({ source, unverified }: CachedAnswer): AnswerLabels {
  if (source.hit) {
    const outcome = source.stale ? 'stale' : 'hit';
    return { outcome, tier: source.tier, reason: unverified ?? '' };
  }
  const reason = unverified ?? source.because ?? source.forward;
  if (unverified === 'origin-unavailable') return { outcome: 'stand_in', tier: '', reason };
  return { outcome: source.collapsed ? 'collapsed' : 'miss', tier: '', reason };
}

/** Lineage that could not be kept: runs, and predictions beyond the budget of an isolate. */
export const LINEAGE_LOST = 'millrace_lineage_lost_total';

/** Requests whose part in the comparison of a rollout could not be reported. */
export const ROLLOUT_LOST = 'millrace_rollout_lost_total';

/** Served predictions of the share that is logged, by whether they were written. */
export const SERVED_LOGGED = 'millrace_served_predictions_total';

/** Requests that were refused because a budget was used up. */
export const LIMITED = 'millrace_limited_total';

/** Runs of models, by what computed them. */
export const MODEL_RUNS = 'millrace_model_runs_total';
/** Runs of models that both tiers computed, by whether they agreed. */
export const SKEW_CHECKS = 'millrace_skew_checks_total';
export const MODEL_PARITY = 'millrace_model_parity_total';

export interface ObservationPorts extends Omit<ProbePorts, 'count'> {
  /** The share of answers that may be probed, 0 to 1. */
  readonly share: number;
  readonly random: Random;
  /** Sends a batch to the object that adds up the counts of all isolates. */
  readonly send: (batch: CounterBatch) => Promise<void>;
}

/** An isolate's view of its own cache: counts every answer, and compares a sample of them with the origin. */
export class Observation {
  readonly #answers = new AnswerCounts();
  readonly #counters = new Counters();
  readonly #deprecated = new DeprecatedUse();
  readonly #requests = new RequestCounts();
  readonly #flush: CounterFlush;
  readonly #probe: Probe;
  readonly #now: Now;
  readonly #random: Random;
  /** The share of answers that may be probed, 0 to 1. */
  readonly #share: number;
  readonly #memoryBytes: () => number;
  readonly #send: ObservationPorts['send'];

  /** @param memoryBytes the bytes that the isolate's memory tier holds. */
  constructor(
    newIsolateId: () => string,
    memoryBytes: () => number,
    { send, share, random, ...probe }: ObservationPorts,
  ) {
    this.#send = send;
    this.#memoryBytes = memoryBytes;
    this.#flush = new CounterFlush(newIsolateId);
    this.#now = probe.now;
    this.#random = random;
    this.#share = share;
    this.#probe = new Probe({
      ...probe,
      count: (view, { verdict, reason }) => this.#counters.add(PROBE_SAMPLES, { view, verdict, reason }),
    });
  }

  /** Counts an answer. Call it for every answer; it runs on every hit. */
  answered(request: ReadRequest, answer: CachedAnswer, context: ProbeContext): void {
    this.#answers.record(request.view, answer);
    if (this.#random() < this.#share) this.#probe.sample(request, answer, context);
  }

  /** Counts a request, and sends the counts if they are due. Call it for every request; it runs on every hit. */
  requested(
    [method, route, status, startedMs]: RequestCount,
    ctx: { waitUntil(work: Promise<unknown>): void },
  ): void {
    const nowMs = this.#now();
    this.#requests.record(method, route, status, nowMs - startedMs);
    if (nowMs >= this.#flush.dueAtMs)
      ctx.waitUntil(this.#flush.flush(nowMs, () => this.#drain(), this.#send));
  }

  /** Counts a read of the origin. Call it for every such read. */
  readonly filled = (view: string, outcome: FillOutcome): void => {
    this.#counters.add(CACHE_FILLS, { view, outcome });
  };

  /** Counts facts that lineage has lost. */
  readonly lineageLost = (what: string, reason: string, by: number): void => {
    this.#counters.add(LINEAGE_LOST, { what, reason }, by);
  };

  /** Counts requests that the comparison of a rollout lacks. */
  readonly rolloutLost = (model: string, requests: number): void => {
    this.#counters.add(ROLLOUT_LOST, { model }, requests);
  };

  /** Counts served predictions that were logged, or could not be. */
  readonly servedLogged = (outcome: string, by: number): void => {
    this.#counters.add(SERVED_LOGGED, { outcome }, by);
  };

  /** Counts a served prediction that was computed again from history. */
  readonly skewChecked = (model: string, verdict: string): void => {
    this.#counters.add(SKEW_CHECKS, { model, verdict });
  };

  /** Counts a request of a deprecated version. */
  readonly deprecatedRequest = (version: string, principal: string): void => {
    this.#deprecated.record(version, principal);
  };

  /** Counts a refused request. */
  readonly limited = (budget: string, lane: string): void => {
    this.#counters.add(LIMITED, { budget, lane });
  };

  /** Counts a run of a model. */
  readonly modelRan = (model: string, tier: string): void => {
    this.#counters.add(MODEL_RUNS, { model, tier });
  };

  /** Counts a run of a model that both tiers computed. */
  readonly modelCompared = (model: string, verdict: string): void => {
    this.#counters.add(MODEL_PARITY, { model, verdict });
  };

  #drain(): Omit<CounterBatch, 'isolate' | 'n'> {
    this.#answers.drain((view, labels, count) =>
      this.#counters.add(CACHE_ANSWERS, { view, ...labels }, count),
    );
    for (const { name, labels, value } of [
      ...this.#requests.drain(),
      ...drainPeerCalls(),
      ...drainSpanCounts(),
      ...this.#deprecated.drain(),
    ])
      this.#counters.add(name, labels, value);
    return { counters: this.#counters.drain(), memoryBytes: this.#memoryBytes() };
  }
}
