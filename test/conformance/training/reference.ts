import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as z from 'zod';
import type { TrainingColumns, TrainingTask } from '../../../src/training/columns.ts';
import { pythonEnvironment } from '../python.ts';

const Reference = z.object({ loss: z.number(), seconds: z.number(), cpuSeconds: z.number() });

/** As `referenceOf`, the loss alone. */
export function referenceLoss(...of: Parameters<typeof referenceOf>): number {
  return referenceOf(...of).loss;
}

/**
 * What a reference library reaches on the later rows of a set, trained on the first ones with one thread: the mean squared
 * error, or the mean log loss in nats. The times are of the training, in seconds.
 *
 * @param recipe settings with the names of ours.
 * @throws Error if Python fails.
 */
export function referenceOf(
  reference: 'lightgbm' | 'linear' | 'network',
  set: TrainingColumns,
  task: TrainingTask,
  recipe: object,
): z.output<typeof Reference> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-reference-'));
  try {
    const file = join(folder, 'set.json');
    const { columns, labels, trainingRows } = set;
    const size = { rows: labels.length, columns: columns.length, trainingRows };
    writeFileSync(file, JSON.stringify({ reference, ...size, task, recipe }));
    writeFileSync(`${file}.f32`, Buffer.concat([...columns, labels].map((of) => Buffer.from(of.buffer))));
    const script = join(import.meta.dirname, 'reference.py');
    const { stdout, stderr, status } = spawnSync('python3', [script, file], {
      env: { ...pythonEnvironment(), OMP_NUM_THREADS: '1', OPENBLAS_NUM_THREADS: '1' },
      encoding: 'utf8',
    });
    if (status !== 0) throw new Error(`reference.py ended with ${status}: ${stderr.slice(-2_000)}`);
    return Reference.parse(JSON.parse(stdout));
  } finally {
    rmSync(folder, { recursive: true });
  }
}
