import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import pg from 'pg';
import { describe, expect, it } from 'vitest';
import { IS_PART, partOf, shareOf } from '../../support/node/part.ts';
import { faultyCopy, seedsOf } from '../faults.ts';
import { FAULTS, PARTS } from './faults.ts';

const ROOT = join(import.meta.dirname, '../../..');
/** Many times what the schedules take on two quiet cores, in milliseconds. */
const TIMEOUT_MS = 600_000;
/** `npm run sim:pipeline -- --seeds 1000` runs more. */
const SEEDS = 100;
const POSTGRES_SEEDS = shareOf(15, 0.1);
const POSTGRES_URL = process.env['TEST_DATABASE_URL'];
const POSTGRES_TITLE = POSTGRES_URL ? 'Postgres' : 'Postgres (skipped: TEST_DATABASE_URL is not set)';

function sim(cwd: string, ...args: string[]) {
  return spawnSync(process.execPath, ['test/simulation/pipeline/sim.ts', ...args], { cwd, encoding: 'utf8' });
}

// A part has those of `short.long.test.ts`, and on Postgres.
it.skipIf(IS_PART)(
  `loses no event and applies none twice in ${SEEDS} schedules of faults`,
  { timeout: TIMEOUT_MS },
  () => {
    const { status, stdout, stderr } = sim(ROOT, '--seeds', String(SEEDS));
    expect(stderr).toBe('');
    expect(stdout).toContain('No event was lost or applied twice.');
    expect(status).toBe(0);
    // A world in which nothing fails, or nothing dies, would keep its promises, too.
    const [faults = 0, dead = 0] = [...stdout.matchAll(/(\d+) (?:faults|dead)/g)].map(([, count]) =>
      Number(count),
    );
    expect(faults).toBeGreaterThan(10 * SEEDS);
    expect(dead).toBeGreaterThan(SEEDS / 2);
  },
);

it.skipIf(!POSTGRES_URL)(`nor on ${POSTGRES_TITLE}`, { timeout: TIMEOUT_MS }, async () => {
  const admin = new pg.Client({ connectionString: POSTGRES_URL });
  await admin.connect();
  const name = `millrace_schedules_${process.pid}`;
  await admin.query(`create database ${name}`);
  try {
    const url = new URL(POSTGRES_URL ?? '');
    url.pathname = `/${name}`;
    const { status, stdout, stderr } = sim(ROOT, '--seeds', String(POSTGRES_SEEDS), '--database', url.href);
    expect(stderr).toBe('');
    expect(stdout).toContain('No event was lost or applied twice.');
    expect(status).toBe(0);
  } finally {
    await admin.query(`drop database ${name} with (force)`);
    await admin.end();
  }
});

describe('the simulation finds a fault', () => {
  it.each(partOf(FAULTS, 30))('when $name', { timeout: TIMEOUT_MS }, (fault) => {
    using copy = faultyCopy(fault, PARTS);
    // Most are found by the first schedule, so a second one beside it would be for nothing.
    const { status, stdout, stderr } = sim(copy.folder, ...seedsOf(fault), '--jobs', '1', '--brief');
    expect(stderr).toBe('');
    expect(stdout).toMatch(/Seed \d+ breaks a promise\./);
    expect(status).toBe(1);
  });
});
