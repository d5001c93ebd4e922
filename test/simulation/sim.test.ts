import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { FAULTS, faultyCopy, faultyTexts, PARTS } from './faults.ts';

const ROOT = join(import.meta.dirname, '../..');
/** Many times what the most seeds here take on one busy core, in milliseconds. */
const TIMEOUT_MS = 240_000;
/** The order of the pattern that every cache gets wrong first; it shows within a few seeds. */
const FAULT = 'the stamp is taken when the entry is written';

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

it(`finds the fault when ${FAULT}`, { timeout: TIMEOUT_MS }, () => {
  const fault = FAULTS.find(({ name }) => name === FAULT);
  if (!fault) throw new Error(`test/simulation/faults.ts has no fault "${FAULT}".`);
  using copy = faultyCopy(fault, PARTS);
  const { status, stdout } = sim(copy.folder, '--seeds', String(fault.seedsMax), '--brief');
  expect(stdout).toMatch(/Seed \d+ breaks a promise\./);
  expect(status).toBe(1);
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
