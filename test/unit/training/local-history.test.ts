import fc from 'fast-check';
import { expect, it } from 'vitest';
import { historyOfEvents } from '../../../scripts/models/local-run/history.ts';
import type { HistoryPort } from '../../../src/features/join-history.ts';
import type { RecordedEvent } from '../../../src/features/point-in-time.ts';
import type { RecordedRange } from '../../../src/storage/postgres/history.ts';
import { historyInMemory } from '../../support/point-in-time/in-memory.ts';

const never: Iterator<boolean> = { next: () => ({ done: false, value: false }) };
const moment = fc.integer({ min: 0, max: 12 });
const events = fc
  .array(fc.record({ type: fc.constantFrom('a', 'b'), at: moment }), { maxLength: 30 })
  .map((all) =>
    all.map(
      ({ type, at }, seq): RecordedEvent => ({
        ...{ seq, type, occurredAt: at, recordedAt: at },
        data: {},
      }),
    ),
  );
const range = fc.record({
  order: fc.constantFrom('happened', 'recorded', 'early'),
  types: fc.constantFrom(['a'], ['a', 'b'], ['c']),
  from: fc.option(moment, { nil: undefined }),
  to: moment,
  known: moment,
}) satisfies fc.Arbitrary<RecordedRange>;

async function all(history: HistoryPort, of: RecordedRange, limit: number): Promise<number[]> {
  const read: number[] = [];
  let after = null;
  for (;;) {
    const page = await history.read(of, { after, limit });
    expect(page.events.length).toBeLessThanOrEqual(limit);
    read.push(...page.events.map(({ seq }) => seq));
    if (page.next === null) return read;
    after = page.next;
  }
}

it('events in memory are read page by page as those of a database', async () => {
  await fc.assert(
    fc.asyncProperty(events, range, fc.integer({ min: 1, max: 4 }), async (stored, of, limit) => {
      const expected = await all(historyInMemory(stored, never, limit), of, limit);
      expect(await all(historyOfEvents(stored), of, limit)).toEqual(expected);
    }),
  );
});

it('an event that was stored later than it happened is refused', () => {
  const event = { seq: 1, type: 'a', occurredAt: 1, recordedAt: 2, data: {} };
  expect(() => historyOfEvents([event])).toThrow(/another moment/);
});
