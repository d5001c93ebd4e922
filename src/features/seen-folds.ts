import { type AsOfPorts, isOfCurrentEpoch, ROOT_TIMEOUT_MS } from '../cache/as-of.ts';
import type { FeatureRow } from '../define/feature-value.ts';
import type { ClockMoment, Loaded } from '../define/view.ts';
import { Failure } from '../platform/failure.ts';
import { log } from '../platform/logger.ts';
import { featureTag, readyTags } from './groups.ts';
import type { KnownMoves } from './layout.ts';
import type { Announcement, FoldsShown } from './open-folds.ts';
import type { ShardPort } from './shards.ts';

/** A shard's answer to a reader who may give its answer a token. */
export interface ShardRead {
  readonly rows: readonly FeatureRow[];
  readonly folds: FoldsShown;
}

/** A shard's answer to a read of versions. */
export interface VersionsRead extends ShardRead {
  /** The names that are those of no version that the shard keeps. */
  readonly unknown: readonly string[];
  /** Until when the values stay as they are without an event, in milliseconds since the Unix epoch. */
  readonly until: number;
}

/** The shards as a reader of versions uses them. */
export interface VersionShards {
  /** What is known of shards that have moved. Without it, each call learns anew. */
  readonly moves?: KnownMoves | undefined;
  readVersions(
    shard: string,
    entity: string,
    keys: readonly string[],
    names: readonly string[],
    now: number,
  ): Promise<VersionsRead>;
}

/** The shards as such a reader uses them. */
export interface WatchedShards extends VersionShards {
  read(shard: string, entity: string, keys: readonly string[], now: number): Promise<ShardRead>;
  /** Tells a shard that what it has folded is invalidated. */
  announced(shard: string, announcement: Announcement, at: ClockMoment): Promise<void>;
}

export interface SeenPorts
  extends Pick<AsOfPorts, 'epoch' | 'ended' | 'currentEpoch' | 'invalidate' | 'withTimeout'> {
  readonly shards: WatchedShards;
  readonly keepAlive: (work: Promise<unknown>) => void;
}

/** A moment that covers what an answer shows: null if none could be determined, undefined if the mirror's is enough. */
export type Moment = ClockMoment | null | undefined;

/** The shards for one answer. */
export type ReaderShards = Pick<ShardPort, 'read' | 'moves'> & VersionShards;

/** What an answer may show before its tags are invalidated, and the moment that covers it. */
export interface Watched {
  readonly shards: ReaderShards;
  /** Notes the moment of another answer that this one is made of. */
  note(moment: Moment): void;
  /**
   * The moment of the tag clock by which everything that was seen so far is invalidated. The reader invalidates what
   * nobody has invalidated itself.
   */
  moment(): Promise<Moment>;
}

/**
 * The folds that one answer shows. A shard shows a fold before its tags are invalidated, so an answer may show more than
 * the reader's mirror knows of. `moment` invalidates such folds and says which moment covers the answer.
 */
export class SeenFolds implements Watched {
  readonly #ports: SeenPorts;
  readonly #seen: { readonly shard: string; readonly entity: string; readonly folds: FoldsShown }[] = [];
  #noted: Moment;

  /** The shards, whose answers are noted. */
  readonly shards: ReaderShards;

  constructor(ports: SeenPorts) {
    this.#ports = ports;
    this.shards = {
      moves: ports.shards.moves,
      readVersions: async (shard, entity, keys, names, now) => {
        const read = await this.#ports.shards.readVersions(shard, entity, keys, names, now);
        this.#seen.push({ shard, entity, folds: read.folds });
        return read;
      },
      read: async (shard, entity, keys, now) => {
        const { rows, folds } = await this.#ports.shards.read(shard, entity, keys, now);
        this.#seen.push({ shard, entity, folds });
        return rows;
      },
    };
  }

  note(moment: Moment): void {
    this.#noted = laterMoment(this.#noted, moment);
  }

  async moment(): Promise<Moment> {
    return laterMoment(this.#noted, await this.#ofFolds());
  }

  async #ofFolds(): Promise<Moment> {
    const { epoch } = this.#ports;
    // Without an epoch the answer gets no token.
    if (this.#seen.length === 0 || epoch === '') return undefined;
    try {
      const moments = this.#seen.flatMap(({ folds }) => folds.at);
      const otherEpochs = new Set(moments.flatMap((at) => (at.epoch === epoch ? [] : [at.epoch])));
      if (!(await isOfCurrentEpoch({ otherEpochs: [...otherEpochs] }, this.#ports))) return null;
      const invalidated = await this.#invalidateOpen();
      if (invalidated !== undefined) return invalidated;
      const seqs = moments.flatMap((at) => (at.epoch === epoch ? [at.seq] : []));
      return seqs.length === 0 ? undefined : { epoch, seq: Math.max(...seqs) };
    } catch (error) {
      if (!(error instanceof Failure) || error.code !== 'clock_unavailable') throw error;
      const message =
        'The root clock did not answer about a fold that an answer may show; the answer has no token and is not stored.';
      log('warn', message, { 'event.action': 'help-invalidate' }, error);
      return null;
    }
  }

  /** Invalidates the folds that are open, and tells the shards. */
  async #invalidateOpen(): Promise<ClockMoment | undefined> {
    const { invalidate, keepAlive, shards, withTimeout } = this.#ports;
    const open = this.#seen.filter(({ folds }) => folds.open.length > 0 || folds.ready);
    if (open.length === 0) return undefined;
    const tags = open.flatMap(({ entity, folds }) => [
      ...folds.open.map((part) => featureTag(entity, part)),
      ...(folds.ready ? readyTags(entity, folds.readyFeatures ?? []) : []),
    ]);
    const late = () =>
      new Failure('clock_unavailable', 'The tag clock did not answer in time.', { retryAfterS: 1 });
    const at = await withTimeout(invalidate([...new Set(tags)]), ROOT_TIMEOUT_MS, late);
    for (const { shard, folds } of open) {
      const { open: keys, fold, ready, readyFeatures } = folds;
      // A shard that is not told asks its next reader again.
      const announcement = { keys, fold, ready, ...(readyFeatures === undefined ? {} : { readyFeatures }) };
      const telling = shards.announced(shard, announcement, at);
      keepAlive(telling.catch(() => undefined));
    }
    return at;
  }
}

/** The later of two moments: null if either is unknown, or they cannot be compared. */
export function laterMoment(a: Moment, b: Moment): Moment {
  if (a === null || b === null) return null;
  if (a === undefined || b === undefined) return a ?? b;
  if (a.epoch !== b.epoch) return null;
  return a.seq >= b.seq ? a : b;
}

/** The answer as of no earlier a moment than this. Without a known moment it is not stored. */
export function asOfMoment(loaded: Loaded, moment: Moment): Loaded {
  if (moment === undefined) return loaded;
  const asOf = laterMoment(loaded.asOf, moment);
  if (asOf === undefined) return loaded;
  return asOf === null ? { ...loaded, asOf, storable: false } : { ...loaded, asOf };
}
