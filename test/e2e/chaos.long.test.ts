import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import * as z from 'zod';

const ROOT = join(import.meta.dirname, '../..');
const SECONDS = 4;
const NAMES = ['database-gone', 'hung-region'];

const Phase = z.object({ requests: z.number() });
const Report = z.object({
  results: z.array(
    z.object({
      experiment: z.object({ name: z.string() }),
      seen: z.object({ acknowledgedEvents: z.number(), evidence: z.string() }),
      verdict: z.object({
        phases: z.object({ before: Phase, during: Phase, after: Phase }),
        reasons: z.array(z.string()),
      }),
    }),
  ),
});

/** Runs `npm run chaos` as a user does. An exit code other than 0 fails the test, with what the command has printed. */
async function chaos(...args: readonly string[]): Promise<string> {
  const env = { ...process.env, PATH: `${join(ROOT, 'node_modules/.bin')}:${process.env['PATH']}` };
  const run = await promisify(execFile)(process.execPath, ['scripts/chaos.ts', ...args], { cwd: ROOT, env });
  return run.stdout;
}

it('stops the database and hangs the clocks of a region under load, and everything holds', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-chaos-test-'));
  try {
    const file = join(folder, 'report.md');
    const printed = await chaos(
      '--only',
      NAMES.join(),
      '--seconds',
      String(SECONDS),
      '--json',
      '--report',
      file,
    );
    const { results } = Report.parse(JSON.parse(printed));
    expect(results.map(({ experiment, verdict }) => [experiment.name, verdict.reasons])).toEqual(
      NAMES.map((name) => [name, []]),
    );
    for (const { seen, verdict } of results) {
      expect(seen.acknowledgedEvents).toBeGreaterThan(0);
      for (const { requests } of Object.values(verdict.phases)) expect(requests).toBeGreaterThan(0);
    }
    const report = readFileSync(file, 'utf8');
    for (const name of [...NAMES, 'model-hang']) expect(report).toContain(`\`${name}\``);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

it('lists the experiments with what each does', async () => {
  const list = await chaos('--list');
  for (const text of ['SIGSTOP to every process of the database', 'Left out:', 'model-hang'])
    expect(list).toContain(text);
});
