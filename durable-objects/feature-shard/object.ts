import { DurableObject } from 'cloudflare:workers';
import type { FeatureDefinition } from '../../src/define/feature.ts';
import type { FeatureValue } from '../../src/define/feature-value.ts';
import type { ShardDigest } from '../../src/features/digest.ts';
import { cellsOf, type FoldableEvent, mergeCells } from '../../src/features/fold.ts';
import { readFeature } from '../../src/features/read.ts';
import { CHANGED_KEYS_MAX, type FlipOutcome } from '../../src/features/rebuild.ts';
import { FOLD_EVENTS_MAX, READ_KEYS_MAX, shardOf } from '../../src/features/shards.ts';
import { CellStore } from './store.ts';

export interface FoldOutcome {
  /** How many of the events were new to this shard. */
  readonly folded: number;
  /** The keys of this shard that the events count for. Duplicates are included, so that a retry invalidates them too. */
  readonly keys: readonly string[];
}

/** The features of a share of one entity's keys, named `<entity>/<n>`. */
export class FeatureShard extends DurableObject {
  readonly #store: CellStore;
  readonly #features: readonly FeatureDefinition[];

  /** @param features all features of the catalog. */
  constructor(ctx: DurableObjectState, env: Cloudflare.Env, features: readonly FeatureDefinition[]) {
    super(ctx, env);
    this.#features = features;
    this.#store = new CellStore(ctx.storage);
  }

  /** Folds events. Idempotent: an event that was folded before changes nothing. */
  async fold(shard: string, entity: string, events: readonly FoldableEvent[]): Promise<FoldOutcome> {
    if (events.length > FOLD_EVENTS_MAX)
      throw new RangeError(`A call folds at most ${FOLD_EVENTS_MAX} events.`);
    const own = this.#ownCells(shard, entity);
    const cells = new Map(events.map((event) => [event, own(event)]));
    const folded = this.#store.fold(events, (fresh) =>
      mergeCells(fresh.flatMap((event) => cells.get(event) ?? [])),
    );
    return { folded, keys: [...new Set([...cells.values()].flatMap((of) => of.map(({ key }) => key)))] };
  }

  /** All features of some keys as of `now`, in the order of the keys. */
  async read(entity: string, keys: readonly string[], now: number): Promise<Record<string, FeatureValue>[]> {
    if (keys.length > READ_KEYS_MAX) throw new RangeError(`A call reads at most ${READ_KEYS_MAX} keys.`);
    const features = this.#featuresOf(entity);
    return keys.map((key) => {
      const cells = Map.groupBy(this.#store.read(key), ({ feature }) => feature);
      return Object.assign(
        {},
        ...features.map((definition) => readFeature(definition, cells.get(definition.name) ?? [], now)),
      );
    });
  }

  /** Opens a rebuild: from now on live events are folded into its cells as well. Idempotent. */
  async beginRebuild(run: string): Promise<void> {
    this.#store.rebuilding((rebuild) => rebuild.begin(run));
  }

  /** Folds events of history into the cells of a rebuild; false if that rebuild is not the open one. */
  async build(
    shard: string,
    entity: string,
    run: string,
    events: readonly FoldableEvent[],
  ): Promise<boolean> {
    if (events.length > FOLD_EVENTS_MAX)
      throw new RangeError(`A call folds at most ${FOLD_EVENTS_MAX} events.`);
    const own = this.#ownCells(shard, entity);
    return this.#store.build(run, events, (fresh) => mergeCells(fresh.flatMap(own)));
  }

  /** Replaces the live cells by those of a rebuild; undefined if another rebuild is open. Idempotent. */
  async flip(run: string): Promise<FlipOutcome | undefined> {
    return this.#store.rebuilding((rebuild) => rebuild.flip(run));
  }

  /** Keys that flips have changed and that have not been invalidated yet. */
  async changedKeys(limit: number): Promise<string[]> {
    if (limit > CHANGED_KEYS_MAX) throw new RangeError(`A call lists at most ${CHANGED_KEYS_MAX} keys.`);
    return this.#store.rebuilding((rebuild) => rebuild.changedKeys(limit));
  }

  /** Removes changed keys after they have been invalidated. */
  async settle(keys: readonly string[]): Promise<void> {
    this.#store.rebuilding((rebuild) => rebuild.settle(keys));
  }

  async digest(): Promise<ShardDigest> {
    return this.#store.digest();
  }

  /** How many events this shard has folded. */
  async foldedEvents(): Promise<number> {
    return this.#store.count();
  }

  /** The cells of this shard's own keys that an event adds to. */
  #ownCells(shard: string, entity: string) {
    const features = this.#featuresOf(entity);
    return (event: FoldableEvent) =>
      cellsOf(features, event).filter(({ key }) => shardOf(entity, key) === shard);
  }

  #featuresOf(entity: string): FeatureDefinition[] {
    return this.#features.filter((definition) => definition.entity.name === entity);
  }
}
