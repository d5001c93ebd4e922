import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { shareOf } from '../support/node/part.ts';

/** Many times what a thousand seeds take on two cores, in milliseconds. */
const TIMEOUT_MS = 300_000;

function sim(...args: string[]) {
  const cwd = join(import.meta.dirname, '../..');
  return spawnSync(process.execPath, ['test/simulation/sim.ts', ...args], { cwd, encoding: 'utf8' });
}

const SEEDS = shareOf(1_000, 0.12);

it(`keeps every promise over ${SEEDS} seeds`, { timeout: TIMEOUT_MS }, () => {
  const { status, stdout, stderr } = sim('--seeds', String(SEEDS));
  expect(stderr).toBe('');
  expect(stdout).toContain('Every read kept its promise');
  expect(status).toBe(0);
  // A world in which nothing is ever cached, or nothing answered, would keep its promises, too.
  const [reads = 0, hits = 0, unanswered = 0, acknowledged = 0] = [
    ...stdout.matchAll(/(\d+) (?:reads|of them|requests|acknowledged)/g),
  ].map(([, count]) => Number(count));
  expect(hits / reads).toBeGreaterThan(0.1);
  expect(unanswered / reads).toBeLessThan(0.2);
  expect(acknowledged).toBeGreaterThan(10 * SEEDS);
});
