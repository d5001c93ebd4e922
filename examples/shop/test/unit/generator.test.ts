import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { runsOf } from '../../../../test/support/node/part.ts';
import { purchase } from '../../catalog/events.ts';
import { isProduct } from '../../catalog/ranker.ts';
import { LineIdentity, toCloudEvent } from '../../import/event.ts';
import type { InvoiceLine } from '../../import/line.ts';
import { CSV_HEADER, toCsvRow } from '../../seed/csv.ts';
import { generateLines, SEED_SOURCE } from '../../seed/generator.ts';
import { isMadeUp } from '../../seed/made-up.ts';
import { createRandom, Weighted } from '../../seed/random.ts';
import { linesOf } from './import-fixtures.ts';

const UNTIL = new Date('2026-11-23T11:00:00Z');
const FULL = [...generateLines({ seed: 1, until: UNTIL })];
const FIRST = firstOf(FULL);
const PURCHASES = FULL.filter(({ invoice }) => !invoice.startsWith('C'));

function firstOf([first]: readonly InvoiceLine[]): InvoiceLine {
  if (first === undefined) throw new TypeError('There is a line.');
  return first;
}

function share(lines: readonly InvoiceLine[], holds: (line: InvoiceLine) => boolean): number {
  return lines.filter(holds).length / lines.length;
}

function timeOf({ occurredAt }: InvoiceLine): number {
  if (typeof occurredAt !== 'number') throw new TypeError('A generated line has a time.');
  return occurredAt;
}

function quantityOf({ quantity }: InvoiceLine): number {
  return Number(quantity);
}

/** The products that a customer bought, one set for every invoice, in the order of time. */
function basketsByCustomer(): Set<string>[][] {
  const known = PURCHASES.filter(({ customerId }) => customerId !== null);
  return [...Map.groupBy(known, ({ customerId }) => customerId).values()].map((lines) =>
    [...Map.groupBy(lines, ({ invoice }) => invoice).values()].map(
      (basket) => new Set(basket.map(({ sku }) => sku)),
    ),
  );
}

describe('any seed', () => {
  const small = { until: UNTIL, customers: 200, products: 60, lines: 3000 };

  test('gives the same lines again, and other lines than the next seed', () => {
    fc.assert(
      fc.property(fc.maxSafeInteger(), (seed) => {
        const lines = [...generateLines({ ...small, seed })];
        expect([...generateLines({ ...small, seed })]).toEqual(lines);
        const neighbour = seed === Number.MAX_SAFE_INTEGER ? seed - 1 : seed + 1;
        expect([...generateLines({ ...small, seed: neighbour })]).not.toEqual(lines);
      }),
      { numRuns: runsOf(10) },
    );
  });

  test('gives lines in the order of time, before `until`, in opening hours, under rising numbers', () => {
    const moment = fc.date({ min: new Date('2000-01-01'), max: new Date('2040-01-01'), noInvalidDate: true });
    fc.assert(
      fc.property(fc.maxSafeInteger(), moment, fc.integer({ min: 1, max: 24 }), (seed, until, months) => {
        const lines = [...generateLines({ ...small, seed, until, months, lines: 500 })];
        let [time, number] = [0, 0];
        for (const line of lines) {
          const date = new Date(timeOf(line));
          const lineNumber = Number(/\d+$/.exec(line.invoice)?.[0]);
          if (date.getTime() < time || lineNumber < number)
            throw new Error(`Out of order: ${JSON.stringify(line)}`);
          [time, number] = [date.getTime(), lineNumber];
          expect(date.getUTCDay()).not.toBe(6);
          expect(date.getUTCHours()).toBeGreaterThanOrEqual(7);
          expect(date.getUTCHours()).toBeLessThanOrEqual(20);
        }
        expect(time).toBeLessThanOrEqual(until.getTime());
        expect(lines.length).toBeGreaterThanOrEqual(500);
      }),
      { numRuns: runsOf(25) },
    );
  });

  test('works at the smallest size and refuses nonsense', () => {
    expect(
      [...generateLines({ seed: 0, until: UNTIL, months: 1, customers: 1, products: 1, lines: 20 })].length,
    ).toBeGreaterThanOrEqual(20);
    const first = (options: object) => generateLines({ seed: 1, until: UNTIL, ...options }).next();
    expect(() => first({ lines: 0 })).toThrow(RangeError);
    expect(() => first({ seed: 0.5 })).toThrow(RangeError);
    expect(() => first({ until: new Date('never') })).toThrow(RangeError);
  });
});

describe('the dirt of the real file', () => {
  test.each<[string, readonly InvoiceLine[], (line: InvoiceLine) => boolean, number, number]>([
    ['lines without a customer (20.5 %)', FULL, ({ customerId }) => customerId === null, 0.16, 0.25],
    ['cancelled lines (1.9 %)', FULL, ({ invoice }) => invoice.startsWith('C'), 0.014, 0.026],
    ['written off (0.40 %)', PURCHASES, (line) => quantityOf(line) < 0, 0.003, 0.006],
    ['no price (0.70 %)', FULL, ({ unitPrice }) => Number(unitPrice) <= 0, 0.005, 0.009],
    ['no description (0.56 %)', FULL, ({ description }) => description === null, 0.003, 0.008],
    ['codes that are no products (0.6 %)', FULL, ({ sku }) => !/^demo-\d{5}[A-Z]?$/.test(sku), 0.003, 0.009],
  ])('%s', (_, lines, holds, min, max) => {
    expect(share(lines, holds)).toBeGreaterThan(min);
    expect(share(lines, holds)).toBeLessThan(max);
  });

  test('about 60,000 lines, 1.3 % of them doubled within their invoice', () => {
    expect(FULL.length).toBeGreaterThanOrEqual(60_000);
    expect(FULL.length).toBeLessThan(60_300);
    const doubled = 1 - new Set(FULL.map((line) => JSON.stringify(line))).size / FULL.length;
    expect(doubled).toBeGreaterThan(0.008);
    expect(doubled).toBeLessThan(0.018);
  });

  test('cancelled lines have negative quantities, and most of them a purchase before', () => {
    const bought = new Set<string>();
    let [returned, known] = [0, 0];
    for (const line of FULL) {
      const pair = `${line.customerId} ${line.sku}`;
      if (!line.invoice.startsWith('C')) bought.add(pair);
      else {
        expect(quantityOf(line)).toBeLessThan(0);
        returned += 1;
        if (bought.has(pair)) known += 1;
      }
    }
    expect(known / returned).toBeGreaterThan(0.85);
  });
});

describe('the structure that a recommender learns', () => {
  test('customers buy again what they bought', () => {
    let [again, lines, byChance] = [0, 0, 0];
    const products = new Set(PURCHASES.map(({ sku }) => sku)).size;
    for (const baskets of basketsByCustomer()) {
      const before = new Set<string>();
      for (const basket of baskets) {
        for (const sku of basket) {
          lines += 1;
          if (before.has(sku)) again += 1;
          byChance += before.size / products;
        }
        for (const sku of basket) before.add(sku);
      }
    }
    expect(again / lines).toBeGreaterThan(0.2);
    expect(again).toBeGreaterThan(3 * byChance);
  });

  test('some pairs of products lie in one basket far more often than chance has it', () => {
    const baskets = basketsByCustomer().flat();
    const counts = new Map<string, number>();
    const pairs = new Map<string, number>();
    for (const basket of baskets) {
      const skus = [...basket].toSorted();
      for (const [index, sku] of skus.entries()) {
        counts.set(sku, (counts.get(sku) ?? 0) + 1);
        for (const other of skus.slice(index + 1)) {
          pairs.set(`${sku} ${other}`, (pairs.get(`${sku} ${other}`) ?? 0) + 1);
        }
      }
    }
    const strong = [...pairs].filter(([pair, together]) => {
      const [one = '', other = ''] = pair.split(' ');
      const expected = ((counts.get(one) ?? 0) * (counts.get(other) ?? 0)) / baskets.length;
      return together >= 20 && together > 5 * expected;
    });
    expect(strong.length).toBeGreaterThan(200);
  });

  test('few products make most of the sales, and new ones appear', () => {
    const counts = [...Map.groupBy(PURCHASES, ({ sku }) => sku).values()].map(({ length }) => length);
    const sorted = counts.toSorted((one, other) => other - one);
    const top = sorted.slice(0, 80).reduce((sum, count) => sum + count, 0);
    expect(top / PURCHASES.length).toBeGreaterThan(0.4);
    const half = timeOf(firstOf(FULL.slice(FULL.length / 2)));
    const early = new Set(FULL.filter((line) => timeOf(line) < half).map(({ sku }) => sku));
    const late = new Set(FULL.filter((line) => timeOf(line) >= half).map(({ sku }) => sku));
    expect([...late].filter((sku) => !early.has(sku)).length).toBeGreaterThan(20);
  });

  test('customers come and go', () => {
    const seen = (from: number, to: number) =>
      new Set(PURCHASES.slice(from, to).map(({ customerId }) => customerId));
    const first = seen(0, 12_000);
    const last = seen(-12_000, PURCHASES.length);
    const stayed = [...first].filter((id) => last.has(id)).length;
    expect(stayed / first.size).toBeLessThan(0.7);
    expect(stayed / last.size).toBeLessThan(0.7);
    expect(stayed).toBeGreaterThan(50);
  });

  test('November outsells February by far', () => {
    const inMonth = (month: number) => share(FULL, (line) => new Date(timeOf(line)).getUTCMonth() === month);
    expect(inMonth(10)).toBeGreaterThan(2 * inMonth(1));
  });
});

describe('made-up ids', () => {
  // Every form that the ids of the real files have: letters as A, digits as 9 in the names.
  const REAL_INVOICE = /^[AC]?\d{6}$/;
  const REAL_SKU =
    /^(?:\d{5}[A-Za-z]{0,2}|[A-Z]{1,12}|[A-Z]{1,7}\d{1,4}[A-Z]?|[a-z]|gift_\d{4}_\d{2}|BANK CHARGES)$/;
  const REAL_CUSTOMER = /^\d{5}$/;

  test('are those of no real line', () => {
    for (const { invoice, sku, customerId } of FULL) {
      expect(invoice).not.toMatch(REAL_INVOICE);
      expect(sku).not.toMatch(REAL_SKU);
      expect(customerId ?? 'demo-').not.toMatch(REAL_CUSTOMER);
      if (!isMadeUp(invoice.replace(/^[AC]/, '')) || !isMadeUp(sku) || !isMadeUp(customerId ?? sku))
        throw new Error(`An id without the prefix: ${invoice}, ${sku}, ${customerId}`);
    }
  });

  test('are distinguishable from those of real lines', () => {
    const real = [REAL_INVOICE, REAL_SKU, REAL_CUSTOMER].map((form) => fc.stringMatching(form));
    fc.assert(
      fc.property(fc.oneof(...real), (id) => {
        expect(isMadeUp(id)).toBe(false);
      }),
    );
  });

  test('are taken by the contract and the rules as the real ones are', () => {
    const clean = FULL.filter(({ quantity, unitPrice }) => Number(quantity) > 0 && Number(unitPrice) > 0);
    const moment = { occurredAt: UNTIL.getTime(), now: UNTIL.getTime() };
    for (const line of clean.slice(0, 2_000)) {
      const { data } = toCloudEvent(line, { source: SEED_SOURCE, id: 'x' });
      expect(purchase.interpret(data, moment)).toMatchObject({ ok: true });
    }
    const products = FULL.filter(({ sku }) => /\d{5}/.test(sku));
    expect(products.every(({ sku }) => isProduct(sku))).toBe(true);
    expect(['demo-POST', 'demo-M', 'demo-BANK CHARGES'].some(isProduct)).toBe(false);
  });
});

test('every line becomes an event with an id of its own', () => {
  const identity = new LineIdentity();
  const events = FULL.map((line) => toCloudEvent(line, { source: SEED_SOURCE, id: identity.idOf(line) }));
  expect(new Set(events.map(({ id }) => id)).size).toBe(FULL.length);
  expect(events[0]).toMatchObject({ source: '/seed', specversion: '1.0' });
  expect(identity.stepsBack).toBe(0);
});

test('a generated file is imported as the same lines', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'millrace-seed-'));
  const path = join(directory, 'seed.csv');
  const odd: InvoiceLine = {
    ...FIRST,
    description: 'A "B", C',
    quantity: 'x',
    occurredAt: 'y',
  };
  const lines = [...FULL.slice(0, 5000), odd];
  await writeFile(path, [CSV_HEADER, ...lines.map(toCsvRow)].join('\n'));
  expect(await linesOf(path)).toEqual(lines);
  await rm(directory, { recursive: true });
});

describe('draws', () => {
  test('are spread evenly', () => {
    const random = createRandom(7);
    const buckets = new Array<number>(10).fill(0);
    for (let draw = 0; draw < 100_000; draw += 1) {
      const bucket = random.integer(0, 9);
      buckets[bucket] = (buckets[bucket] ?? 0) + 1;
    }
    for (const count of buckets) expect(Math.abs(count - 10_000)).toBeLessThan(500);
  });

  test('follow their weights', () => {
    const random = createRandom(7);
    const weighted = new Weighted(
      ['never', 'seldom', 'often', 'not'],
      (item) => ({ seldom: 1, often: 3 })[item] ?? 0,
    );
    const drawn = Array.from({ length: 10_000 }, () => weighted.draw(random));
    expect(new Set(drawn)).toEqual(new Set(['seldom', 'often']));
    expect(drawn.filter((item) => item === 'often').length / drawn.length).toBeCloseTo(0.75, 1);
    expect(new Weighted([], () => 1).draw(random)).toBeNull();
  });
});
