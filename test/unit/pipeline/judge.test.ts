import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { ensure, event } from '../../../src/define/event.ts';
import { custom } from '../../../src/define/quality.ts';
import { asCloudEvent } from '../../../src/pipeline/cloud-event.ts';
import { judge } from '../../../src/pipeline/judge.ts';
import { parseJson } from '../../../src/platform/json.ts';
import { product } from '../../support/catalog/entities.ts';
import { catalog } from '../../support/catalog/index.ts';
import { eventOf, line, NOW } from './purchases.ts';

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
      refusal: {
        reason: 'stores_failed',
        pointer: '/data',
        detail: expect.stringMatching(/\(RangeError: .*\)\. Correct the catalog, then release the event\.$/),
      },
    });
  });

  it('refuses an event that a blocking rule throws for, with what to do', () => {
    const fragile = event({
      type: 'test.fragile',
      version: 1,
      description: 'An event whose rule has a defect.',
      data: z.object({ at: z.string() }),
      rules: [
        custom({
          ...{ name: 'past', dimension: 'timeliness', pointer: '/data/at', detail: 'It lies in the future.' },
          mode: 'blocking',
          holds: ({ at }: { at: string }) => new Date(at).toISOString() < '2027',
        }),
      ],
      stores: () => [],
    });
    const types = new Map([[fragile.type, fragile]]);
    const judged = (at: string) => judge(types, eventOf({ at }, { type: fragile.type }), NOW);
    expect(judged('2026-11-28').verdict).toBe('accepted');
    expect(judged('2028-01-01')).toMatchObject({ refusal: { reason: 'past', code: 'quality_violation' } });
    expect(judged('yesterday')).toMatchObject({
      verdict: 'quarantined',
      refusal: {
        reason: 'rule_failed',
        detail: expect.stringMatching(
          /rule "past" of its type failed \(RangeError.*then release the event\.$/,
        ),
      },
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
