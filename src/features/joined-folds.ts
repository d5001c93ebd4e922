import type { ClockMoment } from '../define/view.ts';
import { systemTime, type Time } from '../platform/clock.ts';
import { GroupCommit, type Grouped, type GroupLimits } from '../platform/group-commit.ts';
import type { FoldableEvent } from './fold.ts';
import { type AnnouncePorts, type Folded, invalidateFolded, tellShards, type Untold } from './shards.ts';

export interface JoinedFoldPorts<Item> extends Omit<AnnouncePorts, 'fold'> {
  /** The stored events of some items. */
  readonly read: (items: readonly Item[]) => Promise<readonly FoldableEvent[]>;
  /** Folds events. It removes from `untold` what it tells a shard together with its events. */
  readonly fold: (events: readonly FoldableEvent[], untold: Untold) => Promise<Folded>;
  /** The error of a caller whose fold does not end in time. */
  readonly onTimeout: () => Error;
}

/**
 * The folds of concurrent requests of one isolate. While one is in progress, the events of other requests gather for the
 * next, because a fold costs a call to each shard, whatever the number of its events.
 *
 * A shard is told that its fold is invalidated by the next fold, if that one gathers already: it begins at once, and calls
 * most shards anyway. Otherwise each shard is told by a call.
 */
export class JoinedFolds<Item> {
  readonly #groups: GroupCommit<Item, ClockMoment | null | undefined>;
  #untold: Untold = new Map();

  constructor(limits: GroupLimits, time: Time = systemTime) {
    this.#groups = new GroupCommit(limits, time);
  }

  /**
   * Folds the stored events of some items, together with those of others, and invalidates what they change.
   *
   * @returns a moment as `foldAndInvalidate` has it, for all of them.
   * @throws what the fold throws, or `onTimeout()`.
   */
  async add(
    items: readonly Grouped<Item>[],
    ports: JoinedFoldPorts<Item>,
  ): Promise<ClockMoment | null | undefined> {
    return await this.#groups.add(items, {
      commit: (group) => this.#fold(group, ports),
      keepAlive: ports.keepAlive,
      onTimeout: ports.onTimeout,
    });
  }

  async #fold(items: readonly Item[], ports: JoinedFoldPorts<Item>): Promise<ClockMoment | null | undefined> {
    const before = this.#untold;
    this.#untold = new Map();
    let folded: Folded;
    try {
      folded = await ports.fold(await ports.read(items), before);
    } finally {
      // The shards that this fold did not call.
      tellShards(before, ports);
    }
    const { at, untold } = await invalidateFolded(folded, ports);
    if (this.#groups.isGathering) this.#leave(untold);
    else tellShards(untold, ports);
    return at;
  }

  #leave(untold: Untold): void {
    for (const [shard, told] of untold)
      this.#untold.set(shard, [...(this.#untold.get(shard) ?? []), ...told]);
  }
}
