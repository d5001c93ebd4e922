import type { Candidates, MakeCandidates } from '../../define/candidates.ts';
import type { DatasetDefinition } from '../../define/dataset.ts';
import type { ModelDefinition, RankingModel } from '../../define/model.ts';
import { CANDIDATES_BYTES_MAX } from '../../inference/bundle.ts';
import { decodeUtf8 } from '../../platform/utf8.ts';
import type { DatasetFile, DatasetManifest } from '../datasets/manifest.ts';
import type { Split } from '../datasets/spec.ts';
import { TrainingRefused } from '../refusal.ts';
import type { Piece } from '../runs/pieces.ts';
import type { KeptName, RunnerPorts } from '../runs/ports.ts';
import type { TrainingRun } from '../runs/run.ts';
import { type RankingMoment, rankingMoments } from './moments.ts';
import { type Query, queriesOf } from './queries.ts';

/** A ranking that the worker can train. */
export interface TrainableRanking {
  readonly definition: RankingModel;
  readonly recipe: DatasetDefinition;
  readonly make: MakeCandidates;
}

/** @throws TrainingRefused `not_trainable` */
export function trainableRanking(definition: ModelDefinition): TrainableRanking {
  const { name, dataset: recipe, training } = definition;
  const make = definition.task === 'ranking' ? definition.makeCandidates : undefined;
  if (definition.task === 'ranking' && recipe !== undefined && training !== undefined && make !== undefined)
    return { definition, recipe, make };
  const missing = recipe === undefined ? 'dataset' : training === undefined ? 'training' : 'makeCandidates';
  throw new TrainingRefused('not_trainable', `The ranking "${name}" declares no \`${missing}\`.`);
}

/** What the stages of a ranking's run work on. */
export interface RankingWork extends TrainableRanking {
  readonly run: TrainingRun;
  readonly manifest: DatasetManifest;
  readonly moments: readonly RankingMoment[];
  readonly ports: Pick<RunnerPorts, 'datasets' | 'kept' | 'history' | 'load' | 'registry'>;
}

export function rankingWork(
  definition: ModelDefinition,
  run: TrainingRun,
  manifest: DatasetManifest,
  ports: RankingWork['ports'],
): RankingWork {
  const trainable = trainableRanking(definition);
  const moments = rankingMoments(trainable.recipe, manifest.bounds);
  return { ...trainable, run, manifest, moments, ports };
}

/** The candidates as a file. @throws TrainingRefused `training_too_large` */
export function bytesOfCandidates(made: unknown): Uint8Array<ArrayBuffer> {
  const bytes = jsonBytes(made);
  if (bytes.length > CANDIDATES_BYTES_MAX)
    throw new TrainingRefused(
      'training_too_large',
      `The candidates have ${bytes.length} bytes; a version takes ${CANDIDATES_BYTES_MAX}.`,
    );
  return bytes;
}

export function jsonBytes(value: unknown): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(new TextEncoder().encode(JSON.stringify(value)));
}

/** What is kept of a run, as it was put there. @throws TrainingRefused `invalid_checkpoint` if it is gone. */
export async function keptJson({ run, ports }: RankingWork, name: KeptName): Promise<unknown> {
  const bytes = await ports.kept.get(run.id, name);
  if (bytes === undefined)
    throw new TrainingRefused('invalid_checkpoint', `What the run kept as ${name} is gone.`);
  return JSON.parse(decodeUtf8(bytes));
}

/** A query with the candidates as of its moment. */
export interface PosedQuery extends Query {
  /** The place of its moment among those of the run. */
  readonly moment: number;
  readonly candidates: Candidates;
}

/** The queries of some splits, a file in a piece; those of moments that the run does not look at are left out. */
export async function* posedQueries(
  work: RankingWork,
  splits: readonly Split[],
  take: (query: PosedQuery, split: Split) => void,
): AsyncGenerator<Piece, void> {
  const files = splits.flatMap((split) => work.manifest.files.filter((file) => file.split === split));
  let held: { moment: number; candidates: Candidates } | undefined;
  for (const [done, file] of files.entries()) {
    const bytes = await fileOf(work, file);
    for await (const query of queriesOf(work.definition, file, bytes)) {
      const moment = work.moments.findIndex(({ at }) => at === query.at);
      if (moment < 0) continue;
      if (held?.moment !== moment) {
        const json = await keptJson(work, `candidates-${moment}`);
        held = { moment, candidates: work.definition.parseCandidates(json) };
      }
      take({ ...query, ...held }, file.split);
    }
    yield { cost: { rows: file.rows }, progress: { done: done + 1, of: files.length } };
  }
}

async function fileOf(
  { manifest, ports }: RankingWork,
  { name }: DatasetFile,
): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = await ports.datasets.file(manifest.id, name);
  if (bytes === undefined)
    throw new TrainingRefused('dataset_gone', `The file ${name} of the dataset is gone.`);
  return bytes;
}
