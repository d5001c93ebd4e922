import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { FAULTS, faultyTexts } from './faults.ts';

const ROOT = join(import.meta.dirname, '../..');
/** Many times what the most seeds here take on one busy core, in milliseconds. */
const TIMEOUT_MS = 240_000;
function sim(cwd: string, ...args: string[]) {
  return spawnSync(process.execPath, ['test/simulation/sim.ts', ...args], { cwd, encoding: 'utf8' });
}

it('keeps every promise of a seed, and gives the same answer for the same seed', {
  timeout: TIMEOUT_MS,
}, () => {
  const run = () => sim(ROOT, '--seeds', '1', '--seed', '77');
  const { status, stdout, stderr } = run();
  expect(stderr).toBe('');
  expect(stdout).toContain('Every read kept its promise');
  expect(status).toBe(0);
  const withoutTime = (text: string) => text.replace(/ in [\d.]+ s/, '');
  expect(withoutTime(run().stdout)).toBe(withoutTime(stdout));
});

it('refuses a number of seeds that is not a number', { timeout: TIMEOUT_MS }, () => {
  const { status, stderr } = sim(ROOT, '--seeds', 'many');
  expect(stderr).toBe('--seeds takes a whole number of at least 1, not "many".\n');
  expect(status).toBe(2);
});

it.each(FAULTS)('can plant the fault "$name"', (fault) => {
  expect(faultyTexts(fault).size).toBeGreaterThan(0);
});

it('has each fault in the table of docs/coherence.md, with its number of seeds', () => {
  const page = readFileSync(join(ROOT, 'docs/coherence.md'), 'utf8');
  for (const { name, seedsMax } of FAULTS)
    expect(page).toContain(`| ${name} | ${seedsMax.toLocaleString('en')} |`);
});
