import { CellStore } from '../../durable-objects/feature-shard/store.ts';
import { feature } from '../../src/define/feature.ts';
import type { FeatureRow } from '../../src/define/feature-value.ts';
import type { ClockMoment } from '../../src/define/view.ts';
import { cellsOf, type FoldableEvent } from '../../src/features/fold.ts';
import type { Announcement, Told } from '../../src/features/open-folds.ts';
import { readRow } from '../../src/features/read.ts';
import type { ShardRead } from '../../src/features/seen-folds.ts';
import { shardOf } from '../../src/features/shards.ts';
import { customer } from '../support/catalog/entities.ts';
import { purchase } from '../support/catalog/events.ts';
import { lastPurchase, purchases } from '../support/catalog/features.ts';
import { Machine } from './network.ts';
import { objectStorage } from './pipeline/cloudflare-workers.ts';

/** A group of its own, in which every purchase of this world counts. Neither the model nor a reader uses it. */
const sold = feature.count({
  name: 'sold',
  entity: customer,
  event: purchase,
  key: ({ customerId, quantity }) => (quantity > 0 ? customerId : null),
  windowsDays: [365],
});

/** What the shards of this world keep: what the model and the readers use, after a group that they do not use. */
export const FEATURES = [sold, purchases, lastPurchase];
export const ENTITY = 'customer';
/** Of the backfill of an empty history. */
const RUN = '00000000-0000-4000-8000-000000000000';

/** A feature shard: the real store on real SQLite. Its disk outlives it, and what was being asked of it does not. */
export class ShardMachine extends Machine {
  readonly #disk = objectStorage();
  /** Told of each event that is folded for the first time, at the moment of its commit. */
  readonly #folded: (event: FoldableEvent) => void;
  #store: CellStore;

  constructor(name: string, folded: (event: FoldableEvent) => void) {
    super(name);
    this.#folded = folded;
    this.#store = this.#load();
    this.#store.openBackfill(RUN);
    this.#store.serve(
      RUN,
      FEATURES.map((definition) => definition.name),
    );
  }

  override restart(): void {
    super.restart();
    this.#store = this.#load();
  }

  close(): void {
    this.#disk.close();
  }

  /** As the object does it. */
  fold(
    events: readonly FoldableEvent[],
    told: readonly Told[] = [],
  ): { readonly keys: readonly string[]; readonly fold: number } {
    for (const { announcement, at } of told) this.announced(announcement, at);
    const own = (event: FoldableEvent) =>
      cellsOf(FEATURES, event).filter(({ key }) => shardOf(ENTITY, key) === this.name);
    for (const event of this.#store.foldFresh(events, own)) this.#folded(event);
    return { keys: this.#store.keysToInvalidate(events, own), fold: this.#store.newestFold };
  }

  /** As the object does it. */
  readWithFolds(keys: readonly string[], now: number): ShardRead {
    const { cells, folds } = this.#store.readWithFolds(keys, now);
    return { rows: cells.map((kept): FeatureRow => readRow(FEATURES, kept, now)), folds };
  }

  announced(announcement: Announcement, at: ClockMoment): void {
    this.#store.announce(announcement, at);
  }

  #load(): CellStore {
    const store = new CellStore(this.#disk.storage);
    store.adopt(FEATURES);
    return store;
  }
}
