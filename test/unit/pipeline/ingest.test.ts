import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { ensure, event } from '../../../src/define/event.ts';
import { asCloudEvent } from '../../../src/pipeline/cloud-event.ts';
import { ingest, type QueueItem } from '../../../src/pipeline/ingest.ts';
import { judge } from '../../../src/pipeline/judge.ts';
import { type StorePorts, storeMessages } from '../../../src/pipeline/store.ts';
import { parseJson } from '../../../src/platform/json.ts';
import { packBySize, sized } from '../../../src/platform/pack.ts';
import type { StorableEvent } from '../../../src/storage/postgres/event-store.ts';
import type { RefusedEvent } from '../../../src/storage/postgres/quarantine.ts';
import { product } from '../../support/catalog/entities.ts';
import { catalog } from '../../support/catalog/index.ts';

const NOW = Date.UTC(2026, 10, 23, 12);

const line = {
  invoice: '489434',
  sku: '85123A',
  description: 'A heart',
  quantity: 6,
  unitPrice: 2.55,
  customerId: '17850',
  country: 'United Kingdom',
};
function eventOf(data: object, attributes: object = {}): Record<string, unknown> {
  return { specversion: '1.0', id: '1', source: '/test', type: 'shop.purchase.v1', data, ...attributes };
}
/** The event with this text as its data in base64. */
function encoded(text: string): Record<string, unknown> {
  const { data: _, ...attributes } = eventOf(line, { data_base64: btoa(text) });
  return attributes;
}
function reasonOf(raw: unknown): string {
  const judgement = judge(catalog.eventTypes, raw, NOW);
  return judgement.verdict === 'accepted'
    ? 'accepted'
    : `${judgement.refusal.reason} ${judgement.refusal.pointer}`;
}

describe('the judge', () => {
  it('quarantines an event on which the catalog fails, so that it delays no other', () => {
    const fragile = event({
      type: 'test.fragile',
      version: 1,
      description: 'An event whose `stores` has a defect.',
      data: z.object({ at: z.string() }),
      stores: ({ at }) => [
        ensure(product, { sku: 'A1', unitPrice: 1, description: new Date(at).toISOString() }),
      ],
    });
    const types = new Map([[fragile.type, fragile]]);
    const judged = (at: string) => judge(types, eventOf({ at }, { type: fragile.type }), NOW);
    expect(judged('2026-11-28').verdict).toBe('accepted');
    expect(judged('yesterday')).toMatchObject({
      verdict: 'quarantined',
      refusal: { reason: 'stores_failed', pointer: '/data', detail: expect.stringContaining('RangeError') },
    });
  });

  it.each([
    ['a good event', eventOf(line), 'accepted'],
    ['no customer', eventOf({ ...line, customerId: null }), 'accepted'],
    ['a negative quantity', eventOf({ ...line, quantity: -1 }), 'quality_not /data/quantity'],
    ['a price of zero', eventOf({ ...line, unitPrice: 0 }), 'price_not_positive /data/unitPrice'],
    ['a quantity in words', eventOf({ ...line, quantity: 'six' }), 'contract_violation /data/quantity'],
    ['no SKU', eventOf({ ...line, sku: undefined }), 'contract_violation /data/sku'],
    ['data that is no object', eventOf([]), 'contract_violation /data'],
    ['another type', eventOf(line, { type: 'shop.unheard-of.v1' }), 'unknown_event_type /type'],
    ['a type of the prototype', eventOf(line, { type: '__proto__' }), 'unknown_event_type /type'],
    ['no id', eventOf(line, { id: undefined }), 'invalid_event /id'],
    [
      'another version of the specification',
      eventOf(line, { specversion: '0.3' }),
      'invalid_event /specversion',
    ],
    ['a time in words', eventOf(line, { time: 'yesterday' }), 'invalid_event /time'],
    ['a NUL in the source', eventOf(line, { source: '/te\u0000st' }), 'invalid_event /source'],
    ['half a surrogate pair', eventOf(line, { id: '\ud800' }), 'invalid_event /id'],
    ['a time in the future', eventOf(line, { time: '2026-11-23T12:06:00Z' }), 'occurred_in_the_future /time'],
    ['no event at all', 'event', 'invalid_event '],
    ['null', null, 'invalid_event '],
    [
      'null where an attribute is optional',
      eventOf(line, {
        time: null,
        datacontenttype: null,
        subject: null,
        dataschema: null,
        data_base64: null,
      }),
      'accepted',
    ],
    ['data of text/json', eventOf(line, { datacontenttype: 'text/json' }), 'accepted'],
    ['data of model/gltf+json', eventOf(line, { datacontenttype: 'model/gltf+json;v=1' }), 'accepted'],
    [
      'a sequence of JSON texts',
      eventOf(line, { datacontenttype: 'application/json-seq' }),
      'invalid_event /datacontenttype',
    ],
    ['data in base64', encoded(JSON.stringify(line)), 'accepted'],
    ['base64 of no JSON', encoded('hello'), 'invalid_event /data_base64'],
    ['base64 beside data', { ...encoded('1'), data: line }, 'invalid_event /data_base64'],
    ['a time in lower case', eventOf(line, { time: '2026-11-20t10:00:00z' }), 'accepted'],
    ['a leap second', eventOf(line, { time: '2016-12-31T23:59:60Z' }), 'accepted'],
    ['second 60 at noon', eventOf(line, { time: '2026-11-20T12:00:60Z' }), 'invalid_event /time'],
    ['an attribute in upper case', eventOf(line, { traceParent: 'x' }), 'invalid_event /traceParent'],
    ['an attribute that is an object', eventOf(line, { trace: {} }), 'invalid_event /trace'],
    ['a source with blanks', eventOf(line, { source: 'a b' }), 'invalid_event /source'],
    ['a source with a bad escape', eventOf(line, { source: '/%zz' }), 'invalid_event /source'],
    ['an id that no path can contain', eventOf(line, { id: '..' }), 'invalid_event /id'],
    ['an id of 8,000 characters', eventOf(line, { id: 'x'.repeat(8_000) }), 'invalid_event /id'],
    ['half a pair in an extension', eventOf(line, { trace: '\ud800' }), 'invalid_event /trace'],
    [
      'an integer that a double would change',
      parseJson(JSON.stringify(eventOf(line)).replace('"quantity":6', '"quantity":9007199254740993')),
      'not_storable /data/quantity',
    ],
    [
      'a price that its column would round',
      eventOf({ ...line, unitPrice: 0.000_04 }),
      'not_storable /data/unitPrice',
    ],
    [
      'a price with the dust of an addition',
      eventOf({ ...line, unitPrice: 0.1 + 0.2 }),
      'not_storable /data/unitPrice',
    ],
    ['a SKU that no path can contain', eventOf({ ...line, sku: '..' }), 'not_storable /data/sku'],
  ])('%s', (_, raw, expected) => {
    expect(reasonOf(raw)).toBe(expected.replace('quality_not', 'quantity_not_positive'));
  });

  it('keeps dataschema, other JSON types and extension attributes, and returns them with the event', () => {
    const sent = {
      traceparent: '00-0af7-b7ad-01',
      tracestate: '',
      sampled: true,
      attempt: 2,
      dataschema: '/schemas/1',
      datacontenttype: 'application/vnd.shop+json; charset=utf-8',
    };
    const judgement = judge(catalog.eventTypes, eventOf(line, { ...sent, empty: null }), NOW);
    if (judgement.verdict !== 'accepted') throw new Error(judgement.refusal.detail);
    expect(judgement.event.extensions).toEqual(sent);
    expect(asCloudEvent(judgement.event)).toMatchObject(sent);
    expect(reasonOf(asCloudEvent(judgement.event))).toBe('accepted');
  });

  it('keeps no datacontenttype that its absence means', () => {
    const judgement = judge(
      catalog.eventTypes,
      eventOf(line, { datacontenttype: 'Application/JSON; charset=utf-8' }),
      NOW,
    );
    expect(judgement).toMatchObject({ verdict: 'accepted' });
    expect(judgement.verdict === 'accepted' && judgement.event.extensions).toBeUndefined();
  });

  it('never throws, for any input', () => {
    fc.assert(
      fc.property(fc.anything(), (raw) => {
        expect(['accepted', 'quarantined']).toContain(judge(catalog.eventTypes, raw, NOW).verdict);
      }),
    );
  });
});

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

describe('packing', () => {
  it('keeps order and limits, and loses nothing', () => {
    fc.assert(
      fc.property(
        fc.array(fc.string({ maxLength: 50 })),
        fc.integer({ min: 20, max: 500 }),
        (items, bytesMax) => {
          const groups = packBySize(items.map(sized), bytesMax, 7);
          expect(groups.flatMap(({ item }) => item)).toEqual(items);
          for (const { item: group, bytes } of groups) {
            expect(Buffer.byteLength(JSON.stringify(group))).toBe(bytes + 1);
            expect(group.length).toBeLessThanOrEqual(7);
            if (group.length > 1)
              expect(Buffer.byteLength(JSON.stringify(group))).toBeLessThanOrEqual(bytesMax + 1);
          }
        },
      ),
    );
  });
});
