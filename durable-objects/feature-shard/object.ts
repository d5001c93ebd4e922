import { DurableObject } from 'cloudflare:workers';
import type { FeatureDefinition } from '../../src/catalog/define/feature.ts';
import { catalog } from '../../src/catalog/index.ts';
import { cellsOf, type FoldableEvent, mergeCells } from '../../src/features/fold.ts';
import { type FeatureValue, readFeature } from '../../src/features/read.ts';
import { FOLD_EVENTS_MAX, READ_KEYS_MAX, shardOf } from '../../src/features/shards.ts';
import { CellStore } from './store.ts';

export interface FoldOutcome {
  /** How many of the events were new to this shard. */
  readonly folded: number;
  /** The keys of this shard that the events count for, whether new or not: all of them are invalidated. */
  readonly keys: readonly string[];
}

/** The features of a share of one entity's keys, named `<entity>/<n>`. */
export class FeatureShard extends DurableObject {
  readonly #store: CellStore;

  constructor(ctx: DurableObjectState, env: never) {
    super(ctx, env);
    this.#store = new CellStore(ctx.storage);
  }

  /** Folds events; those folded before change nothing. Safe to repeat. */
  async fold(shard: string, entity: string, events: readonly FoldableEvent[]): Promise<FoldOutcome> {
    if (events.length > FOLD_EVENTS_MAX)
      throw new RangeError(`A call folds at most ${FOLD_EVENTS_MAX} events.`);
    const features = featuresOf(entity);
    const own = (fresh: readonly FoldableEvent[]) =>
      fresh.flatMap((event) => cellsOf(features, event)).filter(({ key }) => shardOf(entity, key) === shard);
    const folded = this.#store.fold(events, (fresh) => mergeCells(own(fresh)));
    return { folded, keys: [...new Set(own(events).map(({ key }) => key))] };
  }

  /** All features of some keys as of `now`, in the order of the keys. */
  async read(entity: string, keys: readonly string[], now: number): Promise<Record<string, FeatureValue>[]> {
    if (keys.length > READ_KEYS_MAX) throw new RangeError(`A call reads at most ${READ_KEYS_MAX} keys.`);
    const features = featuresOf(entity);
    return keys.map((key) => {
      const cells = Map.groupBy(this.#store.read(key), ({ feature }) => feature);
      return Object.assign(
        {},
        ...features.map((definition) => readFeature(definition, cells.get(definition.name) ?? [], now)),
      );
    });
  }

  /** How many events this shard has folded. */
  async foldedEvents(): Promise<number> {
    return this.#store.count();
  }
}

function featuresOf(entity: string): FeatureDefinition[] {
  return catalog.features.filter((definition) => definition.entity.name === entity);
}
