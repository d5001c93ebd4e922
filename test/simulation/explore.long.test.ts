import { describe, expect, it } from 'vitest';
import { IS_PART, partOf } from '../support/node/part.ts';
import { explore, type Fault } from './explore.ts';

const FAULTS: readonly Fault[] = [
  'stamp-after-read',
  'invalidate-before-commit',
  'join-earlier-sync',
  'acknowledge-early',
];

describe('every interleaving of two commits, two fillers, a strong reader and two late syncs', () => {
  // A part has the search that finds a fault, and the seeded simulation.
  it.skipIf(IS_PART)('keeps the promise of strong reads', () => {
    const { states, violation } = explore();
    expect(violation).toBeUndefined();
    console.log(`explored ${states.toLocaleString('en')} states to the end`);
    expect(states).toBeGreaterThan(100_000);
  });

  it.each(partOf(FAULTS, 4))('finds the fault "%s"', { timeout: 300_000 }, (fault) => {
    const { violation } = explore(fault);
    expect(violation?.at(-1)).toMatch(/^VIOLATION/);
  });
});
