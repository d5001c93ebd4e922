import { spawnSync } from 'node:child_process';
import { expect, it } from 'vitest';
import { partOf } from '../support/node/part.ts';
import { FAULTS, faultyCopy, PARTS, seedsOf } from './faults.ts';

/** Longer than the most seeds take on one busy core, in milliseconds. */
const TIMEOUT_MS = 240_000;

it.each(partOf(FAULTS, 40))('the simulation finds the fault when $name', { timeout: TIMEOUT_MS }, (fault) => {
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
