import { spawnSync } from 'node:child_process';
import { expect, it } from 'vitest';
import { partOf } from '../support/node/part.ts';
import { FAULTS, faultyCopy, PARTS, seedsOf } from './faults.ts';

/** Longer than the most seeds take on one busy core, in milliseconds. */
const TIMEOUT_MS = 240_000;

/** The order of the pattern that every cache gets wrong first; it shows within a few seeds, and a part has it, too. */
const FIRST = FAULTS.filter(({ name }) => name === 'the stamp is taken when the entry is written');
const CHOSEN = [...new Set([...FIRST, ...partOf(FAULTS, 40)])];

it('begins with the fault that every cache has first', () => {
  expect(FIRST).toHaveLength(1);
});

it.each(CHOSEN)('the simulation finds the fault when $name', { timeout: TIMEOUT_MS }, (fault) => {
  using copy = faultyCopy(fault, PARTS);
  const args = ['test/simulation/sim.ts', ...seedsOf(fault), '--brief'];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, {
    cwd: copy.folder,
    encoding: 'utf8',
  });
  expect(stderr).toBe('');
  expect(stdout).toMatch(/Seed \d+ breaks a promise\./);
  expect(status).toBe(1);
});
