import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { FeatureDefinition } from '../../../src/define/feature.ts';
import { answersFor, type CellRule, cellRulesOf } from '../../../src/features/cell-rule.ts';
import { cellsOf, type FoldableEvent, mergeCells } from '../../../src/features/fold.ts';
import { readFeature } from '../../../src/features/read.ts';
import { BUCKET_MS, daysRead, horizonOf, longestWindow, oldestDay } from '../../../src/features/retention.ts';
import { items, purchases, spend, units } from '../../support/catalog/features.ts';
import { catalog } from '../../support/catalog/index.ts';

const NOW = Date.UTC(2026, 10, 23, 12);

function purchase(seq: number, occurredAt: number): FoldableEvent {
  const data = { invoice: 'A', sku: '1', quantity: 2, unitPrice: 1.5, customerId: 'k', country: 'UK' };
  return { seq, type: 'shop.purchase.v1', occurredAt, data };
}

describe('expiry', () => {
  it('changes no read as of the horizon or later', () => {
    const moments = fc.array(fc.integer({ min: NOW - 500 * BUCKET_MS, max: NOW }), { maxLength: 40 });
    fc.assert(
      fc.property(moments, fc.integer({ min: 0, max: 3 * BUCKET_MS }), (times, later) => {
        const horizon = horizonOf(NOW);
        const readAt = horizon * BUCKET_MS + later;
        for (const definition of catalog.features) {
          const cells = mergeCells(
            times.flatMap((time, at) => cellsOf([definition], purchase(at + 1, time))),
          );
          const left = cells.filter(({ bucket }) => bucket >= oldestDay(longestWindow(definition), horizon));
          expect(readFeature(definition, left, readAt)).toEqual(readFeature(definition, cells, readAt));
        }
      }),
    );
  });

  it('keeps the days of the longest window, two more, and lifetime features for ever', () => {
    const today = Math.floor(NOW / BUCKET_MS);
    expect(longestWindow(purchases)).toBe(365);
    expect(oldestDay(365, horizonOf(NOW))).toBe(today - 2 - 364);
    expect(daysRead(365, NOW)).toEqual({ from: today - 364, to: today });
    expect(oldestDay(longestWindow(items), horizonOf(NOW))).toBe(0);
  });
});

/** The rule of a feature with one slot. */
function cellRuleOf(definition: FeatureDefinition): CellRule {
  const [rule] = cellRulesOf(definition);
  if (rule === undefined) throw new Error('The feature has no slot.');
  return rule;
}

describe('the rule of cells', () => {
  const rule = cellRuleOf(purchases);

  it('is that of another version of the event, and of shorter windows', () => {
    expect(answersFor(rule, cellRuleOf({ ...purchases, eventType: 'shop.purchase.v2' }))).toBe(true);
    expect(answersFor(rule, cellRuleOf({ ...purchases, windowsDays: [30] }))).toBe(true);
  });

  it.each([
    ['a longer window', cellRuleOf({ ...purchases, windowsDays: [30, 366] })],
    ['no window', cellRuleOf({ ...purchases, windowsDays: [] })],
    ['another aggregate', cellRuleOf({ ...purchases, aggregate: 'sum' })],
    ['another event', cellRuleOf({ ...purchases, eventType: 'shop.return.v1' })],
    ['another feature', cellRuleOf({ ...purchases, name: spend.name })],
  ])('is another with %s', (_, changed) => {
    expect(answersFor(rule, changed)).toBe(false);
    expect(answersFor(cellRuleOf(units), cellRuleOf(units))).toBe(true);
  });
});
