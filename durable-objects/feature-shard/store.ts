import type { FeatureDefinition } from '../../src/define/feature.ts';
import type { ClockMoment } from '../../src/define/view.ts';
import { EMPTY_DIGEST, type ShardDigest } from '../../src/features/digest.ts';
import type { Cell, FoldableEvent } from '../../src/features/fold.ts';
import type { OldVersion } from '../../src/features/old-versions.ts';
import { type Announcement, type FoldsShown, OpenFolds } from '../../src/features/open-folds.ts';
import type { FlipStep } from '../../src/features/rebuild.ts';
import { BUCKET_MS, horizonOf } from '../../src/features/retention.ts';
import type { VersionsRead } from '../../src/features/seen-folds.ts';
import { migrate } from '../sqlite-migrations.ts';
import { cellsOfKey } from './cells.ts';
import { type Erased, withoutErased } from './erased.ts';
import {
  adoptDefinitions,
  type KeptFeatures,
  loadFeatures,
  oldVersions,
  openLayers,
  serveFilled,
} from './features.ts';
import { OpenGeneration, openFoldsOf, totalsOf, writeOpenFolds } from './generation.ts';
import { moveLegacy, moveLegacyPart } from './legacy.ts';
import { MIGRATIONS } from './migrations.ts';
import { assertHere, assertTakes, cancelMove, endMove, openMove } from './moving.ts';
import { FeatureGroups } from './parts.ts';
import { beginRebuild, changedAmong, changedKeys, recordUneven, settle, stepFlip } from './rebuild.ts';
import { readState, type ShardState } from './state.ts';
import { addInEitherForm, packPart } from './unpacked.ts';
import { hasUpkeep, nextSweepAt, STEP_LIMITS, type StepLimits, stepUpkeep } from './upkeep.ts';
import { findVersions, readVersionsFrom } from './versions.ts';

/** The cells of this shard's own keys that an event adds to. */
type OwnCells = (event: FoldableEvent) => readonly Cell[];

/** The cells of a shard's features in the object's own SQLite. Each method is one transaction. */
export class CellStore {
  readonly #storage: DurableObjectStorage;
  readonly #limits: StepLimits;
  /** Undefined until they are read, and after a transaction that was rolled back. */
  #features: KeptFeatures | undefined;
  /** Undefined until they are read, and after a transaction that was rolled back. */
  #openFolds: OpenFolds | undefined;
  #hasAdopted = false;
  #groups = new FeatureGroups([]);

  constructor(storage: DurableObjectStorage, limits: StepLimits = STEP_LIMITS) {
    this.#storage = storage;
    this.#limits = limits;
    migrate(storage, MIGRATIONS);
  }

  /**
   * Keeps cells by these definitions, all those of the shard's entity. Only the first call does anything. Returns
   * whether there is upkeep to do now.
   *
   * @param now from when on replaced versions are kept, in milliseconds since the Unix epoch; without it none is.
   */
  adopt(definitions: readonly FeatureDefinition[], now?: number): boolean {
    if (this.#hasAdopted) return false;
    this.#transaction((sql) => adoptDefinitions(sql, definitions, now));
    this.#features = undefined;
    this.#groups = new FeatureGroups(definitions);
    this.#hasAdopted = true;
    return this.hasUpkeep();
  }

  /** The slots of the features that are not served yet. */
  get waiting(): ReadonlySet<string> {
    return new Set(this.#kept.current.filter(({ layer }) => layer !== null).map(({ name }) => name));
  }

  /**
   * Folds events as `foldFresh` does, and returns the number of those that had not been folded.
   *
   * @throws ShardMoved as `assertTakes` does.
   */
  fold(events: readonly FoldableEvent[], ownCells: OwnCells, copiedTo?: number): number {
    // A caller without events asks whether the shard works.
    const takes = (state: ShardState) => events.length > 0 && assertTakes(state, copiedTo);
    return this.foldFresh(events, ownCells, { takes }).length;
  }

  /**
   * Folds events of history as `foldFresh` does, and returns the changed parts of keys: none before it serves a feature.
   */
  fill(events: readonly FoldableEvent[], ownCells: OwnCells): { folded: number; keys: string[] } {
    const isSeen = this.#kept.served.length > 0;
    const folded = this.foldFresh(events, ownCells, { opens: isSeen });
    return { folded: folded.length, keys: isSeen ? [...this.#groups.partsOf(folded.flatMap(ownCells))] : [] };
  }

  /**
   * Folds the events that have not been folded yet, all or none of them, and returns them. The same transaction folds
   * them into the features that are being filled, and while a rebuild is open, into the next generation. So a number that
   * a layer has is a number that the served generation has.
   *
   * `opens`: readers may see the fold before its tags are invalidated. `takes` throws for events that are not taken.
   */
  foldFresh(
    given: readonly FoldableEvent[],
    ownCells: OwnCells,
    { opens = true, takes }: { opens?: boolean; takes?: (state: ShardState) => void } = {},
  ): FoldableEvent[] {
    return this.#transaction((sql) => {
      const state = readState(sql);
      assertHere(state);
      takes?.(state);
      const events = withoutErased(sql, state, given);
      const keys = [...new Set(events.flatMap(ownCells).map(({ key }) => key))];
      if (state.legacy === 1) moveLegacy(sql, state, this.#kept, { keys, events });
      const layerOf = (slot: string) => this.#kept.named(slot)?.layer ?? null;
      const into = (layer: number | null) => (event: FoldableEvent) =>
        ownCells(event).filter(({ feature }) => layerOf(feature) === layer);
      const added = this.#kept.layers.flatMap((layer) => {
        const filled = new OpenGeneration(sql, layer);
        const ofLayer = filled.takeFresh(events);
        filled.save();
        return ofLayer.flatMap(into(layer));
      });
      const partsOf = (own: readonly FoldableEvent[]) => this.#groups.partsOf(own.flatMap(ownCells));
      const opened = (own: readonly FoldableEvent[]) => this.#opened(state, partsOf(own));
      const openedBy = opens ? opened : undefined;
      const fresh = this.#foldInto(state, state.served, events, into(null), added, openedBy);
      if (state.next !== null) {
        const built = this.#foldInto(state, state.next, events, ownCells);
        if (state.compared !== null) recordUneven(sql, fresh, built, ownCells);
      }
      return fresh;
    });
  }

  /** The number of the newest fold. */
  get newestFold(): number {
    return this.#loadedFolds.fold;
  }

  /** What of these events has to be invalidated: the parts of keys with open folds, and where it is not known. */
  keysToInvalidate(events: readonly FoldableEvent[], ownCells: OwnCells): string[] {
    const { tracked_from: trackedFrom } = readState(this.#storage.sql);
    return this.#groups.dueOf(events, ownCells, this.#loadedFolds, trackedFrom);
  }

  /** Notes that what was folded is invalidated. It is written with the next fold unless an eviction would undo it. */
  announce(announcement: Announcement, at: ClockMoment): void {
    const folds = this.#loadedFolds;
    if (folds.announce(announcement, at)) this.#transaction((sql) => this.#keepFolds(sql, folds));
  }

  /** Opens a backfill of the features that are not served yet, and returns their names. Idempotent. */
  openBackfill(run: string): string[] {
    return this.#transaction((sql) => {
      assertHere(readState(sql));
      return openLayers(sql, run);
    });
  }

  /** Serves features that the backfill has filled; false if another one has to fill them. Idempotent. */
  serve(run: string, features: readonly string[]): boolean {
    const isServed = this.#transaction((sql) => {
      assertHere(readState(sql));
      const isReady = serveFilled(sql, run, features);
      if (isReady) this.#keepFolds(sql, this.#folds(sql, readState(sql)).openReady(features));
      return isReady;
    });
    this.#features = undefined;
    return isServed;
  }

  /** Folds events of history into the next generation; false if that rebuild is not the open one. */
  build(run: string, events: readonly FoldableEvent[], ownCells: OwnCells): boolean {
    return this.#transaction((sql) => {
      const state = readState(sql);
      assertHere(state);
      if (state.run !== run || state.next === null) return false;
      const fresh = this.#foldInto(state, state.next, withoutErased(sql, state, events), ownCells);
      if (state.compared !== null) recordUneven(sql, fresh, [], ownCells);
      return true;
    });
  }

  /**
   * The cells that reads of these keys as of `now` need, in the order of the keys.
   *
   * @throws RangeError if cells that count as of `now` may have expired.
   */
  read(keys: readonly string[], now: number): Cell[][] {
    return this.readWithFolds(keys, now).cells;
  }

  /**
   * As `read`, with the folds behind the cells.
   *
   * @throws as `read` does.
   */
  readWithFolds(
    keys: readonly string[],
    now: number,
  ): { readonly cells: Cell[][]; readonly folds: FoldsShown } {
    return this.#transaction((sql) => {
      const state = this.#readable(sql, keys, now);
      const context = { features: this.#kept, now, isUnpacked: state.unpacked !== null };
      const { shown, open } = this.#foldsOf(sql, state, keys);
      const cells = keys.map((key) => cellsOfKey(sql, state.served, key, context));
      return { cells, folds: { ...shown, open } };
    });
  }

  /** The replaced versions that are read as of `now`. */
  oldVersions(now: number): OldVersion[] {
    return oldVersions(this.#kept, now);
  }

  /**
   * The values of versions of features, by their names in the request, in the order of the keys, with the folds behind
   * them.
   *
   * @throws as `read` does.
   */
  readVersions(keys: readonly string[], names: readonly string[], now: number): VersionsRead {
    return this.#transaction((sql) => {
      const state = this.#readable(sql, keys, now);
      const { shown, open } = this.#foldsOf(sql, state, keys);
      const versions = findVersions(this.#kept, names, now);
      const read = readVersionsFrom(sql, state, this.#kept, { versions, keys, now });
      return { ...read, folds: { ...shown, open } };
    });
  }

  /** Opens, cancels or ends a move of the shard's keys to a layout with more shards (`moving.ts`). */
  openMove(to: number): void {
    this.#transaction((sql) => openMove(sql, readState(sql), to));
  }

  cancelMove(): void {
    this.#transaction((sql) => cancelMove(sql, readState(sql)));
  }

  endMove(to: number): boolean {
    const isMoved = this.#transaction((sql) => endMove(sql, readState(sql), to));
    this.#features = undefined;
    this.#openFolds = undefined;
    return isMoved;
  }

  /** What `erased.ts` does. Readers invalidate the keys that it changes until that is announced. */
  erase<T>(work: (sql: SqlStorage, state: ShardState, kept: KeptFeatures) => Erased<T>): T {
    return this.#transaction((sql) => {
      const state = readState(sql);
      assertHere(state);
      const { result, changed = [] } = work(sql, state, this.#kept);
      const keys = new Set(changed.map(({ key }) => key));
      if (keys.size > 0) writeOpenFolds(sql, state.served, this.#opened(state, keys));
      return result;
    });
  }

  beginRebuild(run: string): void {
    this.#transaction((sql) => {
      const state = readState(sql);
      assertHere(state);
      beginRebuild(sql, state, this.#kept, run);
    });
    // It ends replaced versions.
    this.#features = undefined;
  }

  stepFlip(run: string): FlipStep {
    const step = this.#transaction((sql): FlipStep => {
      const state = readState(sql);
      if (state.run !== run || (state.legacy === 0 && state.unpacked === null)) {
        const folds = this.#folds(sql, state);
        const taken = stepFlip(sql, run, this.#kept, this.#limits.rows);
        // The generation that is served now has no text of the open folds, and features may have become ready.
        const isNew = taken.state === 'flipped' && state.flipped === null;
        if (isNew) this.#keepFolds(sql, folds.openReady(this.#groups.features));
        return taken;
      }
      if (state.legacy === 1) moveLegacyPart(sql, state, this.#kept, this.#limits.rows);
      else packPart(sql, state, this.#kept, this.#limits.rows);
      return { state: 'comparing' };
    });
    // A flip serves the features that were being filled.
    if (step.state === 'flipped') this.#features = undefined;
    return step;
  }

  changedKeys(limit: number): string[] {
    return changedKeys(this.#storage.sql, limit);
  }

  /** Removes changed keys that were invalidated at the moment `at` or before. */
  settle(keys: readonly string[], at: ClockMoment): void {
    settle(this.#storage.sql, keys);
    this.announce({ keys: [], fold: 0, ready: false }, at);
  }

  /** Does one step of upkeep; true if there is more to do now. */
  stepUpkeep(now: number): boolean {
    const isMore = this.#transaction((sql) => stepUpkeep(sql, this.#kept, now, this.#limits));
    // The end of a sweep removes retired features.
    this.#features = undefined;
    return isMore;
  }

  hasUpkeep(): boolean {
    return hasUpkeep(this.#storage.sql);
  }

  /** When an alarm has to do upkeep, if none is set: now, or at the end of the day. */
  nextUpkeepAt(now: number): number {
    const state = readState(this.#storage.sql);
    return state.horizon < horizonOf(now) ? now : nextSweepAt(now);
  }

  assertHere(): void {
    assertHere(readState(this.#storage.sql));
  }

  /** The digest of the served cells, and the number of the events folded into them. */
  digest(): ShardDigest {
    return totalsOf(this.#storage.sql, readState(this.#storage.sql).served);
  }

  /** Folds events into a generation, and `more` cells besides. Returns the events that had not been folded into it. */
  #foldInto(
    state: ShardState,
    generation: number,
    events: readonly FoldableEvent[],
    ownCells: OwnCells,
    more: readonly Cell[] = [],
    openedBy?: (fresh: readonly FoldableEvent[]) => string,
  ): FoldableEvent[] {
    const { sql } = this.#storage;
    const open = new OpenGeneration(sql, generation);
    const fresh = open.takeFresh(events);
    const cells = [...more, ...fresh.flatMap(ownCells)];
    if (cells.length > 0) open.add(addInEitherForm(sql, state, generation, this.#kept, cells));
    open.add({ ...EMPTY_DIGEST, events: fresh.length });
    if (openedBy !== undefined && fresh.length > 0) open.keepOpenFolds(openedBy(fresh));
    open.save();
    return fresh;
  }

  /**
   * The state for a read of these keys.
   *
   * @throws ShardMoved if other shards have the keys; RangeError if cells that count as of `now` may have expired.
   */
  #readable(sql: SqlStorage, keys: readonly string[], now: number): ShardState {
    const state = readState(sql);
    assertHere(state);
    if (Math.floor(now / BUCKET_MS) < state.horizon)
      throw new RangeError(
        `Features as of ${new Date(now).toISOString()} cannot be read: cells that count then have expired. Read them as of the present.`,
      );
    if (state.legacy === 1) moveLegacy(sql, state, this.#kept, { keys, events: [] });
    return state;
  }

  /** What a read of these keys shows, and those of them that are not known to be invalidated. */
  #foldsOf(sql: SqlStorage, state: ShardState, keys: readonly string[]) {
    const shown = this.#folds(sql, state).shown(keys, this.#groups.all);
    return { shown, open: [...new Set([...shown.open, ...changedAmong(sql, keys)])] };
  }

  /** Opens the fold of these parts or keys, whose change is now shown; returns the text to keep with it. */
  #opened(state: ShardState, changed: Iterable<string>): string {
    const folds = this.#folds(this.#storage.sql, state);
    folds.open(changed);
    return folds.toText();
  }

  #keepFolds(sql: SqlStorage, folds: OpenFolds): void {
    writeOpenFolds(sql, readState(sql).served, folds.toText());
  }

  get #loadedFolds(): OpenFolds {
    return this.#openFolds ?? this.#transaction((sql) => this.#folds(sql, readState(sql)));
  }

  #folds(sql: SqlStorage, { served }: ShardState): OpenFolds {
    this.#openFolds ??= OpenFolds.read(openFoldsOf(sql, served), this.#groups.features);
    return this.#openFolds;
  }

  get #kept(): KeptFeatures {
    this.#features ??= loadFeatures(this.#storage.sql);
    return this.#features;
  }

  #transaction<T>(work: (sql: SqlStorage) => T): T {
    try {
      return this.#storage.transactionSync(() => work(this.#storage.sql));
    } catch (error) {
      this.#features = undefined;
      this.#openFolds = undefined;
      throw error;
    }
  }
}
