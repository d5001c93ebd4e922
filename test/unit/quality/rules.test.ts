import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { event } from '../../../src/define/event.ts';
import {
  custom,
  distribution,
  freshness,
  pattern,
  qualityOf,
  range,
  referential,
  required,
  unique,
} from '../../../src/define/quality.ts';
import { tallyEvents, UNRECOGNISED } from '../../../src/pipeline/quality/assess.ts';
import { product, productViewHistory, purchaseHistory } from '../../support/catalog/entities.ts';
import { catalog } from '../../support/catalog/index.ts';
import { mistakeOf } from '../../support/catalog-mistakes.ts';

const AT = Date.UTC(2026, 10, 23, 12);
const context = { occurredAt: AT, now: AT };

describe('the builders', () => {
  it('judge present values, and leave missing ones to `required`', () => {
    const present = required('note');
    const values: [unknown, boolean][] = [
      ['x', true],
      [0, true],
      [false, true],
      ['  ', false],
      ['', false],
      [null, false],
      [undefined, false],
    ];
    for (const [note, expected] of values) expect(present.holds({ note }, context)).toBe(expected);
    expect(range('n', { min: 1 }).holds({ n: null }, context)).toBeNull();
    expect(pattern('s', /^a/).holds({ s: null }, context)).toBeNull();
    expect(pattern('s', /^a/).holds({ s: 'ab' }, context)).toBe(true);
    expect(pattern('s', /^a/).holds({ s: 'b' }, context)).toBe(false);
  });

  it('have bounds that include `min` and `max` and not `above`', () => {
    const rule = range('n', { min: 1, max: 3 });
    expect([0, 1, 3, 4].map((n) => rule.holds({ n }, context))).toEqual([false, true, true, false]);
    expect([0, 0.001].map((n) => range('n', { above: 0 }).holds({ n }, context))).toEqual([false, true]);
  });

  it('judge how soon an event arrived, and skip backfilled history', () => {
    const rule = freshness({ maxAgeMs: 60_000, historyMs: 3_600_000 });
    const after = (ms: number) => rule.holds(undefined, { occurredAt: AT - ms, now: AT });
    expect([-5, 0, 60_000, 60_001, 3_600_000, 3_600_001].map(after)).toEqual([
      ...[true, true, true, false, false],
      null,
    ]);
  });

  it('name a rule and its pointer by the field, and block only on request', () => {
    expect(required('customerId')).toMatchObject({
      name: 'customer_id_missing',
      dimension: 'completeness',
      mode: 'scoring',
      pointer: '/data/customerId',
    });
    expect(range('n', { mode: 'blocking', name: 'too_much' })).toMatchObject({
      name: 'too_much',
      mode: 'blocking',
      dimension: 'validity',
    });
    const viewed = referential('sku', { history: productViewHistory, entity: product });
    expect(viewed).toMatchObject({ name: 'sku_unknown', dimension: 'consistency' });
    const once = unique(['sku'], { history: purchaseHistory, withinMs: 1 });
    expect(once).toMatchObject({ dimension: 'uniqueness', time: 'occurredAt' });
  });

  it('put every number into one bin, in order', () => {
    const { bins, binOf } = distribution('n', { edges: [1, 2.5, 10] });
    expect(bins).toEqual(['<1', '1..2.5', '2.5..10', '>=10']);
    expect([-1, 1, 2.4, 2.5, 9, 10, 1e9].map((n) => binOf({ n }))).toEqual([0, 1, 1, 2, 2, 3, 3]);
    expect(binOf({ n: null })).toBeNull();
    fc.assert(
      fc.property(fc.double({ noNaN: true }), fc.double({ noNaN: true }), (a, b) => {
        const [low, high] = [Math.min(a, b), Math.max(a, b)].map((n) => binOf({ n }) ?? -1);
        expect(low).toBeLessThanOrEqual(high ?? -2);
      }),
    );
    const country = distribution('c', { values: ['x', 'y'] });
    expect(['x', 'y', 'z', null].map((c) => country.binOf({ c }))).toEqual([0, 1, 2, null]);
  });

  it('know the fields of the contract', () => {
    const data = z.object({ n: z.number() });
    const declaration = { type: 'test.fields', version: 1, description: '', data, stores: () => [] };
    expect(event({ ...declaration, rules: [required('n')] }).quality.eventRules).toHaveLength(1);
    // @ts-expect-error: the contract has no such field.
    event({ ...declaration, rules: [required('m')] });
    // @ts-expect-error: a pattern is for texts.
    event({ ...declaration, rules: [pattern('n', /x/)] });
  });

  it('refuse rules that cannot be judged correctly', () => {
    expect(mistakeOf(distribution('n', { edges: [] }))).toMatch(/bins of the distribution/);
    expect(mistakeOf(distribution('n', { edges: [2, 1] }))).toMatch(/bins of the distribution/);
    expect(mistakeOf(distribution('n', { values: ['other'] }))).toMatch(/bins of the distribution/);
    expect(mistakeOf(pattern('s', /a/g))).toMatch(/flags g and y/);
    expect(mistakeOf(unique([], { history: purchaseHistory, withinMs: 1 }))).toMatch(/no properties/);
    expect(mistakeOf(unique(['sku'], { history: purchaseHistory, withinMs: 1e12 }))).toMatch(
      /around an event/,
    );
    expect(() => qualityOf([required('a'), required('a')], () => ({ a: 1 }))).toThrow(/twice/);
  });
});

describe('an event type', () => {
  const throwing = custom<{ n: number }>({
    ...{ name: 'throws', dimension: 'validity', pointer: '', detail: '' },
    holds: () => {
      throw new Error('a bug');
    },
  });
  const type = event({
    ...{ type: 'test.thing', version: 1, description: '' },
    data: z.object({ n: z.number() }),
    rules: [range('n', { min: 0 }), range('n', { name: 'blocks', mode: 'blocking', max: 10 }), throwing],
    stores: () => [],
  });

  it('refuses only by its blocking rules, and assesses all rules', () => {
    expect(type.interpret({ n: -1 }, context)).toMatchObject({ ok: true });
    expect(type.interpret({ n: 11 }, context)).toMatchObject({ ok: false, reason: 'blocks' });
    expect(type.quality.assess({ n: -1 }, context)?.held).toEqual([false, true, false]);
    expect(type.quality.assess({ n: 'x' }, context)).toBeNull();
  });
});

describe('the tally', () => {
  const line = { invoice: '1', sku: '85123A', quantity: 6, unitPrice: 2, country: 'EIRE', customerId: 'c' };
  const type = 'shop.purchase.v1';
  const time = new Date(AT).toISOString();
  const tally = (
    stored: Parameters<typeof tallyEvents>[1],
    refused: Parameters<typeof tallyEvents>[2] = [],
  ) => tallyEvents(catalog.eventTypes, stored, refused, AT);

  it('counts stored events by every rule that applies, and by their bins', () => {
    const counted = tally([{ type, time, data: line }])[type];
    expect(counted).toMatchObject({ events: 1, refused: 0 });
    expect(counted?.rules['description_missing']).toEqual({
      ...{ dimension: 'completeness', judged: 1, failed: 1 },
    });
    expect(counted?.rules['price_not_positive']).toMatchObject({ judged: 1, failed: 0 });
    expect(counted?.bins).toEqual({
      quantity_shifted: { '5..9': 1 },
      price_shifted: { '2..3': 1 },
      country_shifted: { EIRE: 1 },
    });
  });

  it('counts a refused event as failing the rule that refused it, even if the rule has changed', () => {
    const raw = { type, time, data: line };
    const counted = tally([], [{ type, reason: 'occurred_in_the_future', raw }])[type];
    expect(counted).toMatchObject({ events: 1, refused: 1 });
    expect(counted?.rules['occurred_in_the_future']).toMatchObject({ judged: 1, failed: 1 });
    expect(counted?.rules['quantity_not_positive']).toMatchObject({ judged: 1, failed: 0 });
    const conflict = tally([], [{ type, reason: 'conflicting_duplicate', raw }])[type];
    expect(conflict?.rules['conflicting_duplicate']).toMatchObject({ judged: 1, failed: 1 });
  });

  it('judges only the contract if it is broken', () => {
    const counted = tally([], [{ type, reason: 'contract_violation', raw: { data: line } }])[type];
    expect(counted?.rules).toEqual({ contract_violation: { dimension: 'validity', judged: 1, failed: 1 } });
    expect(counted?.bins).toEqual({});
  });

  it('counts an event under its reason if it has no type, or if that reason is not a rule', () => {
    const counted = tally(
      [{ type: 'gone.v1', time, data: {} }],
      [
        { type: null, reason: 'invalid_event', raw: 7 },
        { type: 'x', reason: 'unknown_event_type', raw: {} },
        { type, reason: 'invalid_event', raw: { type } },
      ],
    );
    expect(counted[UNRECOGNISED]).toMatchObject({ events: 3, refused: 2 });
    expect(Object.keys(counted[UNRECOGNISED]?.rules ?? {})).toEqual(['invalid_event', 'unknown_event_type']);
    expect(counted[type]?.rules['invalid_event']).toMatchObject({ judged: 1, failed: 1 });
  });
});
