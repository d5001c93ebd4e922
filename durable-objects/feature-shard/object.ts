import { DurableObject } from 'cloudflare:workers';
import type { FeatureDefinition } from '../../src/define/feature.ts';
import type { FeatureRow } from '../../src/define/feature-value.ts';
import type { ClockMoment } from '../../src/define/view.ts';
import type { ShardDigest } from '../../src/features/digest.ts';
import { cellsOf, type FoldableEvent } from '../../src/features/fold.ts';
import { KeyTraces } from '../../src/features/key-traces.ts';
import { countOf, shardOf } from '../../src/features/layout.ts';
import { answerMoves } from '../../src/features/moved-answers.ts';
import type { OldVersion } from '../../src/features/old-versions.ts';
import type { Announcement, Told } from '../../src/features/open-folds.ts';
import { notReady, readRow } from '../../src/features/read.ts';
import { CHANGED_KEYS_MAX, type FlipStep } from '../../src/features/rebuild.ts';
import type { ShardRead, VersionsRead } from '../../src/features/seen-folds.ts';
import { FOLD_EVENTS_MAX, READ_KEYS_MAX } from '../../src/features/shards.ts';
import { slotsOf } from '../../src/features/slots.ts';
import type { Now } from '../../src/platform/clock.ts';
import { CONTINUED } from '../../src/platform/tracing/object-calls.ts';
import { forgetKey, noteErased, rowsOfKey } from './erased.ts';
import { CellStore } from './store.ts';
import { nextSweepAt, type StepLimits } from './upkeep.ts';

/** Rows of each generation that one call removes: some 40 ms. */
const FORGET_ROWS_MAX = 1_000;

export interface ShardPorts {
  /** All features of the catalog. */
  readonly features: readonly FeatureDefinition[];
  readonly now: Now;
  /** Only simulations set it: their shards have few cells. */
  readonly limits?: StepLimits;
}

export interface FoldOutcome {
  /** How many of the events were new to this shard. */
  readonly folded: number;
  /**
   * The parts of this shard's keys (`partOf`) in which the events count, and that have to be invalidated. Those of
   * duplicates are included until their invalidation is announced, so that a retry invalidates them too.
   */
  readonly keys: readonly string[];
  /** The number of the shard's fold that has all of them. */
  readonly fold: number;
}

/** The features of a share of one entity's keys, named `<entity>/<n>` or `<entity>/<n>of<shards>` (src/features/layout.ts). */
export class FeatureShard extends DurableObject {
  readonly #store: CellStore;
  readonly #features: readonly FeatureDefinition[];
  readonly #now: Now;
  readonly #traces = new KeyTraces();

  constructor(ctx: DurableObjectState, env: Cloudflare.Env, { features, now, limits }: ShardPorts) {
    super(ctx, env);
    this.#features = features;
    this.#now = now;
    this.#store = new CellStore(ctx.storage, limits);
  }

  /**
   * Folds events. Idempotent: an event that was folded before changes nothing.
   *
   * @param copiedTo the number of shards of the layout into which the caller has folded the same events before.
   * @param told earlier folds of this shard whose tags are invalidated, as `announced` has them one at a time.
   * @throws ShardMoved if other shards have the keys, or the events have to be folded there first.
   */
  async fold(
    shard: string,
    entity: string,
    events: readonly FoldableEvent[],
    copiedTo?: number,
    told: readonly Told[] = [],
  ): Promise<FoldOutcome> {
    if (events.length > FOLD_EVENTS_MAX)
      throw new RangeError(`A call folds at most ${FOLD_EVENTS_MAX} events.`);
    const own = this.#ownCells(shard, entity);
    for (const { announcement, at } of told) this.#store.announce(announcement, at);
    const cells = new Map(events.map((event) => [event, own(event)]));
    this.#traces.note(cells);
    const folded = this.#store.fold(events, (event) => cells.get(event) ?? [], copiedTo);
    if (folded > 0) await this.#sweepDaily();
    const keys = this.#store.keysToInvalidate(events, (event) => cells.get(event) ?? []);
    return { folded, keys, fold: this.#store.newestFold };
  }

  /** Notes that the tags of what was folded are invalidated. Until then, readers invalidate what they see of it. */
  async announced(announcement: Announcement, at: ClockMoment): Promise<void> {
    this.#store.announce(announcement, at);
  }

  /** Opens a backfill of the features that are not served yet, and returns their names. Idempotent. */
  async openBackfill(entity: string, run: string): Promise<string[]> {
    this.#adopted(entity);
    return this.#store.openBackfill(run);
  }

  /**
   * Folds events of history into the features that lack them. The keys are those of served features that have changed:
   * of events whose delivery is still to come.
   */
  async fill(shard: string, entity: string, events: readonly FoldableEvent[]): Promise<FoldOutcome> {
    if (events.length > FOLD_EVENTS_MAX)
      throw new RangeError(`A call folds at most ${FOLD_EVENTS_MAX} events.`);
    const { folded, keys } = this.#store.fill(events, this.#ownCells(shard, entity));
    if (folded > 0) await this.#sweepDaily();
    return { folded, keys, fold: this.#store.newestFold };
  }

  /** Serves features that the backfill has filled; false if another one has to fill them. Idempotent. */
  async serveFilled(entity: string, run: string, features: readonly string[]): Promise<boolean> {
    this.#adopted(entity);
    const isServed = this.#store.serve(run, features);
    await this.#clean();
    return isServed;
  }

  /** All features of some keys as of `now`, in the order of the keys. */
  async read(entity: string, keys: readonly string[], now: number): Promise<FeatureRow[]> {
    return [...this.#read(entity, keys, now).rows];
  }

  /** As `read`, with the folds that the rows show. */
  async readWithFolds(entity: string, keys: readonly string[], now: number): Promise<ShardRead> {
    return this.#read(entity, keys, now);
  }

  /** The traces of the events that a read of keys shows. */
  [CONTINUED](method: string, [, keys]: readonly unknown[]): readonly string[] {
    const isRead = method === 'readWithFolds' || method === 'readVersions' || method === 'read';
    return isRead && Array.isArray(keys) ? this.#traces.of(keys.map(String)) : [];
  }

  #read(entity: string, keys: readonly string[], now: number): ShardRead {
    if (keys.length > READ_KEYS_MAX) throw new RangeError(`A call reads at most ${READ_KEYS_MAX} keys.`);
    const features = this.#adopted(entity);
    const { waiting } = this.#store;
    const isWaiting = (definition: FeatureDefinition) =>
      slotsOf(definition).some(({ name }) => waiting.has(name));
    const built = waiting.size === 0 ? [] : features.filter(isWaiting);
    const isBuilt = new Set(built);
    const served = built.length === 0 ? features : features.filter((definition) => !isBuilt.has(definition));
    const unready = Object.assign({}, ...built.map(notReady));
    const { cells, folds } = this.#store.readWithFolds(keys, now);
    return { rows: cells.map((kept) => ({ ...readRow(served, kept, now), ...unready })), folds };
  }

  /**
   * Versions of features by their names, such as `spent_7d@0123456789ab`, in the order of the keys: those of this release,
   * and replaced ones that are kept.
   */
  async readVersions(
    entity: string,
    keys: readonly string[],
    names: readonly string[],
    now: number,
  ): Promise<VersionsRead> {
    if (keys.length > READ_KEYS_MAX) throw new RangeError(`A call reads at most ${READ_KEYS_MAX} keys.`);
    this.#adopted(entity);
    return this.#store.readVersions(keys, names, now);
  }

  /** The replaced versions that this shard keeps for readers. */
  async oldVersions(entity: string): Promise<OldVersion[]> {
    this.#adopted(entity);
    this.#store.assertHere();
    return this.#store.oldVersions(this.#now());
  }

  /**
   * Opens a move of all keys to a layout of `to` shards: from now on `fold` asks callers to fold there first. Idempotent.
   */
  async openMove(entity: string, to: number): Promise<void> {
    this.#adopted(entity);
    this.#store.openMove(to);
  }

  /** Cancels a move that is open. Idempotent. */
  async cancelMove(entity: string): Promise<void> {
    this.#adopted(entity);
    this.#store.cancelMove();
  }

  /** Leaves the keys to that layout, for good; false if no move to it is open. Idempotent. */
  async endMove(entity: string, to: number): Promise<boolean> {
    this.#adopted(entity);
    const isMoved = this.#store.endMove(to);
    await this.#clean();
    return isMoved;
  }

  /** Folds none of these events from now on, from whichever side they come: they were erased. Idempotent. */
  async forgetEvents(seqs: readonly number[]): Promise<void> {
    this.#store.erase((sql, state) => ({ result: noteErased(sql, state, seqs) }));
  }

  /**
   * Removes the cells of a key, a bounded number of rows; its tag has to be invalidated after that. Idempotent.
   *
   * @returns how many rows it has removed, and whether more are left.
   */
  async forgetKey(entity: string, key: string): Promise<{ rows: number; isMore: boolean }> {
    this.#adopted(entity);
    return this.#store.erase((sql, state, kept) =>
      forgetKey(sql, state, kept, { key, limit: FORGET_ROWS_MAX }),
    );
  }

  /** How many rows have cells of a key, in all generations. */
  async rowsOfKey(entity: string, key: string): Promise<number> {
    this.#adopted(entity);
    return this.#store.erase((sql) => ({ result: rowsOfKey(sql, key) }));
  }

  /** Opens a rebuild: from now on live events are folded into its cells as well. Idempotent. */
  async beginRebuild(entity: string, run: string): Promise<void> {
    this.#adopted(entity);
    this.#store.beginRebuild(run);
    await this.#clean();
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
    return this.#store.build(run, events, this.#ownCells(shard, entity));
  }

  /**
   * Does one step towards serving the cells of a rebuild. Repeat it until the state is `flipped`; a repeated call for
   * the same run then returns the same outcome.
   */
  async flip(entity: string, run: string): Promise<FlipStep> {
    this.#adopted(entity);
    const step = this.#store.stepFlip(run);
    if (step.state === 'flipped') await this.#clean();
    return step;
  }

  /** Keys that flips have changed and that have not been invalidated yet. */
  async changedKeys(limit: number): Promise<string[]> {
    if (limit > CHANGED_KEYS_MAX) throw new RangeError(`A call lists at most ${CHANGED_KEYS_MAX} keys.`);
    return this.#store.changedKeys(limit);
  }

  /** Removes changed keys after they have been invalidated. */
  async settle(keys: readonly string[], at: ClockMoment): Promise<void> {
    this.#store.settle(keys, at);
  }

  async digest(): Promise<ShardDigest> {
    this.#store.assertHere();
    return this.#store.digest();
  }

  /** How many events this shard has folded. */
  async foldedEvents(): Promise<number> {
    this.#store.assertHere();
    return this.#store.digest().events;
  }

  /** Does one step of upkeep. A step that throws is tried again by the platform, and by the next fold. */
  override async alarm(): Promise<void> {
    const now = this.#now();
    const isMore = this.#store.stepUpkeep(now);
    if (isMore) await this.ctx.storage.setAlarm(now);
    else if (this.#store.digest().cells > 0) await this.ctx.storage.setAlarm(nextSweepAt(now));
  }

  async #sweepDaily(): Promise<void> {
    if ((await this.ctx.storage.getAlarm()) === null)
      await this.ctx.storage.setAlarm(this.#store.nextUpkeepAt(this.#now()));
  }

  async #clean(): Promise<void> {
    if (this.#store.hasUpkeep()) await this.ctx.storage.setAlarm(this.#now());
  }

  /** The cells of this shard's own keys that an event adds to. */
  #ownCells(shard: string, entity: string) {
    const features = this.#adopted(entity);
    return (event: FoldableEvent) =>
      cellsOf(features, event).filter(({ key }) => shardOf(entity, key, countOf(shard)) === shard);
  }

  #adopted(entity: string): FeatureDefinition[] {
    const features = this.#features.filter((definition) => definition.entity.name === entity);
    // Not awaited: the platform holds back answers until the alarm is set.
    if (this.#store.adopt(features, this.#now())) void this.ctx.storage.setAlarm(this.#now());
    return features;
  }
}

// A method that calls another one of these would get its answer: they share private ones.
answerMoves(FeatureShard);
