import type { FeatureDefinition } from '../../define/feature.ts';
import type { FeatureRow } from '../../define/feature-value.ts';
import type { ModelDefinition } from '../../define/model.ts';
import { type HistoryPort, joinSteps } from '../../features/join-history.ts';
import type { AsOfRequest } from '../../features/point-in-time.ts';
import { sha256Hex } from '../../platform/digest.ts';
import { columnsOf, type DatasetColumn } from './columns.ts';
import { type Example, type ExamplePlan, examplesOf, inOrder } from './examples.ts';
import { labelPages } from './label-pages.ts';
import { type DatasetFile, fileName } from './manifest.ts';
import { type JoinedExample, parquetOf } from './parquet.ts';
import type { PartRange } from './parts.ts';
import { type DatasetSpec, SPLITS } from './spec.ts';
import { hashOfKey, type Touch } from './touches.ts';

/** What a part is made of. */
export interface PartWork {
  readonly definition: ModelDefinition;
  readonly spec: DatasetSpec;
  readonly plan: ExamplePlan;
  readonly range: PartRange;
  /** Its place among the parts, from 0: the files are named after it. */
  readonly number: number;
  readonly cellsMax: number;
  readonly history: HistoryPort;
  /** Stores a file. Storing the same one again changes nothing. */
  readonly put: (name: string, bytes: Uint8Array<ArrayBuffer>) => Promise<void>;
}

/** The features of a part do not fit into memory: it has to be divided. */
export class PartOverflow extends Error {}

/**
 * Makes the files of one part. After each page of history it yields how many events it has read, and it may be left there
 * for good: it has changed nothing but files, which another attempt writes again with the same bytes.
 *
 * @throws PartOverflow; Failure `history_pruned`, `database_unavailable`.
 */
export async function* partSteps(work: PartWork): AsyncGenerator<number, DatasetFile[]> {
  const touches: Touch[] = [];
  for await (const page of labelPages(work.plan.recipe, work.spec, work.history)) {
    for (const touch of page.touches) if (isOf(work.range, touch)) touches.push(touch);
    yield page.events;
  }
  const examples = [...Map.groupBy(touches, ({ key }) => key)]
    .flatMap(([key, own]) => examplesOf(key, own, work.plan))
    .sort(inOrder);
  const { plan, definition } = work;
  const columns = columnsOf(definition, plan.recipe);
  const joined = yield* joinedSteps(examples, columns, work);
  const files: DatasetFile[] = [];
  for (const split of SPLITS) {
    const rows = joined.filter((row) => row.split === split);
    const [first, last] = [rows[0], rows.at(-1)];
    if (first === undefined || last === undefined) continue;
    const bytes = parquetOf(columns, rows);
    const name = fileName(split, work.number);
    await work.put(name, bytes);
    files.push({
      ...{ name, split, rows: rows.length, bytes: bytes.byteLength, sha256: await sha256Hex(bytes) },
      ...{ from: first.at, to: last.at },
    });
    yield 0;
  }
  return files;
}

function isOf({ from, to }: PartRange, { key }: Touch): boolean {
  const hash = hashOfKey(key);
  return hash >= from && hash <= to;
}

async function* joinedSteps(
  examples: readonly Example[],
  columns: readonly DatasetColumn[],
  work: PartWork,
): AsyncGenerator<number, JoinedExample[]> {
  const { definition, spec, history, cellsMax } = work;
  const known = spec.knowledge === 'snapshot' ? spec.asOf : undefined;
  const requests = new Requests(known);
  const itemEntity = definition.task === 'ranking' ? definition.itemEntity : undefined;
  const ofRole = (role: DatasetColumn['role']) => featuresOf(columns, role);
  const [features, itemFeatures] = [ofRole('feature'), ofRole('item-feature')];
  const places = examples.map(({ key, item, at }) => ({
    entity: features.length === 0 ? undefined : requests.place(definition.entity.name, key, at),
    item:
      itemEntity === undefined || item === undefined || itemFeatures.length === 0
        ? undefined
        : requests.place(itemEntity.name, item, at),
  }));
  const all = [...new Set([...features, ...itemFeatures])];
  const order = known === undefined ? 'visible' : 'happened';
  const steps = joinSteps(all, requests.all, order, history);
  for (let read = 0; ; ) {
    const step = await steps.next();
    if (step.done === true) return withFeatures(examples, places, step.value);
    if (step.value.cells() > cellsMax) throw new PartOverflow();
    yield step.value.progress.events - read;
    read = step.value.progress.events;
  }
}

function withFeatures(
  examples: readonly Example[],
  places: readonly { readonly entity: number | undefined; readonly item: number | undefined }[],
  rows: readonly FeatureRow[],
): JoinedExample[] {
  const rowAt = (place: number | undefined) => (place === undefined ? {} : (rows[place] ?? {}));
  return examples.map((example, index) => ({
    ...example,
    features: rowAt(places[index]?.entity),
    itemFeatures: rowAt(places[index]?.item),
  }));
}

function featuresOf(columns: readonly DatasetColumn[], role: DatasetColumn['role']): FeatureDefinition[] {
  return columns.flatMap((column) =>
    column.role === role && column.reference !== undefined ? [column.reference.feature] : [],
  );
}

/** Requests of a join, each of them once. */
class Requests {
  readonly all: AsOfRequest[] = [];
  readonly #places = new Map<string, number>();
  readonly #known: number | undefined;

  constructor(known: number | undefined) {
    this.#known = known;
  }

  place(entity: string, key: string, at: number): number {
    const identity = JSON.stringify([entity, key, at]);
    const before = this.#places.get(identity);
    if (before !== undefined) return before;
    const place = this.all.length;
    const known = this.#known === undefined ? {} : { known: this.#known };
    this.all.push({ entity, key, at, isBefore: true, ...known });
    this.#places.set(identity, place);
    return place;
  }
}
