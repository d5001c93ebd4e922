import { EndedEpochs, InvalidatedChanges } from '../../src/cache/as-of.ts';
import type { ClockLimits } from '../../src/cache/clock/changed-tags.ts';
import { type Clock, newClock } from '../../src/cache/clock/clock.ts';
import { ClockFollower } from '../../src/cache/clock/follower.ts';
import { Horizon } from '../../src/cache/clock/horizon.ts';
import type { ClockParent } from '../../src/cache/clock/mirror.ts';
import { RegionClock } from '../../src/cache/clock/region.ts';
import { RegionHedge } from '../../src/cache/clock/region-hedge.ts';
import { RootClock, type RootPorts } from '../../src/cache/clock/root.ts';
import type { Entry } from '../../src/cache/entry.ts';
import type { FillGatePort } from '../../src/cache/fill-gate.ts';
import { GatePool, gateIn } from '../../src/cache/gate-pool.ts';
import { RecentFills } from '../../src/cache/single-flight.ts';
import { MemoryTier } from '../../src/cache/tiers/memory.ts';
import type { FoldableEvent } from '../../src/features/fold.ts';
import { JoinedFolds } from '../../src/features/joined-folds.ts';
import { RowCache } from '../../src/features/row-cache.ts';
import { Sweeper, type SweeperPorts } from '../../src/pipeline/relay.ts';
import type { Time } from '../../src/platform/clock.ts';
import type { Region } from '../../src/platform/regions.ts';
import { Machine } from './network.ts';
import type { Scheduler } from './scheduler.ts';

const keepAlive = () => undefined;
/** As the relay's object has it. */
const ALARM_MS = 2_000;

/** How much the clocks of a world remember. */
export interface Memory {
  readonly limits: ClockLimits;
  readonly horizonMs: number;
}

interface Invalidation {
  readonly seq: number;
  readonly atMs: number;
  readonly tags: readonly number[];
}

/** The root's object: its disk outlives it, and what was being asked of it does not. */
export class RootMachine extends Machine {
  clock: RootClock;
  readonly #ports: Omit<RootPorts, 'save' | 'forget' | 'keepAlive'>;
  readonly #memory: Memory;
  #disk: { epoch: string; floorSeq: number; invalidations: Invalidation[] };

  constructor(ports: Omit<RootPorts, 'save' | 'forget' | 'keepAlive'>, memory: Memory) {
    super('root');
    this.#ports = ports;
    this.#memory = memory;
    this.#disk = { epoch: 'e1', floorSeq: 0, invalidations: [] };
    this.clock = this.#load();
  }

  override restart(): void {
    super.restart();
    this.clock = this.#load();
  }

  get epoch(): string {
    return this.#disk.epoch;
  }

  /** Its storage is lost: it begins anew, with another epoch. */
  reset(): void {
    this.#disk = { epoch: `e${this.life + 1}`, floorSeq: 0, invalidations: [] };
    this.restart();
  }

  /** As `ClockStore` does it. */
  #load(): RootClock {
    const { epoch, floorSeq, invalidations } = this.#disk;
    const horizon = new Horizon(this.#memory.horizonMs);
    const clock: Clock = newClock(epoch, this.#memory.limits);
    clock.seq = floorSeq;
    clock.changed.forgetUpTo(floorSeq);
    for (const { seq, atMs, tags } of invalidations) {
      clock.seq = seq;
      for (const tag of tags) clock.changed.add(seq, tag);
      horizon.note(seq, atMs);
    }
    const save = (seq: number, tags: readonly number[], atMs: number) => {
      this.#disk.invalidations.push({ seq, atMs, tags });
    };
    const forget = (floor: number) => {
      this.#disk.floorSeq = floor;
      this.#disk.invalidations = this.#disk.invalidations.filter(({ seq }) => seq > floor);
    };
    return new RootClock(clock, horizon, `life ${this.life}`, { ...this.#ports, save, forget, keepAlive });
  }
}

export class RegionMachine extends Machine {
  clock: RegionClock;
  readonly #make: () => RegionClock;

  constructor(region: Region, root: ClockParent, time: Time, { limits }: Memory) {
    super(region);
    this.#make = () => new RegionClock(region, root, time, keepAlive, limits);
    this.clock = this.#make();
  }

  override restart(): void {
    super.restart();
    this.clock = this.#make();
  }
}

/** What an isolate keeps in memory; all of it goes with it. */
export class IsolateMachine extends Machine {
  readonly region: RegionMachine;
  readonly time: Time;
  readonly #newFollower: () => ClockFollower;
  follower: ClockFollower;
  memory = new MemoryTier(1_000_000);
  rows = new RowCache(1_000_000);
  folds: JoinedFolds<FoldableEvent>;
  refreshing = new Map<string, number>();
  recentFills = new RecentFills();
  invalidated = new InvalidatedChanges();
  ended = new EndedEpochs();
  regionHedge: RegionHedge;

  /** @param waitsForSilent whether each reader waits for a clock that was silent before. */
  constructor(name: string, region: RegionMachine, time: Time, waitsForSilent: boolean, { limits }: Memory) {
    super(name);
    this.region = region;
    this.time = time;
    const options = waitsForSilent ? { silentMs: 0, limits } : { limits };
    this.#newFollower = () => new ClockFollower(time, options);
    this.follower = this.#newFollower();
    this.regionHedge = new RegionHedge(time);
    this.folds = joinedFolds(time);
  }

  override restart(): void {
    super.restart();
    this.follower = this.#newFollower();
    this.regionHedge = new RegionHedge(this.time);
    this.memory = new MemoryTier(1_000_000);
    this.rows = new RowCache(1_000_000);
    this.folds = joinedFolds(this.time);
    this.refreshing = new Map();
    this.recentFills = new RecentFills();
    this.invalidated = new InvalidatedChanges();
    this.ended = new EndedEpochs();
  }
}

/** How long a request waits for the fold of its events. */
const FOLD_AT_ONCE_MS = 5_000;

/** The folds of one isolate, with the limits of `src/composition/storing.ts`. */
function joinedFolds(time: Time): JoinedFolds<FoldableEvent> {
  return new JoinedFolds(
    { items: 1_000, bytes: 1_000_000, gatherMs: 50, gatherMsMax: 250, waitMs: FOLD_AT_ONCE_MS },
    time,
  );
}

export class GateMachine extends Machine {
  host: FillGatePort;
  readonly #make: () => FillGatePort;

  constructor(key: string, time: Time, scheduler: Scheduler) {
    super(`gate of ${key}`);
    let tickets = 0;
    const newTicketId = () => {
      tickets += 1;
      return `${key}#${tickets}`;
    };
    const setTimer = (delayMs: number, callback: () => void) => scheduler.setTimer(delayMs, callback);
    this.#make = () => gateIn(new GatePool({ now: time.now, newTicketId, setTimer }), key);
    this.host = this.#make();
  }

  override restart(): void {
    super.restart();
    this.host = this.#make();
  }
}

/** The relay's object: its alarm, and whether another one follows, are on disk; its sweep is not. */
export class RelayMachine extends Machine {
  sweeper: Sweeper;
  readonly #ports: SweeperPorts;
  readonly #scheduler: Scheduler;
  #alarm = false;
  #armedAgain = false;

  constructor(ports: SweeperPorts, scheduler: Scheduler) {
    super('relay');
    this.#ports = ports;
    this.#scheduler = scheduler;
    this.sweeper = new Sweeper(ports);
  }

  override restart(): void {
    super.restart();
    this.sweeper = new Sweeper(this.#ports);
  }

  arm(): void {
    if (this.#alarm) this.#armedAgain = true;
    else this.#setAlarm();
  }

  #setAlarm(): void {
    this.#alarm = true;
    this.#scheduler.setTimer(ALARM_MS, () => void this.#ring());
  }

  async #ring(): Promise<void> {
    this.#alarm = false;
    const armedAgain = this.#armedAgain;
    this.#armedAgain = false;
    const relayed = await Promise.race([this.sweeper.sweep(), this.gone.then(() => 1)]).catch(() => 1);
    if ((relayed > 0 || armedAgain) && !this.#alarm) this.#setAlarm();
  }
}

/** KV as its readers see it: each place may go on showing what was there minutes ago. */
export class LaggingStore {
  readonly #puts = new Map<string, { readonly atMs: number; readonly entry: Entry }[]>();

  put(key: string, entry: Entry, nowMs: number): void {
    const known = this.#puts.get(key) ?? [];
    // One write a second and key; what comes sooner is refused.
    if (nowMs - (known.at(-1)?.atMs ?? Number.NEGATIVE_INFINITY) < 1_000) return;
    known.push({ atMs: nowMs, entry });
    this.#puts.set(key, known);
  }

  /** What was there at a moment of the past. */
  get(key: string, asOfMs: number): Entry | undefined {
    return this.#puts.get(key)?.findLast(({ atMs }) => atMs <= asOfMs)?.entry;
  }
}
