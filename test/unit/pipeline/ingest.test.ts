import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ingest, type QueueItem } from '../../../src/pipeline/ingest.ts';
import { catalog } from '../../support/catalog/index.ts';
import { eventOf, line, NOW } from './purchases.ts';

describe('ingest', () => {
  it('passes every event to the queue, refused ones with their reason, and reports the refused ones', async () => {
    const queued: QueueItem[] = [];
    const raw = Array.from({ length: 1_000 }, (_, index) => eventOf(line, { id: String(index) }));
    raw[500] = eventOf({ ...line, quantity: 0 }, { id: '500' });
    const report = await ingest(raw, NOW, {
      types: catalog.eventTypes,
      take: async (items) => {
        queued.push(...items);
        return { duplicates: [], conflicts: [], refused: [] };
      },
    });
    expect(report).toMatchObject({ accepted: 999, quarantined: 1 });
    expect(report.verdicts).toMatchObject([{ index: 500, id: '500', reason: 'quantity_not_positive' }]);
    expect(queued).toHaveLength(1_000);
    expect(queued[500]).toMatchObject({ refused: { raw: raw[500] } });
  });

  it('keeps an excerpt of an event that is too large for a message', async () => {
    const queued: QueueItem[] = [];
    const report = await ingest([eventOf({ ...line, note: 'x'.repeat(200_000) })], NOW, {
      types: catalog.eventTypes,
      take: async (items) => {
        queued.push(...items);
        return { duplicates: [], conflicts: [], refused: [] };
      },
    });
    expect(report.verdicts[0]).toMatchObject({ reason: 'event_too_large' });
    expect(JSON.stringify(queued).length).toBeLessThan(5_000);
  });
});

describe('duplicate events', () => {
  const enqueueing = (queued: QueueItem[]) => ({
    types: catalog.eventTypes,
    take: async (items: readonly QueueItem[]) => {
      queued.push(...items);
      return { duplicates: [], conflicts: [], refused: [] };
    },
  });

  it('are stored once, and quarantined if their content differs', async () => {
    const queued: QueueItem[] = [];
    const { invoice, ...others } = line;
    const raw = [
      eventOf(line),
      eventOf({ ...others, invoice }),
      eventOf({ ...line, quantity: 7 }),
      eventOf(line, { id: '2' }),
      eventOf({ ...line, quantity: -1 }),
    ];
    const report = await ingest(raw, NOW, enqueueing(queued));
    expect(report).toMatchObject({ accepted: 2, duplicates: 1, quarantined: 2 });
    expect(report.verdicts).toMatchObject([
      { index: 1, verdict: 'duplicate' },
      { index: 2, verdict: 'quarantined', reason: 'conflicting_duplicate' },
      { index: 4, verdict: 'quarantined', reason: 'quantity_not_positive' },
    ]);
    expect(queued.map((item) => ('accepted' in item ? item.accepted.id : item.refused.reason))).toEqual([
      '1',
      'conflicting_duplicate',
      '2',
      'quantity_not_positive',
    ]);
  });

  it('lose no event, in any mixture', async () => {
    const id = fc.constantFrom('a', 'b', 'c');
    const event = fc.record({ id, quantity: fc.integer({ min: -1, max: 2 }) });
    await fc.assert(
      fc.asyncProperty(fc.array(event, { maxLength: 20 }), async (events) => {
        const queued: QueueItem[] = [];
        const raw = events.map(({ id: ownId, quantity }) => eventOf({ ...line, quantity }, { id: ownId }));
        const { accepted, duplicates, quarantined, verdicts } = await ingest(raw, NOW, enqueueing(queued));
        expect(accepted + duplicates + quarantined).toBe(events.length);
        expect(queued).toHaveLength(accepted + quarantined);
        expect(new Set(verdicts.map(({ index }) => index)).size).toBe(verdicts.length);
      }),
    );
  });
});
