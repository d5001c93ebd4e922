import type { CachedAnswer } from './read-through.ts';

/** How an answer came about, in the labels of `millrace_cache_answers_total`. */
export interface AnswerLabels {
  /**
   * `hit` and `stale` came out of a tier; `collapsed` was read from the origin by another request, `miss` by this
   * one. `stand_in` is an old entry in place of an origin that does not answer.
   */
  readonly outcome: 'hit' | 'stale' | 'collapsed' | 'miss' | 'stand_in';
  /** The tier of a hit; empty otherwise. */
  readonly tier: '' | 'memory' | 'colo' | 'kv';
  /** Why the cache did not answer by itself (RFC 9211 §2.2), or what is in doubt about its answer. */
  readonly reason: string;
}

/**
 * Counts answers by view and by how they came about. On the path of every hit: two look-ups in maps, and no text
 * is built where a series is known.
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

  /** Hands over what was counted since the last call. */
  drain(take: (view: string, labels: AnswerLabels, count: number) => void): void {
    for (const [view, series] of this.#views) {
      for (const { labels, count } of series.values()) take(view, labels, count);
    }
    this.#views.clear();
  }
}

/** Only tells series apart. A hit that nobody doubts, which nearly all are, is keyed by its tier as it is. */
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
