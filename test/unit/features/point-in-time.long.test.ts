import { execFile } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { faultyCopy } from '../../simulation/faults.ts';
import { partOf } from '../../support/node/part.ts';
import { FAULTS } from '../../support/point-in-time/faults.ts';

/** Histories of a seed; each takes some 5 ms. */
const RUNS = 500;

function run(folder: string, seed: number): Promise<{ code: unknown; output: string }> {
  const { promise, resolve } = Promise.withResolvers<{ code: unknown; output: string }>();
  const program = ['test/support/point-in-time/run.ts', String(seed), String(RUNS), '--brief'];
  execFile(process.execPath, program, { cwd: folder }, (error, stdout, stderr) =>
    resolve({ code: error?.code ?? 0, output: stdout + stderr }),
  );
  return promise;
}

it('joins of a random seed have the values of the naive join', { timeout: 180_000 }, async () => {
  const { code, output } = await run(process.cwd(), Date.now() % 100_000);
  expect([code, output]).toEqual([0, '']);
});

describe('the comparison with the naive join finds the fault where', () => {
  it.each(partOf(FAULTS, 3))('$name', { timeout: 180_000 }, async (fault) => {
    using copy = faultyCopy({ ...fault, seedsMax: 0 });
    const { code, output } = await run(copy.folder, 1);
    expect([code, output]).toEqual([1, expect.stringMatching(/^The join is wrong\. Seed 1: /)]);
  });
});
