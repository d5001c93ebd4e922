import { describe, expect, it } from 'vitest';
import { NOTHING_FOUND, totalOf } from '../../../src/operations/erasure/found.ts';
import { linesWithout } from '../../../src/operations/erasure/served-lines.ts';
import { mayHave } from '../../../src/operations/erasure/step.ts';
import { hasValues, namedBy, type Subject } from '../../../src/operations/erasure/subject.ts';
import { customer, product } from '../../support/catalog/entities.ts';
import { catalog } from '../../support/catalog/index.ts';

const NOW = Date.parse('2026-03-01T00:00:00Z');
const subject: Subject = { entity: customer, key: 'c1', values: { id: 'c1' } };
const line = { invoice: '1', sku: 'c1', quantity: 1, unitPrice: 1, customerId: 'c1', country: 'UK' };
const event = (type: string, data: unknown) => ({ seq: 1, type, occurredAt: NOW - 1_000, data });

describe('an event names an entity', () => {
  it('if it writes its row, appends to its history or counts for its features', () => {
    const named = namedBy(subject, event('shop.purchase.v1', line), catalog, NOW);
    expect(named).toMatchObject({ hasFedOthers: true, isByValue: false });
    expect(named?.tags).toEqual(['purchase@customer:c1', 'purchase@product:c1']);
  });

  it('in an earlier version of its type', () => {
    const seen = namedBy(
      subject,
      event('shop.product-view.v1', { sku: 'A', customerId: 'c1' }),
      catalog,
      NOW,
    );
    expect(seen).toMatchObject({ hasFedOthers: false });
  });

  it('and not if another entity has the same key', () => {
    const ofAnother = { ...line, customerId: 'c2' };
    expect(namedBy(subject, event('shop.purchase.v1', ofAnother), catalog, NOW)).toBeUndefined();
    const asProduct = { entity: product, key: 'c1', values: { sku: 'c1' } };
    expect(namedBy(asProduct, event('shop.purchase.v1', ofAnother), catalog, NOW)).toBeDefined();
  });

  it('by the value of the key where the catalog cannot interpret it', () => {
    const unknown = namedBy(subject, event('shop.gone.v1', { deep: [{ who: 'c1' }] }), catalog, NOW);
    expect(unknown).toMatchObject({ isByValue: true });
    const broken = namedBy(subject, event('shop.purchase.v1', { ...line, quantity: 'x' }), catalog, NOW);
    expect(broken).toMatchObject({ isByValue: true });
    expect(namedBy(subject, event('shop.gone.v1', { who: 'c11' }), catalog, NOW)).toBeUndefined();
  });
});

it('every part of a key has to be among the values', () => {
  expect(hasValues({ a: 7, b: ['x'] }, { one: 7, two: 'x' })).toBe(true);
  expect(hasValues({ a: 7 }, { one: 7, two: 'x' })).toBe(false);
});

describe('a dataset may have erased events', () => {
  const found = {
    ...NOTHING_FOUND,
    ...{ types: ['a.v1'], firstRecordedAt: '2026-01-01T00:00:00.000Z', eventsEndedMs: NOW },
  };
  const first = Date.parse('2026-01-01T00:00:00Z');
  const made = { id: 'd', model: 'm', asOfMs: first, begunMs: NOW };
  const typesOf = () => ['a.v1', 'b.v1'];
  it.each([
    ['as of the moment of the first one', {}, typesOf, true],
    ['not as of an earlier moment', { asOfMs: first - 1 }, typesOf, false],
    ['not if it was begun after they were gone', { begunMs: NOW + 1 }, typesOf, false],
    ['not if none of their types counts', {}, () => ['b.v1'], false],
    ['if it is not known which types count', {}, () => [], true],
  ])('%s', (_, over, types, expected) => {
    expect(mayHave({ ...made, ...over }, found, types)).toBe(expected);
  });
});

describe('the log of served predictions without an entity', () => {
  const record = { entity: 'customer', key: 'c2', items: [['A1', 0.5]], input: null };
  const line = (over: object) => `${JSON.stringify({ ...record, ...over })}\n`;
  it('lacks its lines, and those that offered it or were asked about it', () => {
    const others = [line({}), line({ entity: 'product', key: 'c1' }), line({ items: null })];
    const about = [
      line({ key: 'c1' }),
      line({ items: [['c1', 1]] }),
      line({ input: { who: 'c1' } }),
      '{"key":"c1\n',
    ];
    const text = [others[0], about[0], about[1], others[1], about[2], others[2], about[3]].join('');
    expect(linesWithout(text, subject)).toEqual({ left: others.join(''), removed: 4 });
    expect(linesWithout(others.join(''), subject)).toEqual({ left: others.join(''), removed: 0 });
  });
});

it('the total has every place', () => {
  const everywhere = {
    ...NOTHING_FOUND,
    ...{ events: { a: 1 }, rows: { b: 2 }, entityRow: 1, removals: 1, quarantine: 1, predictions: 1 },
    ...{ mentions: 1, served: 1, features: 1, outbox: 1, datasets: ['d'] },
  };
  expect(totalOf(everywhere)).toBe(12);
});
