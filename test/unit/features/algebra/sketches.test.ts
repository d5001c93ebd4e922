import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  decayedAt,
  decayedOf,
  decayedSum,
  decayedText,
  HALF_LIVES_MAX,
  parseDecayed,
} from '../../../../src/features/algebra/decay.ts';
import {
  EXACT_MAX,
  STANDARD_ERROR,
  setOf,
  sizeOf,
  unionOf,
} from '../../../../src/features/algebra/distinct.ts';
import {
  frequentOf,
  frequentSum,
  frequentText,
  mostFrequent,
  parseFrequent,
} from '../../../../src/features/algebra/frequent.ts';
import { mergedState, STATE_BYTES_MAX } from '../../../../src/features/algebra/state.ts';

const union = (values: readonly string[]) => values.map(setOf).reduce(unionOf);

describe('a set of distinct values', () => {
  it('has one form, whatever the order, the repetitions and the parts', () => {
    const values = fc.array(fc.integer({ min: 0, max: 150 }).map(String), { minLength: 1, maxLength: 300 });
    fc.assert(
      fc.property(values, fc.nat(300), (all, cut) => {
        const parts = [all.slice(0, cut), all.slice(cut), all.slice(0, 10)].filter(
          ({ length }) => length > 0,
        );
        expect(parts.map((part) => union([...part].reverse())).reduce(unionOf)).toBe(union(all));
        const different = new Set(all).size;
        if (different <= EXACT_MAX) expect(sizeOf(union(all))).toBe(different);
      }),
      { numRuns: 50 },
    );
  });

  it('is estimated within its standard error, from 65 to 5,000 values', () => {
    const squares: number[] = [];
    for (const size of [65, 200, 1_000, 2_500, 5_000])
      for (let trial = 0; trial < (size > 2_000 ? 4 : 10); trial += 1) {
        let registers = union(Array.from({ length: 65 }, (_, at) => `${trial}/${at}`));
        const parts: string[] = [];
        for (let at = 65; at < size; at += EXACT_MAX)
          parts.push(
            union(Array.from({ length: Math.min(EXACT_MAX, size - at) }, (_, of) => `${trial}/${at + of}`)),
          );
        for (const part of parts) registers = unionOf(registers, part);
        const error = sizeOf(registers) / size - 1;
        expect(Math.abs(error)).toBeLessThan(5 * STANDARD_ERROR);
        squares.push(error * error);
      }
    const root = Math.sqrt(squares.reduce((sum, square) => sum + square) / squares.length);
    expect(root).toBeLessThan(1.2 * STANDARD_ERROR);
  });
});

describe('a decayed count', () => {
  const HALF_LIFE_MS = 86_400_000;
  const NOW = Date.UTC(2026, 10, 23, 12);

  it('is the sum of the weights within 0.3 %, and one state whatever the order', () => {
    const times = fc.array(fc.integer({ min: NOW - 60 * HALF_LIFE_MS, max: NOW }), {
      minLength: 1,
      maxLength: 50,
    });
    fc.assert(
      fc.property(times, fc.nat(50), (all, cut) => {
        const sum = (of: readonly number[]) => of.map((at) => decayedOf(at, HALF_LIFE_MS)).reduce(decayedSum);
        const parts = [all.slice(cut), all.slice(0, cut)].filter(({ length }) => length > 0);
        const text = decayedText(parts.map((part) => sum([...part].reverse())).reduce(decayedSum));
        expect(text).toBe(decayedText(sum(all)));
        const weights = all.reduce((total, at) => total + 2 ** ((at - NOW) / HALF_LIFE_MS), 0);
        const value = decayedAt(parseDecayed(text), NOW, HALF_LIFE_MS);
        const dropped = all.length * 2 ** -(HALF_LIVES_MAX - 1);
        expect(Math.abs(value - weights)).toBeLessThanOrEqual(0.003 * weights + dropped);
      }),
    );
  });

  it('does not count half-lives that have not begun', () => {
    expect(decayedAt(decayedOf(NOW + 2 * HALF_LIFE_MS, HALF_LIFE_MS), NOW, HALF_LIFE_MS)).toBe(0);
    expect(decayedAt(decayedOf(NOW, HALF_LIFE_MS), NOW, HALF_LIFE_MS)).toBe(1);
    expect(decayedAt(decayedOf(NOW - HALF_LIFE_MS, HALF_LIFE_MS), NOW, HALF_LIFE_MS)).toBe(0.5);
  });
});

describe('frequent values', () => {
  const sum = (of: readonly { value: string; seq: number }[]) =>
    of.map(({ value, seq }) => frequentOf(value, seq)).reduce(frequentSum);

  it('have one state whatever the order and the parts, and exact counts of up to 32 values', () => {
    const values = fc.array(fc.integer({ min: 0, max: 45 }).map(String), { minLength: 1, maxLength: 120 });
    fc.assert(
      fc.property(values, fc.nat(120), (drawn, cut) => {
        const all = drawn.map((value, at) => ({ value, seq: at + 1 }));
        const parts = [all.slice(cut), all.slice(0, cut)].filter(({ length }) => length > 0);
        const state = parts.map((part) => sum([...part].reverse())).reduce(frequentSum);
        expect(frequentText(state)).toBe(frequentText(sum(all)));
        expect(parseFrequent(frequentText(state))).toEqual(state);
        const counts = Map.groupBy(drawn, (value) => value);
        const told = mostFrequent(state, 32);
        for (const { item, count } of told) {
          const owed = counts.get(item)?.length ?? 0;
          if (counts.size <= 32) expect(count).toBe(owed);
          else expect(count).toBeGreaterThanOrEqual(owed);
        }
        expect(told).toHaveLength(Math.min(counts.size, 32));
      }),
    );
  });

  it('beyond 32 values find the frequent ones, and estimate within 4.3 % of all events', () => {
    let found = 0;
    let within = 0;
    const [trials, events] = [40, 800];
    for (let trial = 0; trial < trials; trial += 1) {
      const all = Array.from({ length: events }, (_, at) => ({
        value: at % 5 === 0 ? 'often' : `${trial}/${(at * 31) % 301}`,
        seq: trial * events + at + 1,
      }));
      const often = mostFrequent(sum(all), 32).find(({ item }) => item === 'often');
      if (often === undefined) continue;
      found += 1;
      if (often.count - events / 5 <= events * 0.043) within += 1;
    }
    expect(found).toBe(trials);
    expect(within / trials).toBeGreaterThanOrEqual(0.9);
  });

  it('fit the limit of a state at their longest', () => {
    const all = Array.from({ length: 40 }, (_, at) => ({ value: `${at}`.padStart(64, '\u4e16'), seq: at }));
    let state = sum(all);
    for (let doubled = 0; doubled < 30; doubled += 1) state = frequentSum(state, state);
    expect(new TextEncoder().encode(frequentText(state)).length).toBeLessThanOrEqual(STATE_BYTES_MAX);
  });
});

describe('states', () => {
  it('are not merged across algebras, and the longest fits its limit', () => {
    expect(() => mergedState('<1', '>1')).toThrow(/not of one algebra/);
    const registers = union(Array.from({ length: 100 }, (_, at) => String(at)));
    expect(registers.length + 1).toBeLessThanOrEqual(STATE_BYTES_MAX);
  });
});
