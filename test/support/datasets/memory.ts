import { parquetReadObjects } from 'hyparquet';
import type { ModelDefinition } from '../../../src/define/model.ts';
import type { HistoryPort } from '../../../src/features/join-history.ts';
import { DatasetBuilder, type DatasetJob, type DatasetStore } from '../../../src/training/datasets/build.ts';
import { NOTHING_COUNTED } from '../../../src/training/datasets/counting.ts';
import { DATASET_LIMITS, type DatasetLimits } from '../../../src/training/datasets/limits.ts';
import type { DatasetFile, DatasetManifest } from '../../../src/training/datasets/manifest.ts';
import type { KeyTally, PartRange } from '../../../src/training/datasets/parts.ts';
import { type DatasetSpec, datasetId, recipeDigest } from '../../../src/training/datasets/spec.ts';

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
  const store = new MemoryStore(spec);
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

class MemoryStore implements DatasetStore {
  job: DatasetJob;
  manifest: DatasetManifest | undefined;
  readonly #keys = new Map<string, KeyTally>();
  readonly #items = new Map<string, number>();
  #parts: { range: PartRange; files: readonly DatasetFile[] | undefined }[] = [];

  constructor(spec: DatasetSpec) {
    const quality = { score: 1 };
    this.job = {
      id: datasetId(spec),
      spec,
      state: 'counting',
      counted: NOTHING_COUNTED,
      bounds: null,
      quality,
    };
  }

  get partCount(): number {
    return this.#parts.length;
  }

  addCounted: DatasetStore['addCounted'] = ({ counted, keys, items }) => {
    this.job = { ...this.job, counted };
    for (const one of keys) {
      const before = this.#keys.get(one.key)?.touches ?? 0;
      this.#keys.set(one.key, { ...one, touches: before + one.touches });
    }
    for (const { item, knownAt } of items)
      this.#items.set(item, Math.min(this.#items.get(item) ?? knownAt, knownAt));
    return { keys: this.#keys.size, items: this.#items.size };
  };
  keys = () => [...this.#keys.values()].sort((a, b) => a.hash - b.hash || (a.key < b.key ? -1 : 1));
  items = () => [...this.#items].map(([item, knownAt]) => ({ item, knownAt }));
  beginBuilding: DatasetStore['beginBuilding'] = (bounds, parts) => {
    this.job = { ...this.job, state: 'building', bounds };
    this.#parts = parts.map((range) => ({ range, files: undefined }));
  };
  nextPart = () => {
    const number = this.#parts.findIndex(({ files }) => files === undefined);
    const part = this.#parts[number];
    return part === undefined ? undefined : { range: part.range, number };
  };
  dividePart: DatasetStore['dividePart'] = (range, halves) => {
    this.#parts = this.#parts.flatMap((part) =>
      part.range.from === range.from ? halves.map((half) => ({ range: half, files: undefined })) : [part],
    );
  };
  endPart: DatasetStore['endPart'] = (range, files) => {
    this.#parts = this.#parts.map((part) => (part.range.from === range.from ? { range, files } : part));
  };
  files = () => this.#parts.flatMap(({ files }) => files ?? []);
  finish: DatasetStore['finish'] = (manifest) => {
    this.manifest = manifest;
  };
}
