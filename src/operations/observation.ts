import type { CachedAnswer } from '../cache/cached-answer.ts';
import { Probe, type ProbeContext, type ProbePorts } from '../cache/probe.ts';
import type { FillOutcome, ReadRequest, RefillContent } from '../cache/read-through.ts';
import type { FeatureRow } from '../define/feature-value.ts';
import type { Now } from '../platform/clock.ts';
import {
  BATCH_EXEMPLARS_MAX,
  type CounterBatch,
  CounterFlush,
  type CounterSample,
  Counters,
} from '../platform/counters.ts';
import { type DurationNames, Durations } from '../platform/durations.ts';
import { drainObjectCounts } from '../platform/object-counts.ts';
import { drainFailures, drainPeerCalls } from '../platform/peer.ts';
import type { Random } from '../platform/random.ts';
import { drainSpanCounts } from '../platform/tracing/counts.ts';
import type { Exemplar } from '../platform/tracing/request-trace.ts';
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

/** The answers of a view. */
interface CountedAnswers {
  readonly series: Map<string, { readonly labels: AnswerLabels; count: number }>;
  /** How old the mirror of the clock was that validated each hit. */
  readonly staleness: Durations;
}

/**
 * Counts answers by view and by how they were produced. It runs on every hit: a known series costs two map look-ups
 * and builds no text beyond its key.
 */
export class AnswerCounts {
  readonly #views = new Map<string, CountedAnswers>();

  record(view: string, answer: CachedAnswer): void {
    let counted = this.#views.get(view);
    if (counted === undefined) {
      counted = { series: new Map(), staleness: new Durations() };
      this.#views.set(view, counted);
    }
    const { series, staleness } = counted;
    if (answer.source.hit) staleness.add(answer.mirrorAgeMs);
    const key = keyOf(answer);
    const known = series.get(key);
    if (known === undefined) series.set(key, { labels: labelsOf(answer), count: 1 });
    else known.count += 1;
  }

  /** Passes on the counts since the last call, and resets them. @returns the staleness of the hits of each view. */
  drain(take: (view: string, labels: AnswerLabels, count: number) => void): CounterSample[] {
    const staleness: CounterSample[] = [];
    for (const [view, counted] of this.#views) {
      for (const { labels, count } of counted.series.values()) take(view, labels, count);
      staleness.push(...counted.staleness.samples(STALENESS, { view }));
    }
    this.#views.clear();
    return staleness;
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

/** How old the clock's mirror was when it validated an answer from the cache: what the answer may lack at most. */
export const STALENESS: DurationNames = {
  bucket: 'millrace_cache_staleness_bucket_total',
  sum: 'millrace_cache_staleness_ms_total',
  histogram: 'millrace_cache_staleness_seconds',
};

/** Refills of invalidated entries, by whether the content had changed. */
export const REFILLS = 'millrace_cache_refills_total';

/** Time that messages waited in a queue until a consumer had them. */
export const QUEUE_DELAYS: DurationNames = {
  bucket: 'millrace_queue_delay_bucket_total',
  sum: 'millrace_queue_delay_ms_total',
  histogram: 'millrace_queue_delay_seconds',
};

/** Messages, or parts of them, that were kept as dead letters. */
export const DEAD_LETTERS = 'millrace_dead_letters_total';

/** Values of features that were read from shards, by entity and status. */
export const FEATURE_VALUES = 'millrace_feature_values_total';

/** Computed predictions, by what made them and why that is not the model. */
export const PREDICTIONS = 'millrace_predictions_total';

/** Items and rows that computed predictions have scored: by the predictions, the mean size of a batch. */
export const PREDICTED_ITEMS = 'millrace_predicted_items_total';

/** Computed predictions by the number of items and rows that each scored. */
export const PREDICTION_BATCHES = 'millrace_prediction_batches_total';

/** The largest batch of each value of the label `size`. */
const BATCH_SIZES = [1, 10, 100, 1_000] as const;

/** The value of the label `size`: `1`, `2-10`, … `1001+`. */
export function sizeOfBatch(items: number): string {
  const at = BATCH_SIZES.findIndex((most) => items <= most);
  if (at === -1) return `${(BATCH_SIZES.at(-1) ?? 0) + 1}+`;
  const least = (BATCH_SIZES[at - 1] ?? 0) + 1;
  return least === BATCH_SIZES[at] ? String(least) : `${least}-${BATCH_SIZES[at]}`;
}

/** Judged groups of the rows that a model was asked about, by whether they have drifted. */
export const DRIFT_VERDICTS = 'millrace_drift_verdicts_total';
/** Trainings that have begun or ended, by what became of them. */
export const TRAINING_RUNS = 'millrace_training_runs_total';

/** What is counted of a computed prediction. */
export interface Predicted {
  readonly model: string;
  readonly source: string;
  readonly degraded: string | null;
  readonly items: number;
}

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

  /** Counts a request, with its span if that is exported, and sends the counts if they are due. Call it for every request; it runs on every hit. */
  requested(
    [method, route, status, startedMs]: RequestCount,
    ctx: { waitUntil(work: Promise<unknown>): void },
    exported?: Exemplar,
  ): void {
    const nowMs = this.#now();
    const traced = exported && { traceId: exported.traceId, spanId: exported.spanId, atMs: nowMs };
    this.#requests.record(method, route, status, nowMs - startedMs, traced);
    this.#flushIfDue(nowMs, ctx);
  }

  #flushIfDue(nowMs: number, ctx: { waitUntil(work: Promise<unknown>): void }): void {
    if (nowMs >= this.#flush.dueAtMs)
      ctx.waitUntil(this.#flush.flush(nowMs, () => this.#drain(), this.#send));
  }

  /** Counts a read of the origin. Call it for every such read. */
  readonly filled = (view: string, outcome: FillOutcome): void => {
    this.#counters.add(CACHE_FILLS, { view, outcome });
  };

  /** Counts a refill of an invalidated entry. */
  readonly refilled = (view: string, content: RefillContent): void => {
    this.#counters.add(REFILLS, { view, content });
  };

  /** Counts the messages of a batch by how long they waited, in milliseconds, and sends the counts if they are due. */
  consumed(
    queue: string,
    delaysMs: readonly number[],
    ctx: { waitUntil(work: Promise<unknown>): void },
  ): void {
    const delays = new Durations();
    for (const delayMs of delaysMs) delays.add(Math.max(0, delayMs));
    for (const { name, labels, value } of delays.samples(QUEUE_DELAYS, { queue }))
      this.#counters.add(name, labels, value);
    this.#flushIfDue(this.#now(), ctx);
  }

  /** Counts dead letters. */
  readonly deadLetters = (queue: string, by: number): void => {
    this.#counters.add(DEAD_LETTERS, { queue }, by);
  };

  /** Counts the values of some rows that were read from shards. */
  featuresRead(entity: string, rows: readonly FeatureRow[]): void {
    const counts = new Map<string, number>();
    for (const row of rows)
      for (const { status } of Object.values(row)) counts.set(status, (counts.get(status) ?? 0) + 1);
    for (const [status, count] of counts) this.#counters.add(FEATURE_VALUES, { entity, status }, count);
  }

  /** Counts a computed prediction, and the items or rows that it scored. */
  predicted({ model, source, degraded, items }: Predicted): void {
    this.#counters.add(PREDICTIONS, { model, source, degraded: degraded ?? '' });
    this.#counters.add(PREDICTED_ITEMS, { model }, items);
    this.#counters.add(PREDICTION_BATCHES, { model, size: sizeOfBatch(items) });
  }

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
    const staleness = this.#answers.drain((view, labels, count) =>
      this.#counters.add(CACHE_ANSWERS, { view, ...labels }, count),
    );
    const exemplars = this.#requests.exemplars().slice(0, BATCH_EXEMPLARS_MAX);
    for (const { name, labels, value } of [
      ...this.#requests.drain(),
      ...staleness,
      ...drainPeerCalls(),
      ...drainObjectCounts(),
      ...drainSpanCounts(),
      ...this.#deprecated.drain(),
    ])
      this.#counters.add(name, labels, value);
    const failures = drainFailures();
    return {
      ...{ counters: this.#counters.drain(), memoryBytes: this.#memoryBytes() },
      ...(exemplars.length === 0 ? {} : { exemplars }),
      ...(failures.length === 0 ? {} : { failures }),
    };
  }
}
