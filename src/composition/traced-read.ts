import type { CachedAnswer } from '../cache/cached-answer.ts';
import { labelsOf } from '../operations/observation.ts';
import { type Span, within } from '../platform/tracing/span.ts';

/** Runs a read that memory did not answer in a span, which says how it was answered. */
export async function readInSpan(
  outer: Span,
  view: string,
  read: (span: Span) => Promise<CachedAnswer>,
): Promise<CachedAnswer> {
  return await within(outer, { name: `cache read ${view}` }, async (span) => {
    const answer = await read(span);
    const { outcome, tier, reason } = labelsOf(answer);
    span.set({
      'millrace.view': view,
      'millrace.cache.outcome': outcome,
      'millrace.cache.tier': tier === '' ? undefined : tier,
      'millrace.cache.reason': reason === '' ? undefined : reason,
    });
    return answer;
  });
}
