import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type StorePorts, storeMessages } from '../../../src/pipeline/store.ts';
import type { StorableEvent } from '../../../src/storage/postgres/event-store.ts';
import type { RefusedEvent } from '../../../src/storage/postgres/quarantine.ts';
import { catalog } from '../../support/catalog/index.ts';
import { line, NOW } from './purchases.ts';

/** A database that refuses the data of some events, as Postgres would: the whole transaction at once. */
function pickyDatabase(refuses: (event: StorableEvent) => boolean) {
  const stored: StorableEvent[] = [];
  const refused: RefusedEvent[] = [];
  const ports: StorePorts = {
    types: catalog.eventTypes,
    storeEvents: async (events) => {
      if (events.some(refuses)) throw new Error('22003');
      stored.push(...events);
      return [];
    },
    keepRefused: async (events) => void refused.push(...events),
    classifyFault: (error) => (error instanceof Error && error.message === '22003' ? 'data' : 'unavailable'),
    fingerprint: async (text) => text,
  };
  return { stored, refused, ports };
}

function messageOf(count: number) {
  const accepted = Array.from({ length: count }, (_, index) => ({
    source: '/test',
    id: String(index),
    type: 'shop.purchase.v1',
    subject: null,
    time: '2026-11-23T11:00:00.000Z',
    data: line,
  }));
  return { v: 1 as const, receivedAt: NOW, accepted, refused: [] };
}

/** A database that bears so many events in one transaction, and no event of `slow` within its limit. */
function slowDatabase(bears: number, slow: readonly number[] = []) {
  const transactions: number[] = [];
  const { stored, refused, ports } = pickyDatabase(() => false);
  const storeEvents: StorePorts['storeEvents'] = async (events) => {
    transactions.push(events.length);
    if (events.length > bears || events.some(({ id }) => slow.includes(Number(id)))) throw new Error('57014');
    return await ports.storeEvents(events);
  };
  const isTimeout = (error: unknown) => error instanceof Error && error.message === '57014';
  return { stored, refused, transactions, ports: { ...ports, storeEvents }, isTimeout };
}

describe('storing in a slow database', () => {
  it('continues with smaller transactions, and stores each event once and in order', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 2_500 }),
        fc.integer({ min: 1, max: 300 }),
        async (count, bears) => {
          const { stored, transactions, ports, isTimeout } = slowDatabase(bears);
          await storeMessages([messageOf(count)], { ...ports, isTimeout });
          expect(stored.map(({ id }) => id)).toEqual(Array.from({ length: count }, (_, n) => String(n)));
          expect(transactions.filter((size) => size > bears).length).toBeLessThanOrEqual(6);
        },
      ),
      { numRuns: 30 },
    );
  });

  it('stores the others if one event takes too long alone, and fails at the end', async () => {
    const { stored, refused, ports, isTimeout } = slowDatabase(100, [3, 40]);
    const message = messageOf(60);
    const bad = { raw: { id: 'bad' }, reason: 'broken', pointer: '', detail: '' };
    const wanted = storeMessages([{ ...message, refused: [bad] }], { ...ports, isTimeout });
    await expect(wanted).rejects.toThrow('57014');
    expect(stored).toHaveLength(58);
    expect(refused).toMatchObject([{ eventId: 'bad', reason: 'broken' }]);
  });

  it('gives up if every event takes too long, and at once if a request waits', async () => {
    const { stored, transactions, ports, isTimeout } = slowDatabase(0);
    await expect(storeMessages([messageOf(2_000)], { ...ports, isTimeout })).rejects.toThrow('57014');
    expect(stored).toEqual([]);
    expect(transactions).toEqual([2_000, 500, 125, 32, 8, 2, 1, 1, 1]);
    const inHaste = slowDatabase(10);
    await expect(storeMessages([messageOf(20)], inHaste.ports)).rejects.toThrow('57014');
    expect(inHaste.transactions).toEqual([20]);
  });
});

describe('storing', () => {
  it('quarantines exactly the events that the database refuses', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 60 }), fc.uniqueArray(fc.nat(59)), async (count, bad) => {
        const { stored, refused, ports } = pickyDatabase(({ id }) => bad.includes(Number(id)));
        await storeMessages([messageOf(count)], ports);
        const badIds = bad
          .filter((id) => id < count)
          .map(String)
          .sort();
        expect(refused.map(({ eventId }) => eventId).sort()).toEqual(badIds);
        expect(stored).toHaveLength(count - badIds.length);
        expect(refused.every(({ reason }) => reason === 'storage_refused')).toBe(true);
      }),
      { numRuns: 50 },
    );
  });

  it('checks events from the queue again', async () => {
    const { stored, refused, ports } = pickyDatabase(() => false);
    const message = messageOf(2);
    message.accepted[1] = {
      ...message.accepted[0],
      ...{ id: 'x', data: { ...line, quantity: -5 } },
    } as never;
    await storeMessages([message], ports);
    expect(stored).toHaveLength(1);
    expect(refused).toMatchObject([{ eventId: 'x', reason: 'quantity_not_positive' }]);
  });

  it('replaces the texts of a refused event that Postgres cannot hold', async () => {
    const { refused, ports } = pickyDatabase(() => false);
    const raw = { id: 'a\u0000b', note: '\ud800' };
    await storeMessages(
      [
        {
          v: 1,
          receivedAt: NOW,
          accepted: [],
          refused: [{ raw, reason: 'invalid_event', pointer: '/id', detail: '' }],
        },
      ],
      ports,
    );
    expect(refused[0]).toMatchObject({ eventId: 'a\uFFFDb', raw: { id: 'a\uFFFDb', note: '\uFFFD' } });
  });

  it('returns the tags that follow from the effects', async () => {
    const { stored, ports } = pickyDatabase(() => false);
    await storeMessages([messageOf(1)], ports);
    expect(stored[0]?.tags).toEqual(['purchase@customer:17850', 'purchase@product:85123A']);
    expect(stored[0]?.effects.map(({ kind }) => kind)).toEqual(['ensure', 'append', 'ensure']);
  });
});

describe('duplicates of stored events', () => {
  it('are recognised by the stored events, too', async () => {
    const { refused, ports } = pickyDatabase(() => false);
    const known = { same: true, source: '/test', id: '0' };
    const outcome = await storeMessages([messageOf(3)], {
      ...ports,
      storeEvents: async () => [known, { ...known, id: '2', same: false }],
    });
    expect(outcome.duplicates.map(({ id }) => id)).toEqual(['0']);
    expect(refused).toMatchObject([{ eventId: '2', reason: 'conflicting_duplicate' }]);
  });

  it('are compared with the stored event, not only with each other', async () => {
    const { refused, ports } = pickyDatabase(() => false);
    const later = messageOf(1);
    const said = later.accepted[0];
    if (said === undefined) throw new Error('The message holds one.');
    const other = { ...later, accepted: [{ ...said, data: { ...line, quantity: 9 } }] };
    const outcome = await storeMessages([other, later], {
      ...ports,
      storeEvents: async (events) =>
        events.map(({ source, id, data }) => ({ source, id, same: data === said.data })),
    });
    expect(refused).toMatchObject([{ reason: 'conflicting_duplicate', raw: { data: { quantity: 9 } } }]);
    expect(outcome.duplicates).toHaveLength(1);
  });
});
