import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as z from 'zod';
import type { TrainingColumns, TrainingTask } from '../../../src/training/columns.ts';
import { pythonEnvironment } from '../python.ts';

/**
 * What a reference library reaches on the later rows of a set, trained on the first ones: the mean squared error, or the
 * mean log loss in nats.
 *
 * @param recipe settings with the names of ours.
 * @throws Error if Python fails.
 */
export function referenceLoss(
  reference: 'lightgbm' | 'linear' | 'network',
  set: TrainingColumns,
  task: TrainingTask,
  recipe: object,
): number {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-reference-'));
  try {
    const file = join(folder, 'set.json');
    const { columns, labels, trainingRows } = set;
    const size = { rows: labels.length, columns: columns.length, trainingRows };
    writeFileSync(file, JSON.stringify({ reference, ...size, task, recipe }));
    writeFileSync(`${file}.f32`, Buffer.concat([...columns, labels].map((of) => Buffer.from(of.buffer))));
    const script = join(import.meta.dirname, 'reference.py');
    const { stdout, stderr, status } = spawnSync('python3', [script, file], {
      env: pythonEnvironment(),
      encoding: 'utf8',
    });
    if (status !== 0) throw new Error(`reference.py ended with ${status}: ${stderr.slice(-2_000)}`);
    return z.object({ loss: z.number() }).parse(JSON.parse(stdout)).loss;
  } finally {
    rmSync(folder, { recursive: true });
  }
}
