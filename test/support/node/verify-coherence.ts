import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '../../..');

/** Runs `npm run verify:coherence` as a user does, on a database of its own in memory. */
export function verifyCoherence(...args: string[]): { status: number | null; output: string } {
  const { DATABASE_URL: _other, ...env } = process.env;
  const run = spawnSync(process.execPath, ['scripts/verify-coherence.ts', ...args], {
    cwd: ROOT,
    env: { ...env, PATH: `${join(ROOT, 'node_modules/.bin')}:${env['PATH']}` },
    encoding: 'utf8',
  });
  return { status: run.status, output: run.stdout + run.stderr };
}
