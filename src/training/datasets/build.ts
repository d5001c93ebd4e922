import type { DatasetDefinition } from '../../define/dataset.ts';
import type { ModelDefinition } from '../../define/model.ts';
import { versionOf } from '../../features/cell-rule.ts';
import type { HistoryPort } from '../../features/join-history.ts';
import { Failure } from '../../platform/failure.ts';
import { columnsOf } from './columns.ts';
import { type Counted, type CountedPage, countPage, planDataset } from './counting.ts';
import type { DatasetLimits } from './limits.ts';
import { type DatasetFile, type DatasetManifest, datasetDigest, describedColumns } from './manifest.ts';
import { ItemPool, type KnownItem } from './negatives.ts';
import { PartOverflow, partSteps } from './part.ts';
import { halved, type KeyTally, type PartRange, tooLarge } from './parts.ts';
import { DATASET_FORMAT, type DatasetSpec, momentsOf, recipeDigest, type SplitBounds } from './spec.ts';

/** A dataset that is being made. */
export interface DatasetJob {
  readonly id: string;
  readonly spec: DatasetSpec;
  /** - `counting`: goes through the label events. - `building`: makes the parts. */
  readonly state: 'counting' | 'building';
  readonly counted: Counted;
  /** Null while counting. */
  readonly bounds: SplitBounds | null;
  readonly quality: unknown;
}

/** A part that is not made yet. */
export interface OpenPart {
  readonly range: PartRange;
  /** How many parts were made before it. */
  readonly number: number;
}

/** What is kept of one job. Each call is one transaction. */
export interface DatasetStore {
  /** Adds a page to the tallies. @returns how many keys and items there are now. */
  readonly addCounted: (page: CountedPage) => { readonly keys: number; readonly items: number };
  /** In the order of their hashes, then of the keys. */
  readonly keys: () => Iterable<KeyTally>;
  readonly items: () => Iterable<KnownItem>;
  readonly beginBuilding: (bounds: SplitBounds, parts: readonly PartRange[]) => void;
  /** The first part, by hash, that is not made; undefined if all are. */
  readonly nextPart: () => OpenPart | undefined;
  readonly dividePart: (range: PartRange, halves: readonly [PartRange, PartRange]) => void;
  readonly endPart: (range: PartRange, files: readonly DatasetFile[]) => void;
  /** Of all parts, in their order. */
  readonly files: () => readonly DatasetFile[];
  readonly finish: (manifest: DatasetManifest) => void;
}

export interface DatasetPorts {
  readonly models: readonly ModelDefinition[];
  readonly history: HistoryPort;
  /** Stores a file of a dataset. */
  readonly put: (id: string, name: string, bytes: Uint8Array<ArrayBuffer>) => Promise<void>;
  readonly limits: DatasetLimits;
  readonly codeVersion: string;
}

/**
 * Makes datasets in steps, each of which reads at most one page of history or writes one file. All that a step has achieved
 * is in the store when it ends, but for the part that is being made: that is in memory, and begins again after a restart.
 */
export class DatasetBuilder {
  readonly #ports: DatasetPorts;
  #open:
    | { readonly id: string; readonly part: OpenPart; readonly steps: ReturnType<typeof partSteps> }
    | undefined;

  constructor(ports: DatasetPorts) {
    this.#ports = ports;
  }

  /**
   * Does the next step of a job.
   *
   * @returns whether anything is left to do.
   * @throws Failure `dataset_too_large`, `dataset_empty`, `recipe_changed` and `history_pruned`, which another attempt does
   *   not change; any other error is one of a peer.
   */
  async step(job: DatasetJob, store: DatasetStore): Promise<boolean> {
    const { definition, recipe } = this.#recipeOf(job.spec);
    if (job.state === 'counting') await this.#count(job, store, definition, recipe);
    else if (!(await this.#build(job, store, definition, recipe))) return false;
    return true;
  }

  /** Drops what is in memory of a job. */
  forget(): void {
    this.#open = undefined;
  }

  async #count(
    { spec, counted }: DatasetJob,
    store: DatasetStore,
    definition: ModelDefinition,
    recipe: DatasetDefinition,
  ): Promise<void> {
    const { history, limits } = this.#ports;
    const page = await countPage(recipe, spec, counted, history);
    const { keys, items } = store.addCounted(page);
    if (keys > limits.keysMax) throw tooLarge(`It has more than ${limits.keysMax} entities.`);
    if (items > limits.itemsMax) throw tooLarge(`It has more than ${limits.itemsMax} items.`);
    if (!page.isLast) return;
    const columns = columnsOf(definition, recipe).length;
    const tally = { counted: page.counted, keys: store.keys(), columns };
    const { bounds, parts } = planDataset(recipe, spec, tally, limits);
    store.beginBuilding(bounds, parts);
  }

  /** @returns false once the dataset is whole. */
  async #build(
    job: DatasetJob,
    store: DatasetStore,
    definition: ModelDefinition,
    recipe: DatasetDefinition,
  ): Promise<boolean> {
    const part = store.nextPart();
    if (part === undefined) {
      store.finish(await this.#manifestOf(job, store, definition, recipe));
      return false;
    }
    const { steps } = this.#opened(job, part, store, definition, recipe);
    try {
      const step = await steps.next();
      if (step.done !== true) return true;
      store.endPart(part.range, step.value);
    } catch (error) {
      this.#open = undefined;
      if (!(error instanceof PartOverflow)) throw error;
      store.dividePart(part.range, halved(part.range, this.#ports.limits.partCellsMax));
    }
    this.#open = undefined;
    return true;
  }

  #opened(
    { id, spec, bounds }: DatasetJob,
    part: OpenPart,
    store: DatasetStore,
    definition: ModelDefinition,
    recipe: DatasetDefinition,
  ) {
    if (bounds === null) throw new Error(`The dataset ${id} is being built and has no bounds.`);
    const { history, limits, put } = this.#ports;
    const open = this.#open;
    if (open?.id === id && open.part.number === part.number && open.part.range.to === part.range.to)
      return open;
    const moments = recipe.rows === 'events' ? [] : momentsOf(recipe, bounds);
    const plan = { recipe, bounds, moments, seed: spec.seed, pool: new ItemPool(store.items()) };
    const work = { definition, spec, plan, ...part, cellsMax: limits.partCellsMax, history };
    const steps = partSteps({ ...work, put: (name, bytes) => put(id, name, bytes) });
    const opened = { id, part, steps };
    this.#open = opened;
    return opened;
  }

  async #manifestOf(
    { id, spec, bounds, counted, quality }: DatasetJob,
    store: DatasetStore,
    definition: ModelDefinition,
    recipe: DatasetDefinition,
  ): Promise<DatasetManifest> {
    if (bounds === null) throw new Error(`The dataset ${id} is built and has no bounds.`);
    const files = [...store.files()];
    const rowsOf = (split: DatasetFile['split']) =>
      files.reduce((sum, file) => sum + (file.split === split ? file.rows : 0), 0);
    const rows = { train: rowsOf('train'), validation: rowsOf('validation'), test: rowsOf('test') };
    if (rows.train === 0)
      throw new Failure('dataset_empty', 'No row is old enough for training: ask for a longer time.');
    const digestOf = ({ feature }: { readonly feature: Parameters<typeof versionOf>[0] }) =>
      versionOf(feature).digest;
    const columns = describedColumns(columnsOf(definition, recipe), digestOf);
    const digest = await datasetDigest(columns, files);
    return {
      ...{ format: DATASET_FORMAT, id, spec, columns, rows, bounds, files, digest, quality },
      ...{ labelEvents: counted.events, codeVersion: this.#ports.codeVersion },
    };
  }

  #recipeOf({ model, recipe: digest }: DatasetSpec) {
    const definition = this.#ports.models.find(({ name }) => name === model);
    const recipe = definition?.dataset;
    if (definition === undefined || recipe === undefined || recipeDigest(definition, recipe) !== digest)
      throw new Failure(
        'recipe_changed',
        'The release declares another dataset, or other features, than those that this one was begun with.',
      );
    return { definition, recipe };
  }
}
