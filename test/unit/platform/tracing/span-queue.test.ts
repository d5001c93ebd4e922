import { describe, expect, it } from 'vitest';
import {
  EXPORT_SPANS_MAX,
  type Exported,
  SpanQueue,
  WAITING_SPANS_MAX,
} from '../../../../src/platform/tracing/span-queue.ts';
import type { FinishedSpan } from '../../../../src/platform/tracing/trace.ts';

const spans = (count: number): FinishedSpan[] =>
  Array.from({ length: count }, (_, at) => ({
    ...{ traceId: '1'.padStart(32, '0'), spanId: String(at).padStart(16, '0'), parent: undefined },
    ...{ isParentRemote: false, name: 'x', kind: 'internal', attributes: {}, links: [], isFailed: false },
    ...{ startMs: 0, endMs: 1 },
  }));

function setUp(answer: () => Promise<Exported>) {
  const time = { nowMs: 0 };
  const sent: number[] = [];
  const counts: Record<string, number> = {};
  const kept: Promise<unknown>[] = [];
  const queue = new SpanQueue({
    now: () => time.nowMs,
    sleep: async (ms) => {
      time.nowMs += ms;
    },
    send: async (batch) => {
      sent.push(batch.length);
      return await answer();
    },
    deadlineMs: 5_000,
    counted: (outcome, count) => {
      counts[outcome] = (counts[outcome] ?? 0) + count;
    },
  });
  const add = (count: number) => queue.add(spans(count), (work) => void kept.push(work));
  return { add, queue, sent, counts, kept, time, settled: () => Promise.all(kept) };
}

describe('the spans of an isolate', () => {
  it('are exported together, behind the request that adds the first', async () => {
    const { add, sent, counts, kept, settled } = setUp(async () => ({ outcome: 'taken' }));
    add(3);
    add(EXPORT_SPANS_MAX);
    expect(kept).toHaveLength(1);
    expect(sent).toEqual([]);
    await settled();
    expect(sent).toEqual([EXPORT_SPANS_MAX, 3]);
    expect(counts).toEqual({ exported: EXPORT_SPANS_MAX + 3 });
  });

  it('wait in bounded memory while the receiver hangs; what is too much is dropped and counted', async () => {
    const { add, queue, counts, kept, time } = setUp(() => new Promise(() => undefined));
    add(1);
    await Promise.resolve();
    for (let requests = 0; requests < 100; requests += 1) add(100);
    expect(queue.waiting).toBeLessThanOrEqual(WAITING_SPANS_MAX);
    expect(counts['dropped']).toBeGreaterThan(7_000);
    expect(kept).toHaveLength(1);
    // The request whose flush hangs has ended by then, and another one takes over.
    time.nowMs += 60_000;
    add(1);
    expect(kept).toHaveLength(2);
  });

  it('stay while the receiver is unavailable, and are sent again after a pause', async () => {
    let outcome: Exported['outcome'] = 'unavailable';
    const { add, queue, sent, counts, time, settled } = setUp(async () => ({ outcome }));
    add(2);
    await settled();
    expect([queue.waiting, sent, counts]).toEqual([2, [2], {}]);
    add(1);
    await settled();
    expect(sent).toEqual([2]);
    time.nowMs += 5_000;
    outcome = 'taken';
    add(1);
    await settled();
    expect([queue.waiting, sent, counts]).toEqual([0, [2, 4], { exported: 4 }]);
  });

  it('that the receiver refuses are not sent again', async () => {
    const { add, queue, counts, settled } = setUp(async () => ({ outcome: 'refused' }));
    add(2);
    await settled();
    expect([queue.waiting, counts]).toEqual([0, { refused: 2 }]);
    const partly = setUp(async () => ({ outcome: 'taken', refused: 1 }));
    partly.add(3);
    await partly.settled();
    expect(partly.counts).toEqual({ refused: 1, exported: 2 });
  });
});
