import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, it } from 'vitest';

const ROOT = join(import.meta.dirname, '../..');

/** As a user runs it, on a database of its own in memory. */
function verifyCoherence(...args: string[]): { status: number | null; output: string } {
  const { DATABASE_URL: _other, ...env } = process.env;
  const run = spawnSync(process.execPath, ['scripts/verify-coherence.ts', ...args], {
    cwd: ROOT,
    env: { ...env, PATH: `${join(ROOT, 'node_modules/.bin')}:${env['PATH']}` },
    encoding: 'utf8',
  });
  return { status: run.status, output: run.stdout + run.stderr };
}

it('finds nothing wrong with the built worker while its objects are evicted and its runtime is killed', () => {
  const { status, output } = verifyCoherence('--seconds', '10', '--reads', '1000');
  expect(output).toContain('violations: 0\n');
  expect(output).toMatch(/killed the runtime +[1-9]/);
  expect(output).toMatch(/evicted a regional clock +[1-9]/);
  expect(output).toMatch(/aborted all objects at once +[1-9]/);
  expect(status).toBe(0);
});

it('finds violations where every entry is taken for valid', () => {
  const { status, output } = verifyCoherence('--seconds', '4', '--reads', '200', '--broken', 'validity');
  expect(output).toMatch(/violations: [1-9]/);
  expect(output).toMatch(/strong: strong read of product:/);
  expect(status).toBe(0);
});
