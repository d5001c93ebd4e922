/** Whether the model or popularity answers the entities of a segment, as the evaluation of the version found. */
import * as z from 'zod';
import type { Candidates } from '../define/candidates.ts';

/** The entities that have taken no item as far as their features say (`new`), and the others (`returning`). */
export const SEGMENTS = ['new', 'returning'] as const;
export type Segment = (typeof SEGMENTS)[number];

const Answerer = z.enum(['model', 'popularity']);
export type Answerer = z.output<typeof Answerer>;

export const SegmentAnswerers = z.object({ new: Answerer, returning: Answerer });
export type SegmentAnswerers = z.output<typeof SegmentAnswerers>;

/** Who answers where no evaluation decides: a model ranks by what an entity has taken, and a new one has taken nothing. */
export const ANSWERERS_BY_DEFAULT: SegmentAnswerers = { new: 'popularity', returning: 'model' };

/** The fewest queries of a segment that can decide: of fewer, the bootstrap's intervals are too narrow. */
export const SEGMENT_QUERIES_MIN = 30;

/** What an evaluation found of a segment. */
export interface SegmentFinding {
  readonly queries: number;
  /** The mean NDCG@10 of the model minus that of popularity, with the bounds of its interval; null if it is undefined. */
  readonly gain: { readonly low: number; readonly high: number } | null;
}

/**
 * The model answers a segment if the interval of its gain is above 0, popularity if it is below 0. If the interval has 0 in
 * it, the default stays.
 *
 * @param found null for a segment without queries.
 */
export function answererOf(segment: Segment, found: SegmentFinding | null): Answerer {
  if (found === null || found.gain === null || found.queries < SEGMENT_QUERIES_MIN)
    return ANSWERERS_BY_DEFAULT[segment];
  if (found.gain.low > 0) return 'model';
  if (found.gain.high < 0) return 'popularity';
  return ANSWERERS_BY_DEFAULT[segment];
}

/** The segment of an entity, by the features that `assemble` receives; undefined if the candidates do not say. */
export function segmentOf(
  candidates: Pick<Candidates, 'isNew'>,
  features: Readonly<Record<string, unknown>>,
  now: number,
): Segment | undefined {
  const isNew = candidates.isNew?.(features, now);
  return isNew === undefined ? undefined : isNew ? 'new' : 'returning';
}

/** Why popularity answers though the version can be used. */
export const POPULARITY_REASONS = ['nothing_to_rank_by', 'new_entity', 'returning_entity'] as const;
export type PopularityReason = (typeof POPULARITY_REASONS)[number];

/** The reason for which popularity answers a segment. */
export function reasonOf(segment: Segment): PopularityReason {
  return segment === 'new' ? 'new_entity' : 'returning_entity';
}
