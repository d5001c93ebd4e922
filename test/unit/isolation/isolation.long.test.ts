import { execFile } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { faultyCopy } from '../../simulation/faults.ts';
import { FAULTS } from '../../support/isolation/faults.ts';
import { partOf, shareOf } from '../../support/node/part.ts';

/** Sequences of a seed; each takes some 40 ms. */
const RUNS = 300;

function run(folder: string, seed: number, runs: number): Promise<{ found: boolean; output: string }> {
  const { promise, resolve } = Promise.withResolvers<{ found: boolean; output: string }>();
  const program = ['test/support/isolation/run.ts', String(seed), String(runs), '--brief'];
  execFile(process.execPath, program, { cwd: folder, maxBuffer: 64 * 1024 * 1024 }, (error, stdout, stderr) =>
    resolve({ found: error?.code === 1, output: stdout + stderr }),
  );
  return promise;
}

it('no reader gets the answer of another', { timeout: 180_000 }, async () => {
  const { found, output } = await run(process.cwd(), Date.now() % 100_000, shareOf(RUNS, 1 / 3));
  expect(output).toMatch(/\d+ requests, \d+ answered/);
  expect([found, found ? output : '']).toEqual([false, '']);
});

describe('the suite finds the fault where', () => {
  it.concurrent.each(partOf(FAULTS, 10))('$name', { timeout: 180_000 }, async (fault) => {
    using copy = faultyCopy({ ...fault, seedsMax: 0 });
    const { found, output } = await run(copy.folder, 1, RUNS);
    expect([found, output.split('\n').filter((line) => !line.startsWith('{'))]).toEqual([
      true,
      expect.arrayContaining([expect.stringContaining('Isolation is broken.')]),
    ]);
  });
});
