import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { IS_PART, shareOf } from '../../support/node/part.ts';
import { faultyCopy, faultyTexts } from '../faults.ts';
import { FAULTS, PARTS } from './faults.ts';

const ROOT = join(import.meta.dirname, '../../..');
/** Many times what the schedules here take on one busy core, in milliseconds. */
const TIMEOUT_MS = 240_000;
/** `sim.long.test.ts` runs more. */
const SEEDS = String(shareOf(2, 0.5));
/** The first schedule finds it. */
const FAULT = 'an event is folded each time it is delivered';

function sim(cwd: string, ...args: string[]) {
  return spawnSync(process.execPath, ['test/simulation/pipeline/sim.ts', ...args], { cwd, encoding: 'utf8' });
}

it('loses no event and applies none twice in schedules of faults, and repeats a seed exactly', {
  timeout: TIMEOUT_MS,
}, () => {
  const { status, stdout, stderr } = sim(ROOT, '--seeds', SEEDS, '--seed', '30');
  expect(stderr).toBe('');
  expect(stdout).toContain('No event was lost or applied twice.');
  expect(status).toBe(0);
  const counts = (text: string) => text.replace(/ in [\d.]+ s/, '');
  expect(counts(sim(ROOT, '--seeds', SEEDS, '--seed', '30').stdout)).toBe(counts(stdout));
});

// A part has one of `sim.long.test.ts`.
it.skipIf(IS_PART)(`finds the fault when ${FAULT}`, { timeout: TIMEOUT_MS }, () => {
  const fault = FAULTS.find(({ name }) => name === FAULT);
  if (!fault) throw new Error(`test/simulation/pipeline/faults.ts has no fault "${FAULT}".`);
  using copy = faultyCopy(fault, PARTS);
  const { status, stdout } = sim(copy.folder, '--seeds', String(fault.seedsMax), '--brief');
  expect(stdout).toMatch(/Seed \d+ breaks a promise\./);
  expect(status).toBe(1);
});

it.each(FAULTS)('can plant the fault "$name"', (fault) => {
  expect(faultyTexts(fault).size).toBeGreaterThan(0);
});

it('has each fault in the table of docs/pipeline.md, with its number of seeds', () => {
  const page = readFileSync(join(ROOT, 'docs/pipeline.md'), 'utf8');
  for (const { name, seedsMax } of FAULTS) expect(page).toContain(`| ${name} | ${seedsMax} |`);
});
