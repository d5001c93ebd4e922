import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';
import { createClient } from '../../src/client/index.ts';
import { Manifest } from '../../src/inference/bundle.ts';
import { TrainingReport } from '../../src/operations/lineage/training.ts';
import type { Target } from '../command-line/target.ts';

/** A report is one small statement. A database that is busy, as after a seed, answers within the time of all attempts. */
const ATTEMPT_MS = 10_000;
const REPORT_MS_MAX = 60_000;
const ERROR_CHARACTERS_MAX = 1_000;

/** A file that a recipe may write beside its bundle: what lineage records of the training. */
const FACTS = 'training.json';
const Facts = z.looseObject({});

/**
 * The report of a training that wrote a bundle. Its facts (`trainingRows`, `snapshot`, `assertions`) are those of
 * `training.json` in the bundle's folder; without that file the training is recorded without its data.
 */
export async function completed(folder: string, startedAt: string): Promise<TrainingReport> {
  const manifest = Manifest.parse(JSON.parse(await readFile(join(folder, 'manifest.json'), 'utf8')));
  const facts = await readFile(join(folder, FACTS), 'utf8').then(
    (text) => Facts.parse(JSON.parse(text)),
    () => ({ trainingRows: 0 }),
  );
  const { version, model } = manifest;
  return TrainingReport.parse({ state: 'COMPLETE', startedAt, version, sha256: model.sha256, ...facts });
}

/** The report of a training that gave no version. */
export function failed(error: unknown, startedAt: string): TrainingReport {
  const text = error instanceof Error ? error.message : String(error);
  return {
    state: 'FAIL',
    startedAt,
    assertions: [],
    error: text.slice(0, ERROR_CHARACTERS_MAX) || 'It failed.',
  };
}

/** Reports a training to a deployment. If the report cannot be sent, the command prints a warning and continues. */
export async function report(
  training: TrainingReport,
  { url, key }: Pick<Target, 'url' | 'key'>,
  { model, runId }: { readonly model: string; readonly runId: string },
): Promise<void> {
  try {
    const client = createClient({ url, key, deadlineMs: REPORT_MS_MAX, attemptMs: ATTEMPT_MS });
    await client.put('/v1/admin/models/{model}/trainings/{id}', {
      path: { model, id: runId },
      body: training,
    });
  } catch (error) {
    console.warn(
      'The lineage of this training could not be recorded:',
      error instanceof Error ? error.message : error,
    );
  }
}
