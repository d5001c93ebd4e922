import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import * as z from 'zod';
import type { Entry } from '../../../src/cache/entry.ts';
import { MemoryTier } from '../../../src/cache/tiers/memory.ts';

const SCRIPT = join(import.meta.dirname, '../../support/node/entry-bytes.ts');

it.each([
  ['a short answer', 'x'.repeat(100), 700],
  ['an answer of 1 KB', 'x'.repeat(1_000), 1_600],
  ['an answer of 1 KB with a character beyond Latin-1', `中${'x'.repeat(1_000)}`, 2_700],
])('counts at least what the engine uses for %s, and not a quarter more', (_, text, usedMax) => {
  const printed = execFileSync(process.execPath, ['--expose-gc', SCRIPT, text], { encoding: 'utf8' });
  const { used, counted } = z.object({ used: z.number(), counted: z.number() }).parse(JSON.parse(printed));
  expect(used).toBeLessThan(usedMax);
  expect(counted).toBeGreaterThan(used);
  expect(counted).toBeLessThan(used * 1.25);
});

it('drops the entry that was not read for the longest time, and counts what is left', () => {
  const entry: Entry = {
    body: 'x'.repeat(1_000),
    etag: '"1"',
    tagHashes: [],
    epoch: 'e',
    stamp: 0,
    filledAt: 0,
  };
  const one = new MemoryTier(10_000);
  one.put('a', entry);
  const size = one.bytes;
  const tier = new MemoryTier(3 * size);
  for (const key of ['a', 'b', 'c']) tier.put(key, entry);
  expect(tier.get('a')).toBe(entry);
  tier.put('d', entry);
  expect(['a', 'b', 'c', 'd'].map((key) => tier.get(key) !== undefined)).toEqual([true, false, true, true]);
  expect(tier.bytes).toBe(3 * size);
});
