import { describe, expect, it } from 'vitest';
import { DAY_MS } from '../../../catalog/ranker.ts';
import { choosePurchases, describePurchases } from '../../../training/origin.ts';
import { MIN_HISTORY_DAYS, type Purchase } from '../../../training/purchases.ts';

const START = Date.UTC(2010, 0, 1, 12);

/** One purchase a day. */
function purchases(days: number, prefix = ''): Purchase[] {
  return Array.from({ length: days }, (_, day) => ({
    ...{ sku: `${prefix}${20_000 + (day % 7)}`, customer: `${prefix}${13_000 + (day % 5)}`, quantity: 1 },
    at: START + day * DAY_MS,
  }));
}

describe('the purchases that a training reads', () => {
  const real = purchases(MIN_HISTORY_DAYS + 1);
  const madeUp = purchases(400, 'demo-');

  it('are only the real ones, if their history is long enough', () => {
    const chosen = choosePurchases([...madeUp, ...real]);
    expect(chosen).toEqual({ isMadeUp: false, purchases: real, leftOut: 400, apart: 0 });
    expect(describePurchases(chosen, [{ source: '/imports/online-retail', events: real.length }])).toBe(
      `Real data: ${real.length} purchase lines of 5 customers and 7 products, 2010-01-01 to 2010-05-21 (141 days), from /imports/online-retail (${real.length}). Left out: 400 lines of the made-up shop.`,
    );
  });

  it('are only the made-up ones, if there are few real ones', () => {
    const few = purchases(MIN_HISTORY_DAYS - 20);
    const mixed: Purchase = { ...few[0], sku: '20001', customer: 'demo-13001', quantity: 1, at: START };
    const chosen = choosePurchases([...few, ...madeUp, mixed]);
    expect(chosen).toEqual({ isMadeUp: true, purchases: [...madeUp, mixed], leftOut: few.length, apart: 0 });
    expect(describePurchases(chosen, [])).toMatch(
      /^The made-up shop: 401 purchase lines .* Left out: 120 real lines, because/,
    );
  });

  it('are of the newest period that is long enough, without lines of another time', () => {
    const now: Purchase = { sku: '20001', customer: '13001', quantity: 1, at: START + 6_000 * DAY_MS };
    const before = purchases(200).map((one) => ({ ...one, at: one.at - 400 * DAY_MS }));
    const chosen = choosePurchases([now, ...before, ...real]);
    expect(chosen).toEqual({ isMadeUp: false, purchases: real, leftOut: 0, apart: 201 });
    expect(describePurchases(chosen, [])).toMatch(
      /\(141 days\)\. Left out: 201 lines of other periods, separated by more than 56 days without a purchase\.$/,
    );
    // A closed month is no gap.
    const interrupted = real.map((one, day) => (day < 60 ? one : { ...one, at: one.at + 30 * DAY_MS }));
    expect(choosePurchases(interrupted)).toMatchObject({ purchases: interrupted, apart: 0 });
  });

  it('are the real ones, however few, where nothing is made up', () => {
    expect(choosePurchases(real.slice(0, 3))).toMatchObject({ isMadeUp: false, leftOut: 0 });
    expect(choosePurchases([])).toEqual({ isMadeUp: false, purchases: [], leftOut: 0, apart: 0 });
  });

  it('are described without a word of what is left out, where nothing is', () => {
    expect(describePurchases(choosePurchases(real), [])).toBe(
      `Real data: ${real.length} purchase lines of 5 customers and 7 products, 2010-01-01 to 2010-05-21 (141 days).`,
    );
    expect(describePurchases(choosePurchases(madeUp), [])).toMatch(
      /^The made-up shop: 400 purchase lines .* \(400 days\)\.$/,
    );
    expect(describePurchases(choosePurchases([]), [])).toBe(
      'Real data: 0 purchase lines of 0 customers and 0 products.',
    );
  });
});
