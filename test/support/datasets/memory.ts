import { parquetReadObjects } from 'hyparquet';
import { MemoryStore } from '../../../scripts/models/local-run/store.ts';
import type { ModelDefinition } from '../../../src/define/model.ts';
import type { HistoryPort } from '../../../src/features/join-history.ts';
import { DatasetBuilder } from '../../../src/training/datasets/build.ts';
import { DATASET_LIMITS, type DatasetLimits } from '../../../src/training/datasets/limits.ts';
import type { DatasetManifest } from '../../../src/training/datasets/manifest.ts';
import { type DatasetSpec, recipeDigest } from '../../../src/training/datasets/spec.ts';

export type Row = Readonly<Record<string, unknown>>;

/** A dataset in memory: its manifest, its files, and the rows that a reader finds in them. */
export interface Made {
  readonly manifest: DatasetManifest;
  readonly files: ReadonlyMap<string, Uint8Array<ArrayBuffer>>;
  readonly rows: readonly (Row & { readonly split: string })[];
  readonly parts: number;
  readonly steps: number;
}

interface Making {
  readonly limits?: Partial<DatasetLimits>;
  /** Whether the memory of the builder is lost before a step. */
  readonly isEvicted?: (step: number) => boolean;
}

/** What decides a dataset of a model, but for its declaration. */
export function specOf(
  definition: ModelDefinition,
  spec: Omit<DatasetSpec, 'model' | 'recipe'>,
): DatasetSpec {
  if (definition.dataset === undefined) throw new Error(`The model ${definition.name} has no dataset.`);
  return { model: definition.name, recipe: recipeDigest(definition, definition.dataset), ...spec };
}

/** Makes a dataset step by step, as the object does, with a store in memory. */
export async function makeDataset(
  definition: ModelDefinition,
  spec: DatasetSpec,
  history: HistoryPort,
  { limits, isEvicted = () => false }: Making = {},
): Promise<Made> {
  const files = new Map<string, Uint8Array<ArrayBuffer>>();
  const ports = {
    ...{ models: [definition], history, limits: { ...DATASET_LIMITS, ...limits }, codeVersion: 'test' },
    put: async (_: string, name: string, bytes: Uint8Array<ArrayBuffer>) => {
      files.set(name, bytes);
    },
  };
  const store = new MemoryStore(spec, { score: 1 });
  let builder = new DatasetBuilder(ports);
  let steps = 0;
  do {
    if (isEvicted(steps)) builder = new DatasetBuilder(ports);
    steps += 1;
  } while (await builder.step(store.job, store));
  const { manifest } = store;
  if (manifest === undefined) throw new Error('The dataset has no manifest.');
  const rows: (Row & { split: string })[] = [];
  for (const { name, split } of manifest.files) rows.push(...(await readParquet(files.get(name), split)));
  return { manifest, files, rows, parts: store.partCount, steps };
}

async function readParquet(bytes: Uint8Array<ArrayBuffer> | undefined, split: string) {
  if (bytes === undefined) throw new Error('A file of the manifest was not stored.');
  const read = await parquetReadObjects({ file: bytes.buffer });
  return read.map((row) => ({ ...row, split }));
}
