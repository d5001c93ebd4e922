import {
  type CounterReport,
  type CounterSample,
  WINDOWS_MINUTES,
  type WindowMinutes,
} from '../platform/counters.ts';

/** Answers to reads of cached routes, by view, outcome, tier and reason. */
export const CACHE_ANSWERS = 'millrace_cache_answers_total';
/** Reads of the origin that fill the cache, including background refreshes and warming, by view and outcome. */
export const CACHE_FILLS = 'millrace_cache_fills_total';

/** The gate of the cache: more than this share of answers must come from the cache. */
export const HIT_RATIO_GATE = 0.7;
/** With fewer answers the gate has no verdict. */
export const GATE_ANSWERS_MIN = 100;
const GATE_WINDOW: WindowMinutes = 60;

/**
 * A hit is an answer from a tier, fresh or stale. The ratio is hits over all answers to reads of cached routes. A
 * collapsed miss waited for the origin, so it is not a hit and is counted separately.
 */
export interface HitRatio {
  readonly answers: number;
  /** Null if there are no answers. */
  readonly ratio: number | null;
  /** Each tier's part of the ratio; tiers without hits are absent. */
  readonly tiers: Readonly<Record<string, number>>;
  /**
   * Answers by source: a tier, `origin`, `collapsed` for a value that another request read from the origin, or
   * `stand_in` for an old entry served while the origin does not answer.
   */
  readonly from: Readonly<Record<string, number>>;
}

export type Gate = 'passed' | 'failed' | 'not_enough';

interface CacheRatios {
  readonly all: HitRatio;
  readonly views: Readonly<Record<string, HitRatio>>;
}

export interface CacheReport {
  readonly windows: Readonly<Record<WindowMinutes, CacheRatios>>;
  /** Since the first count. */
  readonly totals: CacheRatios;
  /** Over the last 60 minutes. */
  readonly gate: { readonly all: Gate; readonly views: Readonly<Record<string, Gate>> };
}

/** Hit ratios of all views together and of each, in each window, and whether the gate holds. */
export function cacheReportOf({ totals, windows }: CounterReport): CacheReport {
  const of = (samples: readonly CounterSample[]) => ({ all: ratioOf(samples), views: byView(samples) });
  const ratios = Object.fromEntries(
    WINDOWS_MINUTES.map((minutes) => [minutes, of(windows[minutes])]),
  ) as CacheReport['windows'];
  const { all, views } = ratios[GATE_WINDOW];
  return {
    windows: ratios,
    totals: of(totals),
    gate: {
      all: gateOf(all),
      views: Object.fromEntries(Object.entries(views).map(([view, ratio]) => [view, gateOf(ratio)])),
    },
  };
}

export function byView(samples: readonly CounterSample[]): Record<string, HitRatio> {
  const views = Map.groupBy(answersIn(samples), ({ labels }) => labels['view'] ?? '');
  return Object.fromEntries([...views].map(([view, own]) => [view, ratioOf(own)]));
}

export function ratioOf(samples: readonly CounterSample[]): HitRatio {
  const from: Record<string, number> = {};
  const hitsOf: Record<string, number> = {};
  let answers = 0;
  let hits = 0;
  for (const { labels, value } of answersIn(samples)) {
    const { outcome = '', tier = '' } = labels;
    answers += value;
    if (outcome === 'hit' || outcome === 'stale') {
      hits += value;
      hitsOf[tier] = (hitsOf[tier] ?? 0) + value;
    }
    const place = tier === '' ? placeOf(outcome) : tier;
    from[place] = (from[place] ?? 0) + value;
  }
  const tiers = Object.fromEntries(Object.entries(hitsOf).map(([tier, own]) => [tier, own / answers]));
  return { answers, ratio: answers === 0 ? null : hits / answers, tiers, from };
}

function placeOf(outcome: string): string {
  return outcome === 'miss' ? 'origin' : outcome;
}

function answersIn(samples: readonly CounterSample[]): CounterSample[] {
  return samples.filter(({ name }) => name === CACHE_ANSWERS);
}

function gateOf({ answers, ratio }: HitRatio): Gate {
  if (answers < GATE_ANSWERS_MIN || ratio === null) return 'not_enough';
  return ratio > HIT_RATIO_GATE ? 'passed' : 'failed';
}
