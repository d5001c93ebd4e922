import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ChangedTags, CLOCK_LIMITS, type TagChange } from '../../../src/cache/clock/changed-tags.ts';
import { tagHash, tagHashes } from '../../../src/cache/clock/tag-hash.ts';

/** What happens to a memory: a change that is some numbers later, or a floor that is some numbers back. */
const step = fc.record({
  tag: fc.oneof(fc.nat(12), fc.constantFrom(0, 512, 1_024, 0xffff_ffff, 0x8000_0000)),
  laterBy: fc.oneof({ weight: 20, arbitrary: fc.nat(2) }, { weight: 1, arbitrary: fc.nat(2 ** 33) }),
  forgets: fc.option(fc.nat(10), { freq: 8 }),
});

/** The same rules over a list. */
class Model {
  floorSeq = 0;
  changes: TagChange[] = [];
  readonly tagsMax: number;

  constructor(tagsMax: number) {
    this.tagsMax = tagsMax;
  }

  forgetUpTo(seq: number): void {
    this.floorSeq = Math.max(this.floorSeq, seq);
    this.changes = this.changes.filter((change) => change.seq > this.floorSeq);
  }

  newestSeqOf(tag: number): number {
    return this.changes.findLast((change) => change.tag === tag)?.seq ?? 0;
  }

  newestFirst(seq: number): TagChange[] {
    return this.changes
      .filter((change) => change.seq > seq && this.newestSeqOf(change.tag) === change.seq)
      .reverse();
  }
}

describe('the memory of changed tags', () => {
  it('says what a list of all changes says, down to its floor', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), fc.integer({ min: 1, max: 40 }), (steps, tagsMax) => {
        const memory = new ChangedTags(tagsMax);
        const model = new Model(tagsMax);
        let seq = 1;
        for (const { tag, laterBy, forgets } of steps) {
          seq += laterBy;
          memory.add(seq, tag);
          if (seq > model.floorSeq) model.changes.push({ seq, tag });
          // When to forget is the memory's own decision; what is left has to follow from its floor.
          expect(memory.floorSeq).toBeGreaterThanOrEqual(model.floorSeq);
          model.forgetUpTo(memory.floorSeq);
          if (forgets !== null) {
            memory.forgetUpTo(seq - forgets);
            model.forgetUpTo(seq - forgets);
          }
          expect(memory.floorSeq).toBe(model.floorSeq);
          expect(memory.length).toBe(model.changes.length);
          expect(memory.length).toBeLessThanOrEqual(tagsMax);
        }
        for (const { tag } of steps) {
          expect(memory.newestSeqOf(tag)).toBe(model.newestSeqOf(tag));
          for (const since of [model.floorSeq, seq - 1, seq])
            if (since >= model.floorSeq)
              expect(memory.haveChangedSince([tag], since)).toBe(model.newestSeqOf(tag) > since);
        }
        for (const since of [0, model.floorSeq, seq - 2])
          expect([...memory.newestFirst(since)]).toEqual(model.newestFirst(Math.max(since, model.floorSeq)));
      }),
      { numRuns: 300 },
    );
  });

  it('forgets only what is older than a version has bits for, where numbers leap', () => {
    const memory = new ChangedTags(100);
    memory.add(5, 1);
    memory.add(2 ** 32 - 1, 2);
    expect(memory.floorSeq).toBe(0);
    memory.add(2 ** 32 + 4, 3);
    expect(memory.newestSeqOf(2)).toBe(2 ** 32 - 1);
    expect(memory.newestSeqOf(3)).toBe(2 ** 32 + 4);
    expect(memory.haveChangedSince([2], memory.floorSeq)).toBe(true);
    expect(memory.floorSeq).toBeLessThanOrEqual(5);
  });

  it('takes at most 8 MB, full and while everything in it is replaced again and again', () => {
    const memory = new ChangedTags(CLOCK_LIMITS.tagsMax);
    let bytesMax = 0;
    for (let seq = 1; seq <= 3 * CLOCK_LIMITS.tagsMax; seq += 1) {
      memory.add(seq, tagHash(`t${seq}`));
      bytesMax = Math.max(bytesMax, memory.bytes);
    }
    expect(bytesMax).toBeLessThanOrEqual(8_000_000);
    expect(memory.length).toBeGreaterThan((CLOCK_LIMITS.tagsMax * 15) / 16 - 2);
    expect(memory.newestSeqOf(tagHash(`t${3 * CLOCK_LIMITS.tagsMax}`))).toBe(3 * CLOCK_LIMITS.tagsMax);
  });

  it.each([
    [55, 0.95],
    [550, 0.8],
  ])(
    'keeps an untouched page of 50 rows for its time to live, at %i changed tags a second',
    (tagsPerSecond, share) => {
      const TTL_S = 300;
      const PAGES = 200;
      const pages = Array.from({ length: PAGES }, (_, page) =>
        tagHashes(Array.from({ length: 83 }, (_, tag) => `page:${page}/${tag}`)),
      );
      const memory = new ChangedTags(CLOCK_LIMITS.tagsMax);
      const diedAtS = pages.map(() => TTL_S);
      for (let second = 0; second < TTL_S; second += 1) {
        // Each change is of another tag: the worst for chance.
        for (let tag = 0; tag < tagsPerSecond; tag += 1)
          memory.add(second + 1, tagHash(`product:${second * tagsPerSecond + tag}`));
        for (const [index, page] of pages.entries())
          if (diedAtS[index] === TTL_S && memory.haveChangedSince(page, 0)) diedAtS[index] = second;
      }
      expect(memory.floorSeq).toBe(0);
      const lived = diedAtS.reduce((sum, at) => sum + at, 0) / (PAGES * TTL_S);
      expect(lived).toBeGreaterThanOrEqual(share);
      // By the birthday of 32 bits, 83 tags meet 165,000 changes in 0.3 % of pages.
      expect(lived).toBeGreaterThan(0.98);
    },
  );
});

describe('hashes of tags', () => {
  it('are unsigned 32-bit integers, equal for equal tags', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (tag) => {
        const hash = tagHash(tag);
        expect(hash).toBe(tagHash(tag));
        expect(Number.isInteger(hash) && hash >= 0 && hash <= 0xffff_ffff).toBe(true);
      }),
    );
  });

  it('collide as seldom as random numbers, and fill a table evenly', () => {
    const TAGS = 500_000;
    const hashes = new Set<number>();
    for (let index = 0; index < TAGS; index += 1) hashes.add(tagHash(`product:${index}`));
    // n² / 2^33 pairs of 500,000 random numbers are equal: 29.
    expect(TAGS - hashes.size).toBeLessThan(60);
    const cells = new Uint32Array(1_024);
    for (const hash of hashes) cells[hash & 1_023] = (cells[hash & 1_023] ?? 0) + 1;
    // 488 a cell, give or take 22; five deviations.
    expect(Math.min(...cells)).toBeGreaterThan(378);
    expect(Math.max(...cells)).toBeLessThan(598);
  });
});
