import type { CachedAnswer } from './read-through.ts';

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
