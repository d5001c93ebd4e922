/** What is kept of one dataset while it is made, in memory. */
import type { DatasetJob, DatasetStore } from '../../../src/training/datasets/build.ts';
import { NOTHING_COUNTED } from '../../../src/training/datasets/counting.ts';
import type { DatasetFile, DatasetManifest } from '../../../src/training/datasets/manifest.ts';
import type { KeyTally, PartRange } from '../../../src/training/datasets/parts.ts';
import { type DatasetSpec, datasetId } from '../../../src/training/datasets/spec.ts';

export class MemoryStore implements DatasetStore {
  job: DatasetJob;
  manifest: DatasetManifest | undefined;
  readonly #keys = new Map<string, KeyTally>();
  readonly #items = new Map<string, number>();
  #parts: { range: PartRange; files: readonly DatasetFile[] | undefined }[] = [];

  /** @param quality of the events that label the rows, as the manifest is to say it. */
  constructor(spec: DatasetSpec, quality: unknown) {
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
