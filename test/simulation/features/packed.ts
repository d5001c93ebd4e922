import { MIGRATIONS } from '../../../durable-objects/feature-shard/migrations.ts';
import { cellsOfPack } from '../../../durable-objects/feature-shard/packs.ts';
import { CellStore } from '../../../durable-objects/feature-shard/store.ts';
import type { FeatureDefinition } from '../../../src/define/feature.ts';
import { cellRulesOf } from '../../../src/features/cell-rule.ts';
import { DigestTally, type ShardDigest } from '../../../src/features/digest.ts';
import { type Cell, cellsOf, type FoldableEvent, mergeCells } from '../../../src/features/fold.ts';
import { oldestTile, tilesRead } from '../../../src/features/retention.ts';
import { type Slot, slotsOf } from '../../../src/features/slots.ts';
import { SERVED_CELLS } from '../../support/served-cells.ts';
import { type ObjectStorage, objectStorage } from '../pipeline/cloudflare-workers.ts';

/** So few that every walk takes several steps. */
const LIMITS = { rows: 3, keys: 2 };
const STEPS_MAX = 10_000;

/** A slot of a feature as it should be: the numbers of the events that it counts. */
interface Owed {
  readonly slot: Slot;
  readonly definition: FeatureDefinition;
  readonly rule: string;
  readonly numbers: Set<number>;
  /** The numbers of the events that its layer has; null once it is served. */
  layer: Set<number> | null;
}

/** A shard on real SQLite, beside what it should have: for each feature a set of events. */
export class PackedShard {
  now: number;
  readonly #events = new Map<number, FoldableEvent>();
  readonly #disk: ObjectStorage = objectStorage();
  #store: CellStore;
  #owed: Owed[] = [];
  #served = new Set<number>();
  #next: { readonly run: string; readonly numbers: Set<number> } | undefined;
  #release: readonly FeatureDefinition[];
  #runs = 0;

  constructor(now: number, release: readonly FeatureDefinition[]) {
    this.now = now;
    this.#release = release;
    this.#store = new CellStore(this.#disk.storage, LIMITS);
    this.deploy(release);
  }

  [Symbol.dispose](): void {
    this.#disk.close();
  }

  /** Another release, or the same again after an eviction. */
  deploy(release: readonly FeatureDefinition[]): void {
    this.#release = release;
    this.#store = new CellStore(this.#disk.storage, LIMITS);
    this.#store.adopt(release);
    const layer = new Set<number>();
    const before = this.#owed;
    this.#owed = release.flatMap((definition) => {
      const slots = slotsOf(definition).map((slot): { readonly fresh: Owed; readonly known?: Owed } => {
        const { rule = '', code = '' } = cellRulesOf(definition).find(({ name }) => name === slot.name) ?? {};
        const known = before.find((owed) => owed.slot.name === slot.name && owed.rule === rule + code);
        const fresh = { slot, definition, rule: rule + code, numbers: new Set<number>(), layer };
        const isEnough = known !== undefined && slot.tiles <= known.slot.tiles;
        return isEnough ? { fresh, known: { ...known, definition, slot } } : { fresh };
      });
      // A feature goes on with all of its cells or with none.
      const isKnown = slots.every(({ known }) => known !== undefined);
      return slots.map(({ fresh, known }) => (isKnown ? (known ?? fresh) : fresh));
    });
    const kept = new Set(this.#owed.map(({ numbers }) => numbers));
    if (this.#owed.some((owed) => owed.layer === layer) || before.some(({ numbers }) => !kept.has(numbers)))
      this.#next = undefined;
  }

  /** The disk as the release before packs would have left it, with the code of this one. */
  goBack(): void {
    const { sql } = this.#disk.storage;
    const packs = this.#disk.rows('select generation, key, bucket, state from cells where feature < 0');
    sql.exec('delete from cells where feature < 0');
    for (const { generation, key, bucket, state } of packs)
      for (const cell of cellsOfPack(String(state)))
        sql.exec(
          "insert into cells (generation, key, feature, bucket, item, amount, last_at, state) values (?, ?, ?, ?, '', ?, ?, ?)",
          ...[generation, key, cell.feature, bucket, cell.amount, cell.last_at, cell.state].map(String),
        );
    sql.exec(
      'insert into folded (generation, block, numbers) select generation, block, numbers from generations where block is not null',
    );
    for (const [table, column] of [
      ['generations', 'block'],
      ['generations', 'numbers'],
      ['generations', 'open_folds'],
      ['shard', 'tracked_from'],
      ['shard', 'cleaned'],
      ['shard', 'unpacked'],
      ['features', 'digest'],
      ['features', 'shape'],
      ['features', 'replaced_at'],
      ['shard', 'moves_to'],
      ['shard', 'moved'],
      ['shard', 'erased'],
    ])
      sql.exec(`alter table ${table} drop column ${column}`);
    sql.exec('drop table erased');
    sql.exec('delete from migrations where step >= ?', MIGRATIONS.length - 5);
    this.deploy(this.#release);
  }

  fold(events: readonly FoldableEvent[]): void {
    for (const event of events) this.#events.set(event.seq, event);
    this.#store.fold(events, this.#ownCells);
    for (const { seq } of events) {
      for (const { layer, numbers } of this.#owed) {
        const known = layer ?? this.#served;
        if (!known.has(seq)) numbers.add(seq);
      }
      for (const layer of new Set(this.#owed.map((owed) => owed.layer))) layer?.add(seq);
      this.#served.add(seq);
      this.#next?.numbers.add(seq);
    }
  }

  serveAll(): void {
    this.#store.openBackfill('fill');
    this.#store.serve(
      'fill',
      this.#release.map(({ name }) => name),
    );
    for (const owed of this.#owed) owed.layer = null;
  }

  beginRebuild(): void {
    this.#runs += 1;
    const run = `run ${this.#runs}`;
    this.#store.beginRebuild(run);
    this.#next = { run, numbers: new Set() };
  }

  build(events: readonly FoldableEvent[]): void {
    if (this.#next === undefined) return;
    for (const event of events) this.#events.set(event.seq, event);
    if (!this.#store.build(this.#next.run, events, this.#ownCells)) throw new Error('The rebuild is gone.');
    for (const { seq } of events) this.#next.numbers.add(seq);
  }

  /** One step towards the flip. Every key that it changes has to be recorded, and both digests have to be right. */
  stepFlip(keys: readonly string[]): void {
    const next = this.#next;
    if (next === undefined) return;
    // Features that the flip makes ready have a tag of their own, which is invalidated as well.
    const served = new Set(this.#owed.filter(({ layer }) => layer === null).map(({ slot }) => slot.name));
    const read = () =>
      keys.map((key) => {
        const cells = this.#store.read([key], this.now)[0] ?? [];
        return JSON.stringify(linesOf(cells.filter(({ feature }) => served.has(feature))));
      });
    const before = read();
    const digest = this.#store.digest();
    const step = this.#store.stepFlip(next.run);
    if (step.state === 'superseded') throw new Error('The rebuild is gone.');
    if (step.state === 'comparing') return;
    this.#next = undefined;
    this.#served = next.numbers;
    this.#owed = this.#owed.map((owed) => ({ ...owed, numbers: new Set(next.numbers), layer: null }));
    const recorded = new Set(this.#store.changedKeys(1_000));
    const missed = read().flatMap((after, at) =>
      after === before[at] || recorded.has(keys[at] ?? '') ? [] : [keys[at]],
    );
    if (missed.length > 0) throw new Error(`The flip changes ${missed.join()} and does not record it.`);
    const { outcome } = step;
    if (JSON.stringify(outcome.after) !== JSON.stringify(this.#store.digest()))
      throw new Error('The digest after the flip is not that of the outcome.');
    if (outcome.before.events !== digest.events) throw new Error('The outcome has another number of events.');
    this.#store.settle([...recorded], { epoch: 'e', seq: 1 });
  }

  upkeep(steps: number): void {
    for (let step = 0; step < steps; step += 1) if (!this.#store.stepUpkeep(this.now)) return;
    if (steps === STEPS_MAX) throw new Error('The upkeep does not end.');
  }

  tidy(): void {
    this.upkeep(STEPS_MAX);
  }

  /** The cells of a read, in order. */
  read(key: string): string[] {
    return linesOf(this.#store.read([key], this.now)[0] ?? []);
  }

  /** What the read should have. */
  owedOf(key: string): string[] {
    const cells = this.#owed
      .filter(({ layer }) => layer === null)
      .flatMap((owed) => {
        const { from, to } = tilesRead(owed.slot, this.now);
        return this.#cellsOf(owed).filter(({ bucket }) => bucket >= from && bucket <= to);
      });
    return linesOf(cells.filter((cell) => cell.key === key));
  }

  /** The digest that the store keeps, and that of the cells that it has. */
  digests(): readonly [kept: ShardDigest, owed: ShardDigest] {
    const tally = new DigestTally();
    for (const cell of this.#stored()) tally.add(cell);
    return [this.#store.digest(), { ...tally.change, events: this.#served.size }];
  }

  /** The unexpired cells of current features that the store has. */
  unexpired(): string[] {
    return linesOf(this.#stored().filter((cell) => cell.isCurrent && !this.#isExpired(cell)));
  }

  /** All that the store should have: after upkeep nothing else. */
  owed(): string[] {
    return linesOf(
      this.#owed.flatMap((owed) => this.#cellsOf(owed)).filter((cell) => !this.#isExpired(cell)),
    );
  }

  stored(): string[] {
    return linesOf(this.#stored());
  }

  /** The rows of the served generation by key, pack and tile, and those that the cells should have. */
  rows(): readonly [rows: string[], owed: string[]] {
    const rows = this.#disk.rows(
      'select key, feature, bucket, item from shard, cells where generation = served',
    );
    const ids = new Map(
      this.#disk
        .rows('select name, id, tile_ms from features where retired = 0')
        .map((row) => [String(row['name']), row] as const),
    );
    const owed = this.#owed.flatMap((one) =>
      this.#cellsOf(one)
        .filter((cell) => !this.#isExpired(cell))
        .map(({ feature, key, bucket, item }) => {
          const { id, tile_ms: tileMs } = ids.get(feature) ?? {};
          const isAlone = ['items', 'most_frequent'].includes(one.definition.aggregate);
          const pack = -1 - Number(tileMs) * 2 ** 20 - Math.floor((Number(id) - 1) / 32);
          return [key, isAlone ? id : pack, bucket, item].join(' ');
        }),
    );
    const lines = rows.map((row) => [row['key'], row['feature'], row['bucket'], row['item']].join(' '));
    return [lines.sort(), [...new Set(owed)].sort()];
  }

  /** The bytes of each pack. */
  packs(): number[] {
    const rows = this.#disk.rows('select octet_length(state) as bytes from cells where feature < 0');
    return rows.map(({ bytes }) => Number(bytes));
  }

  get #ownCells() {
    return (event: FoldableEvent) => cellsOf(this.#release, event);
  }

  #cellsOf({ definition, slot, numbers }: Owed): Cell[] {
    const events = [...numbers].flatMap((seq) => this.#events.get(seq) ?? []);
    return mergeCells(events.flatMap((event) => cellsOf([definition], event))).filter(
      ({ feature }) => feature === slot.name,
    );
  }

  #stored(): (Cell & { isCurrent: boolean })[] {
    return this.#disk
      .rows(SERVED_CELLS)
      .map(({ retired, ...row }) => ({ ...(row as unknown as Cell), isCurrent: retired === 0 }));
  }

  #isExpired({ feature, bucket }: Cell): boolean {
    const slot = this.#owed.find((owed) => owed.slot.name === feature)?.slot;
    const horizon = Number(this.#disk.rows('select horizon from shard')[0]?.['horizon']);
    return slot === undefined || bucket < oldestTile(slot, horizon);
  }
}

function linesOf(cells: readonly Cell[]): string[] {
  return cells
    .map(({ feature, key, bucket, item, amount, lastAt, state }) =>
      JSON.stringify([feature, key, bucket, item, amount, lastAt, state]),
    )
    .sort();
}
