import type { CounterSample } from '../counters.ts';
import type { SpanOutcome } from './span-queue.ts';

/** Spans of kept traces, by what became of them. */
export const SPANS = 'millrace_trace_spans_total';

/** Spans of this isolate since they were last drained. */
const counts = new Map<SpanOutcome, number>();

export function countSpans(outcome: SpanOutcome, spans: number): void {
  counts.set(outcome, (counts.get(outcome) ?? 0) + spans);
}

/** The spans since the last call of this function, as counters. */
export function drainSpanCounts(): CounterSample[] {
  const drained = [...counts].map(([outcome, value]) => ({ name: SPANS, labels: { outcome }, value }));
  counts.clear();
  return drained;
}
