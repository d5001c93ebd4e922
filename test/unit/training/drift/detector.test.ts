import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../../../src/platform/random.ts';
import { DriftDetector, type DriftVerdict, WINDOWS } from '../../../../src/training/drift/detector.ts';
import { binOf, type Reference, referenceOf } from '../../../../src/training/drift/reference.ts';
import { firstAlarm, NAMES, rowOf, sampleOf } from './streams.ts';

/** What `thresholdOf` gives for five columns and 10,000 rows between false alarms: 3.51 to 3.55. */
const THRESHOLD = 3.53;

describe('a reference', () => {
  it('counts each value once, the missing ones apart', () => {
    const { reference } = sampleOf(2_000, seededRandom(1));
    expect(reference.columns.map(({ name }) => name)).toEqual(NAMES);
    for (const { counts, borders } of reference.columns) {
      expect(counts.reduce((sum, count) => sum + count)).toBe(2_000);
      expect(counts).toHaveLength(borders.length + 1);
    }
    const missing = reference.columns.map(({ counts }) => (counts.at(-1) ?? 0) / 2_000);
    expect(missing[2]).toBeCloseTo(0.05, 1);
    expect(missing.filter((share) => share === 0)).toHaveLength(4);
  });

  it('puts a value beyond all that it has seen into the first or the last bin', () => {
    const column = { name: 'x', borders: [1, 2, 3], counts: [1, 1, 1, 0] };
    expect([-1e9, 1, 1.5, 3, 1e9, Number.NaN].map((value) => binOf(column, value))).toEqual([
      0, 0, 1, 2, 2, 3,
    ]);
  });

  it('is refused for few rows', () => {
    expect(() => referenceOf(new Map([['x', new Float32Array(999)]]))).toThrow(RangeError);
  });
});

describe('the index', () => {
  it('is that of a sum over shares', () => {
    const reference: Reference = {
      rows: 1_000,
      columns: [{ name: 'x', borders: [0, 1], counts: [500, 400, 100] }],
    };
    const detector = new DriftDetector(reference, { bucketRows: 10, buckets: [1] }, 0);
    let verdict: DriftVerdict | undefined;
    for (const value of [0, 0, 0, 1, 1, 1, 1, 1, Number.NaN, Number.NaN]) verdict = detector.add([value]);
    const share = (count: number, rows: number) => (count + 0.5) / (rows + 1.5);
    const psi = [
      [3, 500],
      [5, 400],
      [2, 100],
    ].reduce((sum, [served = 0, trained = 0]) => {
      const [p, q] = [share(served, 10), share(trained, 1_000)];
      return sum + (p - q) * Math.log(p / q);
    }, 0);
    expect(verdict?.psi).toBeCloseTo(psi, 12);
    const normal = (chi: number, k: number) =>
      (Math.cbrt(chi / k) - 1 + 2 / (9 * k)) / Math.sqrt(2 / (9 * k));
    const byPsi = normal(psi / (1 / 10 + 1 / 1_000), 2);
    // Ridits of the bins 0.278 and 0.778, of variance 0.0617; three and five of eight values.
    const level = (3 * (250 / 900) + 5 * (700 / 900)) / 8;
    const variance = (5 / 9) * (250 / 900 - 0.5) ** 2 + (4 / 9) * (700 / 900 - 0.5) ** 2;
    const byLevel = normal((level - 0.5) ** 2 / (variance * (1 / 8 + 1 / 900)), 1);
    expect(verdict?.level).toBeCloseTo(level, 12);
    expect(verdict?.statistic).toBeCloseTo(Math.max(byPsi, byLevel), 12);
    expect(verdict?.by).toBe(byPsi > byLevel ? 'psi' : 'level');
    expect(verdict?.missing).toEqual({ training: 0.1, serving: 0.2 });
  });

  it('of a window depends on the rows of that window alone, whatever passed before and wherever it was evicted', () => {
    const { reference } = sampleOf(1_000, seededRandom(2));
    const windows = { bucketRows: 4, buckets: [2, 3] };
    const rows = fc.array(fc.tuple(fc.double({ noNaN: false }), fc.nat(9)), { minLength: 20, maxLength: 60 });
    fc.assert(
      fc.property(rows, fc.nat(60), (values, evictedAt) => {
        const asRow = ([value, count]: readonly [number, number]) => [value, value, count, 0, 0];
        const kept = new DriftDetector(reference, windows, 0);
        let evicted = new DriftDetector(reference, windows, 0);
        const whole = Math.floor(values.length / 4) * 4;
        let last: DriftVerdict | undefined;
        for (const [at, value] of values.slice(0, whole).entries()) {
          if (at === evictedAt)
            evicted = new DriftDetector(reference, windows, 0, JSON.parse(JSON.stringify(evicted.state)));
          last = kept.add(asRow(value));
          expect(evicted.add(asRow(value))).toEqual(last);
        }
        const fresh = new DriftDetector(reference, windows, 0);
        let alone: DriftVerdict | undefined;
        for (const value of values.slice(whole - 12, whole)) alone = fresh.add(asRow(value));
        expect(last).toEqual({ ...alone, rows: whole });
      }),
    );
  });

  it('refuses the state of another reference', () => {
    const { reference } = sampleOf(1_000, seededRandom(3));
    expect(() => new DriftDetector(reference, WINDOWS, 0, { rows: 0, buckets: [[1, 2]] })).toThrow(
      RangeError,
    );
    expect(() => new DriftDetector(reference, WINDOWS, 0, { rows: 0, buckets: [] })).toThrow(RangeError);
  });
});

describe('a drift', () => {
  const { reference } = sampleOf(5_000, seededRandom(4));
  const options = { windows: WINDOWS, threshold: THRESHOLD, rowsMax: 10_000 };

  it.each([
    ['a sudden shift of one standard deviation', { mean: 1 }, 'normal', 200],
    ['a sudden shift of a quarter of it', { mean: 0.25 }, 'normal', 3_000],
    ['more missing values', { missing: 0.2 }, 'count', 500],
  ] as const)('is seen: %s', (_, shift, column, delayMax) => {
    const random = seededRandom(5);
    const verdict = firstAlarm(reference, options, (at) => rowOf(random, at < 3_000 ? {} : shift));
    expect(verdict).toMatchObject({ column, isDrifting: true });
    expect(verdict?.rows).toBeGreaterThan(3_000);
    expect(verdict?.rows).toBeLessThanOrEqual(3_000 + delayMax);
  });

  it('that begins slowly is seen, and one that ends is over once the longest window has passed', () => {
    const random = seededRandom(6);
    const detector = new DriftDetector(reference, WINDOWS, THRESHOLD);
    const drifting: number[] = [];
    for (let at = 0; at < 6_500; at += 1) {
      const mean = at < 2_000 ? 0 : at < 5_000 ? (at - 2_000) / 3_000 : 0;
      const verdict = detector.add(rowOf(random, { mean }));
      if (verdict?.isDrifting === true) drifting.push(verdict.rows);
    }
    expect(drifting[0]).toBeGreaterThan(2_000);
    expect(drifting[0]).toBeLessThan(4_000);
    expect(drifting.at(-1)).toBeGreaterThan(4_900);
    expect(drifting.at(-1)).toBeLessThanOrEqual(6_000);
  });
});
