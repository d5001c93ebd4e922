import { systemTime, type Time } from './clock.ts';
import type { Sized } from './pack.ts';

/** What a group may have. A request with more commits alone. */
export interface GroupLimits {
  readonly items: number;
  readonly bytes: number;
  /** The longest time for which a group takes further items while the one before it is in progress, in milliseconds. */
  readonly gatherMs: number;
  /**
   * If it is given, a group gathers for half as long as the last commit took, from `gatherMs` up to this, in milliseconds. So
   * about three groups are in progress at most, however slow commits become: more would be smaller, and slower still.
   */
  readonly gatherMsMax?: number;
  /** How long a request waits for a group that another request commits, in milliseconds. */
  readonly waitMs: number;
}

/** An item, and what it must not share a group with. */
export interface Grouped<Item> extends Sized<Item> {
  /** A group has each of these at most once. */
  readonly keys?: readonly string[];
}

/** How the request that opens a group commits it. */
export interface GroupCommitter<Item, Result> {
  /** Resolves once all items are durable. */
  readonly commit: (items: readonly Item[]) => Promise<Result>;
  /** Keeps the commit alive after the request is cancelled, because other requests wait for it. */
  readonly keepAlive: (work: Promise<unknown>) => void;
  /** The error of a request whose group does not end in time. */
  readonly onTimeout: () => Error;
}

interface Group<Item, Result> {
  readonly items: Item[];
  readonly keys: Set<string>;
  readonly openedMs: number;
  readonly gatherMs: number;
  readonly done: Promise<Result>;
  bytes: number;
}

/**
 * Commits the items of concurrent requests of one isolate together. A request without a group before it commits at once; a
 * group gathers only while the one before it is in progress, so a request on a quiet isolate does not wait.
 *
 * The runtime stops the work of a request that is cancelled. So the request that opens a group keeps the commit alive,
 * each of the others waits with a deadline of its own, and no request joins a group that should have been closed.
 */
export class GroupCommit<Item, Result = void> {
  readonly #limits: GroupLimits;
  readonly #time: Time;
  #open: Group<Item, Result> | undefined;
  #last: Promise<void> | undefined;
  /** How long the commit took that ended last, in milliseconds. */
  #commitMs = 0;

  constructor(limits: GroupLimits, time: Time = systemTime) {
    this.#limits = limits;
    this.#time = time;
  }

  /** Whether a group takes items that has not begun to commit. It begins at the latest when its time to gather is over. */
  get isGathering(): boolean {
    return this.#open !== undefined;
  }

  /**
   * Resolves with the result of the whole group, once the items are durable.
   *
   * @throws what `commit` of its own group throws, or `onTimeout()`.
   */
  async add(items: readonly Grouped<Item>[], committer: GroupCommitter<Item, Result>): Promise<Result> {
    const { waitMs } = this.#limits;
    const bytes = items.reduce((sum, item) => sum + item.bytes, 0);
    const keys = items.flatMap((item) => item.keys ?? []);
    const group = this.#groupFor(items.length, bytes, keys) ?? this.#start(committer);
    group.items.push(...items.map(({ item }) => item));
    for (const key of keys) group.keys.add(key);
    group.bytes += bytes;
    return await this.#time.withTimeout(group.done, waitMs, committer.onTimeout);
  }

  #groupFor(count: number, bytes: number, keys: readonly string[]): Group<Item, Result> | undefined {
    const open = this.#open;
    if (open === undefined) return undefined;
    const { items, bytes: bytesMax } = this.#limits;
    const fits = open.items.length + count <= items && open.bytes + bytes <= bytesMax;
    const isTaking = this.#time.now() - open.openedMs <= open.gatherMs;
    return fits && isTaking && !keys.some((key) => open.keys.has(key)) ? open : undefined;
  }

  #start({ commit, keepAlive }: GroupCommitter<Item, Result>): Group<Item, Result> {
    const before = this.#last;
    const items: Item[] = [];
    const gatherMs = this.#gatherMs();
    const run = async () => {
      // Without a group before it the turn ends first, so that the opening request has added its items.
      await this.#until(before, gatherMs);
      if (this.#open === group) this.#open = undefined;
      const startedMs = this.#time.now();
      try {
        return await commit(items);
      } finally {
        this.#commitMs = this.#time.now() - startedMs;
      }
    };
    const done = run();
    const group: Group<Item, Result> = {
      ...{ items, keys: new Set<string>(), openedMs: this.#time.now(), gatherMs, done, bytes: 0 },
    };
    this.#open = group;
    const settled = done.then(
      () => undefined,
      () => undefined,
    );
    const last = settled.then(() => {
      if (this.#last === last) this.#last = undefined;
    });
    this.#last = last;
    keepAlive(last);
    return group;
  }

  #gatherMs(): number {
    const { gatherMs, gatherMsMax = gatherMs } = this.#limits;
    return Math.max(gatherMs, Math.min(gatherMsMax, this.#commitMs / 2));
  }

  /** Resolves with the end of the group before, or when the time to gather is over. */
  async #until(before: Promise<void> | undefined, gatherMs: number): Promise<void> {
    if (before === undefined) return;
    const over = () => new Error('The group before is still in progress.');
    await this.#time.withTimeout(before, gatherMs, over).catch(() => undefined);
  }
}
