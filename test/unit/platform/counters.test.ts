import { describe, expect, it } from 'vitest';
import {
  CounterBatch,
  CounterFlush,
  Counters,
  DROPPED,
  FLUSH_EVERY_MS,
} from '../../../src/platform/counters.ts';

describe('the counters of an isolate', () => {
  it('are drained once', () => {
    const counters = new Counters();
    counters.add('a_total', { view: 'v' });
    counters.add('a_total', { view: 'v' }, 2);
    counters.add('a_total', { view: 'w' });
    expect(counters.drain()).toEqual([
      { name: 'a_total', labels: { view: 'v' }, value: 3 },
      { name: 'a_total', labels: { view: 'w' }, value: 1 },
    ]);
    expect(counters.drain()).toEqual([]);
  });

  it('make a batch of bounded size, with the count of dropped series', () => {
    const counters = new Counters();
    for (let view = 0; view < 1_100; view += 1) counters.add('a_total', { view: String(view) }, 2);
    const counted = counters.drain();
    expect(counted).toHaveLength(1_000);
    expect(counted.at(-1)).toEqual({ name: DROPPED, labels: {}, value: 2 * 101 });
    expect(CounterBatch.safeParse({ isolate: 'i', n: 1, counters: counted }).success).toBe(true);
    expect(counters.drain()).toEqual([]);
  });

  it('are sent again under their number if no answer arrived, before newer ones', async () => {
    const sent: CounterBatch[] = [];
    const flush = new CounterFlush(() => 'i');
    const one = { name: 'a_total', labels: {}, value: 1 };
    const two = { name: 'a_total', labels: {}, value: 2 };
    const lose = async (batch: CounterBatch) => {
      sent.push(batch);
      throw new Error('The answer was lost.');
    };
    await flush.flush(0, () => ({ counters: [one] }), lose);
    await flush.flush(
      FLUSH_EVERY_MS,
      () => ({ counters: [two] }),
      async (batch) => void sent.push(batch),
    );
    await flush.flush(
      2 * FLUSH_EVERY_MS,
      () => ({ counters: [two] }),
      async (batch) => void sent.push(batch),
    );
    expect(sent.map(({ n, counters }) => [n, counters[0]?.value])).toEqual([
      [1, 1],
      [1, 1],
      [2, 2],
    ]);
  });

  it('are due every few seconds, and not while a flush is running', async () => {
    const flush = new CounterFlush(() => 'i');
    expect(flush.dueAtMs).toBeLessThanOrEqual(0);
    const { promise, resolve } = Promise.withResolvers<void>();
    const sending = flush.flush(
      0,
      () => ({ counters: [{ name: 'a_total', labels: {}, value: 1 }] }),
      () => promise,
    );
    expect(flush.dueAtMs).toBeGreaterThan(FLUSH_EVERY_MS);
    expect(flush.dueAtMs).toBeLessThanOrEqual(60_000);
    resolve();
    await sending;
    expect(flush.dueAtMs).toBeGreaterThan(FLUSH_EVERY_MS - 1);
    expect(flush.dueAtMs).toBeLessThanOrEqual(FLUSH_EVERY_MS);
  });

  it('send nothing if nothing was counted', async () => {
    const flush = new CounterFlush(() => 'i');
    await flush.flush(
      0,
      () => ({ counters: [], memoryBytes: 5 }),
      () => Promise.reject(new Error('Nothing was to be sent.')),
    );
    let sent = 0;
    await flush.flush(
      1,
      () => ({ counters: [{ name: 'a_total', labels: {}, value: 1 }] }),
      async ({ n }) => {
        sent = n;
      },
    );
    expect(sent).toBe(1);
  });
});
