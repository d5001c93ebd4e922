import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { invalidate, newClock } from '../../../../src/cache/clock/clock.ts';
import type { Entry } from '../../../../src/cache/entry.ts';
import { DEMAND_SETTINGS, DemandModel, probabilityOfUse } from '../../../../src/cache/warming/demand.ts';
import { cachePolicy } from '../../../../src/define/cache-policy.ts';

const POLICY = cachePolicy({ jitter: 0 });
const TTL_MS = POLICY.ttlS * 1_000;
const MANY = 100;

function recipeOf(name: string) {
  return { view: 'product', key: `key of ${name}`, input: { sku: name }, policy: POLICY };
}
/** Each key depends on the slot of its number. */
function entryOf(slot: number, seq: number, filledAt: number, fillMs = 20): Entry {
  return { body: '{}', etag: '"e"', tagHashes: [slot], epoch: 'e', stamp: seq, filledAt, fillMs };
}

describe('the probability of use', () => {
  const rate = fc.double({ min: 0, max: 10, noNaN: true });
  const ttl = fc.double({ min: 1, max: 1e8, noNaN: true });

  it('is a probability, rises with reads and falls with invalidations', () => {
    fc.assert(
      fc.property(rate, rate, rate, ttl, (reads, invalidations, more, ttlMs) => {
        const p = probabilityOfUse(reads, invalidations, ttlMs);
        expect(p).toBeGreaterThanOrEqual(0);
        expect(p).toBeLessThanOrEqual(1);
        expect(probabilityOfUse(reads + more, invalidations, ttlMs)).toBeGreaterThanOrEqual(p - 1e-12);
        expect(probabilityOfUse(reads, invalidations + more, ttlMs)).toBeLessThanOrEqual(p + 1e-12);
      }),
    );
  });

  it('is the probability that a read comes before an invalidation, if nothing expires', () => {
    expect(probabilityOfUse(3, 1, 1e12)).toBeCloseTo(0.75);
    expect(probabilityOfUse(1e-3, 0, 1_000)).toBeCloseTo(1 - Math.exp(-1));
    expect(probabilityOfUse(0, 0, 1_000)).toBe(0);
  });
});

describe('the demand model', () => {
  it('offers only invalidated and expired keys', () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat({ max: 15 }), { maxLength: 20 }),
        fc.array(fc.boolean(), { minLength: 16, maxLength: 16 }),
        (bumped, early) => {
          const clock = newClock('e');
          const model = new DemandModel({ ...DEMAND_SETTINGS, useProbabilityMin: 0 });
          const nowMs = TTL_MS + 1_000;
          for (let slot = 0; slot < 16; slot += 1)
            model.answered(recipeOf(String(slot)), entryOf(slot, 0, early[slot] ? 0 : nowMs - 1), nowMs);
          if (bumped.length > 0) invalidate(clock, bumped);
          const offered = model.candidates(clock, nowMs, MANY).map(({ recipe }) => recipe.key);
          const dead = Array.from({ length: 16 }, (_, slot) => slot).filter(
            (slot) => bumped.includes(slot) || early[slot],
          );
          expect(offered.sort()).toEqual(dead.map((slot) => recipeOf(String(slot)).key).sort());
        },
      ),
    );
  });

  it('prefers popular keys, and ignores rarely read ones', () => {
    const clock = newClock('e');
    const model = new DemandModel();
    for (let read = 0; read < 30; read += 1) model.answered(recipeOf('popular'), entryOf(1, 0, 0), read);
    for (let read = 0; read < 15; read += 1) model.answered(recipeOf('known'), entryOf(2, 0, 0), read);
    model.answered(recipeOf('once'), entryOf(3, 0, 0), 0);
    invalidate(clock, [1, 2, 3]);
    const names = (max: number) => model.candidates(clock, 100, max).map(({ recipe }) => recipe.input);
    expect(names(MANY)).toEqual([{ sku: 'popular' }, { sku: 'known' }]);
    expect(names(1)).toEqual([{ sku: 'popular' }]);
  });

  it('prefers the fill that saves more of the origin', () => {
    const clock = newClock('e');
    const model = new DemandModel();
    for (let read = 0; read < 20; read += 1) {
      model.answered(recipeOf('cheap'), entryOf(1, 0, 0, 5), read);
      model.answered(recipeOf('dear'), entryOf(2, 0, 0, 50), read);
    }
    invalidate(clock, [1, 2]);
    expect(model.candidates(clock, 20, 1)[0]?.recipe.input).toEqual({ sku: 'dear' });
  });

  it('forgets past popularity', () => {
    const clock = newClock('e');
    const model = new DemandModel();
    for (let read = 0; read < 30; read += 1) model.answered(recipeOf('a'), entryOf(1, 0, 0), read);
    invalidate(clock, [1]);
    expect(model.candidates(clock, 100, MANY)).toHaveLength(1);
    expect(model.candidates(clock, 10 * DEMAND_SETTINGS.halfLifeMs, MANY)).toEqual([]);
  });

  it('reports the first read of a warm once, and none if the warm was replaced', () => {
    const clock = newClock('e');
    const model = new DemandModel();
    model.answered(recipeOf('a'), entryOf(1, 0, 0), 0);
    invalidate(clock, [1]);
    model.refilled(recipeOf('a').key, entryOf(1, 1, 5), true);
    expect(model.candidates(clock, 6, MANY)).toEqual([]);
    expect(model.answered(recipeOf('a'), entryOf(1, 1, 5), 7)).toBe(true);
    expect(model.answered(recipeOf('a'), entryOf(1, 1, 5), 8)).toBe(false);
    model.refilled(recipeOf('a').key, entryOf(1, 1, 9), true);
    expect(model.answered(recipeOf('a'), entryOf(1, 2, 10), 11)).toBe(false);
    model.refilled(recipeOf('a').key, entryOf(1, 2, 12), false);
    expect(model.answered(recipeOf('a'), entryOf(1, 2, 12), 13)).toBe(false);
  });

  it('is bounded, and keeps popular keys among many that are read once', () => {
    const model = new DemandModel({ ...DEMAND_SETTINGS, keysMax: 64 });
    const clock = newClock('e');
    let nowMs = 0;
    for (let stranger = 0; stranger < 5_000; stranger += 1) {
      nowMs += 1;
      model.answered(recipeOf(`stranger ${stranger}`), entryOf(2, 0, 0), nowMs);
      if (stranger % 10 === 0) model.answered(recipeOf('popular'), entryOf(1, 0, 0), nowMs);
      expect(model.size).toBeLessThanOrEqual(64);
    }
    invalidate(clock, [1]);
    expect(model.candidates(clock, nowMs, 1)[0]?.recipe.input).toEqual({ sku: 'popular' });
  });

  it('keeps only values of a request', () => {
    const clock = newClock('e');
    const model = new DemandModel({ ...DEMAND_SETTINGS, useProbabilityMin: 0 });
    model.answered({ ...recipeOf('a'), ...{ load: () => undefined } }, entryOf(1, 0, 0), 0);
    invalidate(clock, [1]);
    const { key } = recipeOf('a');
    expect(model.candidates(clock, 0, 1)[0]?.recipe).toEqual({
      ...recipeOf('a'),
      purgeKey: key,
      variant: {},
    });
  });
});
