import {
  type CounterReport,
  type CounterSample,
  WINDOWS_MINUTES,
  type WindowMinutes,
} from '../platform/counters.ts';

/** Answers to reads of cached routes, by view, outcome, tier and reason. */
export const CACHE_ANSWERS = 'millrace_cache_answers_total';

/** The gate of the cache: more than this share of answers comes out of it. */
export const HIT_RATIO_GATE = 0.7;
/** Fewer answers say nothing about the gate. */
export const GATE_ANSWERS_MIN = 100;
const GATE_WINDOW: WindowMinutes = 60;

export interface HitRatio {
  readonly answers: number;
  /** Hits, fresh or stale, over all answers; a collapsed miss has waited for the origin and is none. Null for no answers. */
  readonly ratio: number | null;
  /** Answers by where they came from: a tier, `origin`, or `stand_in` for an old entry while the origin is away. */
  readonly from: Readonly<Record<string, number>>;
}

export type Gate = 'passed' | 'failed' | 'not_enough';

export interface CacheReport {
  readonly windows: Readonly<
    Record<WindowMinutes, { all: HitRatio; views: Readonly<Record<string, HitRatio>> }>
  >;
  /** Over the last 60 minutes. */
  readonly gate: { readonly all: Gate; readonly views: Readonly<Record<string, Gate>> };
}

/** Hit ratios of all views together and of each, in each window, and whether the gate holds. */
export function cacheReportOf({ windows }: CounterReport): CacheReport {
  const ratios = Object.fromEntries(
    WINDOWS_MINUTES.map((minutes) => [
      minutes,
      { all: ratioOf(windows[minutes]), views: byView(windows[minutes]) },
    ]),
  ) as CacheReport['windows'];
  const { all, views } = ratios[GATE_WINDOW];
  return {
    windows: ratios,
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
  let answers = 0;
  let hits = 0;
  for (const { labels, value } of answersIn(samples)) {
    const { outcome = '', tier = '' } = labels;
    answers += value;
    if (outcome === 'hit' || outcome === 'stale') hits += value;
    const place = tier === '' ? placeOf(outcome) : tier;
    from[place] = (from[place] ?? 0) + value;
  }
  return { answers, ratio: answers === 0 ? null : hits / answers, from };
}

function placeOf(outcome: string): string {
  return outcome === 'stand_in' ? 'stand_in' : 'origin';
}

function answersIn(samples: readonly CounterSample[]): CounterSample[] {
  return samples.filter(({ name }) => name === CACHE_ANSWERS);
}

function gateOf({ answers, ratio }: HitRatio): Gate {
  if (answers < GATE_ANSWERS_MIN || ratio === null) return 'not_enough';
  return ratio > HIT_RATIO_GATE ? 'passed' : 'failed';
}
