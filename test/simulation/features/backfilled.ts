import { CellStore } from '../../../durable-objects/feature-shard/store.ts';
import type { FeatureDefinition } from '../../../src/define/feature.ts';
import { type BackfillPorts, backfillStep, type StatedVersion } from '../../../src/features/backfill.ts';
import { cellsOf, type FoldableEvent } from '../../../src/features/fold.ts';
import { countOf, KnownMoves, type Layouts, SHARDS_PER_ENTITY } from '../../../src/features/layout.ts';
import { type MovePorts, moveStep, type ShardMove } from '../../../src/features/move-shards.ts';
import { notReady, readFeature, readRow } from '../../../src/features/read.ts';
import { type FeatureRow, foldEvents, readFeatures, shardOf } from '../../../src/features/shards.ts';
import { featureOfSlot, slotsOf } from '../../../src/features/slots.ts';
import type { KnownVersion } from '../../../src/storage/postgres/feature-versions.ts';
import type { Replay } from '../../../src/storage/postgres/replays.ts';
import type { Pruned } from '../../../src/storage/postgres/retention.ts';
import { type ObjectStorage, objectStorage } from '../pipeline/cloudflare-workers.ts';

/** The shards of an entity on real SQLite, with releases, history, and calls that fail before or after their effect. */
export class BackfilledShards {
  now: number;
  readonly history: FoldableEvent[] = [];
  readonly invalidated: string[] = [];
  readonly deleted: Pruned[] = [];
  versions: KnownVersion[] = [];
  replay: Replay | undefined;
  /** The number of shards that the entity has by the database. */
  layouts: Layouts = new Map();
  move: ShardMove | undefined;
  /** A rule of moving shards that is left out. */
  fault: 'copies' | 'history' | undefined;
  /** Calls until one fails, alternately before and after its effect; undefined for never. */
  failIn: number | undefined;
  #release: readonly FeatureDefinition[];
  #isAfter = false;
  #runs = 0;
  readonly #consumer = new KnownMoves();
  readonly #disks = new Map<string, ObjectStorage>();
  readonly #stores = new Map<string, CellStore>();

  constructor(now: number, release: readonly FeatureDefinition[]) {
    this.now = now;
    this.#release = release;
  }

  [Symbol.dispose](): void {
    for (const disk of this.#disks.values()) disk.close();
  }

  /** Another release, or the same again after an eviction: shards keep what is on disk. */
  deploy(release: readonly FeatureDefinition[]): void {
    this.#release = release;
    this.#stores.clear();
  }

  /** Folds events as the consumer of `changes` does. */
  async deliver(events: readonly FoldableEvent[]): Promise<void> {
    await foldEvents(this.#release, events, {
      moves: this.#consumer,
      fold: (shard, _, own, copiedTo) =>
        this.#call(() => {
          const cells = this.#ownCells(shard);
          if (this.fault === 'copies') this.#store(shard).foldFresh(own, cells);
          else this.#store(shard).fold(own, cells, copiedTo);
          const keys = own.flatMap((event) => this.#ownCells(shard)(event)).map(({ key }) => key);
          return { keys, fold: this.#store(shard).newestFold };
        }),
    });
  }

  /** One step; false once nothing is left to do. It throws where a call fails. */
  async step(isForced = false): Promise<boolean> {
    return await backfillStep(this.#ports(), isForced);
  }

  /** Begins to give the entity more shards. */
  moveTo(to: number): void {
    if (this.move !== undefined && this.move.replay.state !== 'done') return;
    const from = this.layouts.get('customer') ?? SHARDS_PER_ENTITY;
    if (to <= from) return;
    const replay = { id: 'shards:customer', run: this.#newRun(), state: 'opening', outcome: null } as const;
    this.move = {
      ...{ entity: 'customer', from, to },
      replay: { ...replay, cursor: 0, lastSeq: 0, total: 0, replayed: 0 },
    };
  }

  /** One step of that; false once nothing is left to do. It throws where a call fails. */
  async stepMove(): Promise<boolean> {
    const { move } = this;
    if (move === undefined || move.replay.state === 'done') return false;
    await moveStep(move, this.#movePorts());
    return true;
  }

  async finishMove(): Promise<void> {
    this.failIn = undefined;
    for (let steps = 0; steps < 1_000; steps += 1) if (!(await this.stepMove())) return;
    throw new Error('The move does not end.');
  }

  /** The features of a key as a reader gets them who has learned of moves what `moves` says. */
  async readThrough(key: string, moves: KnownMoves): Promise<FeatureRow> {
    const [row = {}] = await readFeatures('customer', [key], this.now, {
      moves,
      read: async (shard, _, keys) => {
        const store = this.#store(shard);
        const { waiting } = store;
        return store.read(keys, this.now).map((cells) => ({
          ...readRow(this.#release, cells, this.now),
          ...Object.assign(
            {},
            ...this.#release
              .filter((definition) => slotsOf(definition).some(({ name }) => waiting.has(name)))
              .map(notReady),
          ),
        }));
      },
    });
    return row;
  }

  async finish(): Promise<void> {
    this.failIn = undefined;
    for (let steps = 0; steps < 1_000; steps += 1) if (!(await this.step())) return;
    throw new Error('The backfill does not end.');
  }

  /** The values of the served features of a key; `undefined` for one that is not ready. */
  read(key: string): Record<string, unknown> {
    const store = this.#store(shardOf('customer', key));
    const cells = Map.groupBy(store.read([key], this.now)[0] ?? [], ({ feature }) => featureOfSlot(feature));
    const rows = this.#release.flatMap((definition) => {
      const isReady = slotsOf(definition).every(({ name }) => !store.waiting.has(name));
      const row = readFeature(definition, cells.get(definition.name) ?? [], this.now);
      return Object.entries(row).map(([name, { value }]) => [name, isReady ? value : undefined] as const);
    });
    return Object.fromEntries(rows);
  }

  /** Versions of features of a key by their names, and the names that the shard does not keep. */
  readVersions(key: string, names: readonly string[]) {
    const { rows, unknown, until } = this.#store(shardOf('customer', key)).readVersions(
      [key],
      names,
      this.now,
    );
    return { row: rows[0] ?? {}, unknown, until };
  }

  /** A rebuild of all features is opened in the shard of a key. */
  beginRebuild(key: string): void {
    this.#store(shardOf('customer', key)).beginRebuild('rebuild');
  }

  /** Does all upkeep, as alarms do. */
  tidy(): void {
    for (const shard of this.#disks.keys()) while (this.#store(shard).stepUpkeep(this.now));
  }

  /** Rows of a table over all shards. */
  count(table: string): number {
    return [...this.#disks.values()].reduce(
      (sum, disk) => sum + Number(disk.rows(`select count(*) as rows from ${table}`)[0]?.['rows']),
      0,
    );
  }

  #store(shard: string): CellStore {
    const disk = this.#disks.get(shard) ?? objectStorage();
    this.#disks.set(shard, disk);
    const store = this.#stores.get(shard) ?? new CellStore(disk.storage);
    this.#stores.set(shard, store);
    store.adopt(this.#release, this.now);
    return store;
  }

  #ownCells(shard: string) {
    return (event: FoldableEvent) =>
      cellsOf(this.#release, event).filter(({ key }) => shardOf('customer', key, countOf(shard)) === shard);
  }

  /** A call to another service: it may fail before its effect, or after it. */
  async #call<T>(work: () => T): Promise<T> {
    if (this.failIn === undefined) return work();
    this.failIn -= 1;
    if (this.failIn > 0) return work();
    this.failIn = undefined;
    this.#isAfter = !this.#isAfter;
    if (this.#isAfter) work();
    throw new Error('A call fails.');
  }

  #ports(): BackfillPorts {
    const within = (types: readonly string[] | undefined) =>
      this.history
        .filter(({ type }) => types === undefined || types.includes(type))
        .sort((a, b) => a.seq - b.seq);
    return {
      features: this.#release,
      shards: {
        open: (shard, _, run) => this.#call(() => this.#store(shard).openBackfill(run)),
        fill: (shard, _, events) =>
          this.#call(() => {
            const { keys } = this.#store(shard).fill(events, this.#ownCells(shard));
            return { keys, fold: this.#store(shard).newestFold };
          }),
        announced: async (shard, announcement, at) => this.#store(shard).announce(announcement, at),
        serve: (shard, _, run, features) => this.#call(() => this.#store(shard).serve(run, features)),
      },
      invalidate: (tags) =>
        this.#call(() => {
          this.invalidated.push(...tags);
          return { epoch: 'e', seq: this.invalidated.length };
        }),
      known: () =>
        this.#call(() => ({ versions: this.versions, replay: this.replay, layouts: this.layouts })),
      bounds: ({ types }) =>
        this.#call(() => {
          const events = within(types);
          const [first, last] = [events[0], events.at(-1)];
          return { firstSeq: first?.seq ?? 0, lastSeq: last?.seq ?? 0, events: events.length };
        }),
      history: ({ types }, { after, lastSeq, limit }) =>
        this.#call(() =>
          within(types)
            .filter(({ seq }) => seq > after && seq <= lastSeq)
            .slice(0, limit),
        ),
      pruned: () => this.#call(() => this.deleted),
      begin: (run, versions, bounds) => this.#call(() => this.#begin(run, versions, bounds)),
      advance: ({ run, cursor: before }, { cursor, events, isLast }) =>
        this.#call(() => {
          const { replay } = this;
          if (replay?.run !== run || replay.state !== 'open' || replay.cursor !== before) return;
          const state = isLast ? 'flipping' : 'open';
          this.replay = { ...replay, cursor, state, replayed: replay.replayed + events };
        }),
      end: ({ run }) =>
        this.#call(() => {
          if (this.replay?.run !== run || this.replay.state !== 'flipping') return;
          this.replay = { ...this.replay, state: 'done' };
          this.versions = this.versions.map((one) => (one.run === run ? { ...one, state: 'ready' } : one));
        }),
      newId: () => this.#newRun(),
      now: () => this.now,
      pageEvents: 3,
    };
  }

  #newRun(): string {
    this.#runs += 1;
    return `run ${this.#runs}`;
  }

  #movePorts(): MovePorts {
    const ports = this.#ports();
    const change = (before: Replay, change: Partial<Replay>) =>
      this.#call(() => {
        const { move } = this;
        const { run, state, cursor } = move?.replay ?? {};
        if (move === undefined || run !== before.run || state !== before.state || cursor !== before.cursor)
          return;
        this.move = { ...move, replay: { ...move.replay, ...change } };
      });
    return {
      ...ports,
      shards: {
        ...ports.shards,
        openMove: (shard, _, to) => this.#call(() => this.#store(shard).openMove(to)),
        endMove: (shard, _, to) => this.#call(() => this.#store(shard).endMove(to)),
      },
      history: async (...asked) => (this.fault === 'history' ? [] : await ports.history(...asked)),
      restart: ({ replay }, run) => change(replay, { run, state: 'opening', cursor: 0 }),
      open: (replay, { firstSeq, lastSeq, events: total }) =>
        change(replay, { state: 'open', cursor: Math.max(0, firstSeq - 1), lastSeq, total }),
      advance: (replay, { cursor, isLast }) =>
        change(replay, { cursor, state: isLast ? 'flipping' : 'open' }),
      end: async ({ replay, to }) => {
        await change(replay, { state: 'done' });
        this.layouts = new Map([['customer', to]]);
      },
    };
  }

  /** What the statement of `beginBackfill` does. */
  #begin(
    run: string,
    stated: readonly StatedVersion[],
    { firstSeq, lastSeq, events: total }: { firstSeq: number; lastSeq: number; events: number },
  ): void {
    const kept = this.versions.filter((one) => !stated.some(({ digest }) => digest === one.digest));
    this.versions = [
      ...kept.map((one) => ({ ...one, isRetired: true })),
      ...stated.map((one) => ({
        ...one,
        run: one.state === 'filling' ? run : null,
        since: '',
        isRetired: false,
      })),
    ];
    if (!stated.some(({ state }) => state === 'filling')) return;
    const cursor = Math.max(0, firstSeq - 1);
    this.replay = { id: 'backfill', run, state: 'open', cursor, lastSeq, total, replayed: 0, outcome: null };
  }
}
