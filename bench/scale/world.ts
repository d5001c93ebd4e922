import { newClock } from '../../src/cache/clock/clock.ts';
import { ClockFollower } from '../../src/cache/clock/follower.ts';
import { Horizon } from '../../src/cache/clock/horizon.ts';
import type { SyncRequest } from '../../src/cache/clock/mirror.ts';
import { RegionClock } from '../../src/cache/clock/region.ts';
import { RootClock } from '../../src/cache/clock/root.ts';
import { OUTBOX } from '../../src/cache/clock/sources.ts';
import { type Random, seededRandom } from '../../src/platform/random.ts';
import type { Region } from '../../src/platform/regions.ts';
import { Scheduler } from '../../test/simulation/scheduler.ts';
import {
  answerBytes,
  BOUND_MS,
  type Cost,
  EPOCH,
  ISOLATE_TO_REGION_MS,
  type Load,
  pushBytes,
  REGION_TO_ROOT_MS,
  randomTags,
} from './load.ts';
import { pauseMs } from './random.ts';

/** How long the world runs before it is measured, in milliseconds: the paces take some periods to settle. */
const SETTLE_MS = 10_000;
/** Longer than a run. */
const HORIZON_MS = 600_000;

/** Calls and bytes over all of something. */
interface Tally {
  calls: number;
  bytes: number;
}

/**
 * The real rules (root, regions, followers of the isolates, pushes, deltas) in virtual time, with calls that
 * take as long as the distances. Nothing is lost and nothing waits for a processor: it counts calls and bytes.
 */
export async function simulate(load: Load, seconds: number, seed: number): Promise<Cost> {
  const world = new World(load, seededRandom(seed));
  world.start();
  await world.run(SETTLE_MS);
  const before = world.cost();
  await world.run(SETTLE_MS + seconds * 1_000);
  const after = world.cost();
  const perSecond = (name: keyof Cost) => (after[name] - before[name]) / seconds;
  return {
    rootSyncs: perSecond('rootSyncs'),
    rootPushes: perSecond('rootPushes'),
    rootBytes: perSecond('rootBytes'),
    regionSyncs: perSecond('regionSyncs'),
    regionBytes: perSecond('regionBytes'),
  };
}

class World {
  readonly #load: Load;
  readonly #random: Random;
  readonly #scheduler = new Scheduler();
  readonly #time = this.#scheduler.timeOf(0, 0);
  readonly #root: RootClock;
  readonly #regions = new Map<Region, RegionClock>();
  readonly #rootSyncs: Tally = { calls: 0, bytes: 0 };
  readonly #pushes: Tally = { calls: 0, bytes: 0 };
  readonly #regionSyncs: Tally = { calls: 0, bytes: 0 };

  constructor(load: Load, random: Random) {
    this.#load = load;
    this.#random = random;
    this.#root = new RootClock(newClock(EPOCH), new Horizon(HORIZON_MS), 'incarnation', {
      time: this.#time,
      save: () => undefined,
      forget: () => undefined,
      push: (region, pushed) => {
        count(this.#pushes, pushBytes(pushed));
        return this.#call(REGION_TO_ROOT_MS, async () => this.#regions.get(region)?.receive(pushed));
      },
      heartbeat: async () => undefined,
      keepAlive: () => undefined,
    });
    this.#root.closePass(this.#root.openPass(OUTBOX));
  }

  start(): void {
    for (let index = 0; index < this.#load.regions; index += 1) this.#addRegion(index);
    this.#repeat(this.#load.invalidationsPerSecond, () => {
      this.#root.invalidate(randomTags(this.#load.tags, this.#random));
    });
  }

  run(untilMs: number): Promise<void> {
    return this.#scheduler.run(untilMs);
  }

  cost(): Cost {
    const { regions } = this.#load;
    return {
      rootSyncs: this.#rootSyncs.calls,
      rootPushes: this.#pushes.calls,
      rootBytes: this.#rootSyncs.bytes + this.#pushes.bytes,
      regionSyncs: this.#regionSyncs.calls / regions,
      regionBytes: this.#regionSyncs.bytes / regions,
    };
  }

  #addRegion(index: number): void {
    // A finer name than the platform's hints, as it would be with several objects at one place.
    const name = `region-${index}` as Region;
    const root = {
      sync: (request: SyncRequest) => this.#sync(REGION_TO_ROOT_MS, this.#rootSyncs, this.#root, request),
    };
    const region = new RegionClock(name, root, this.#time, () => undefined);
    this.#regions.set(name, region);
    const isolates = Math.round(this.#load.isolates / this.#load.regions);
    for (let isolate = 0; isolate < isolates; isolate += 1) this.#addIsolate(region);
  }

  #addIsolate(region: RegionClock): void {
    const follower = new ClockFollower(this.#time);
    const context = {
      parent: {
        sync: (request: SyncRequest) => this.#sync(ISOLATE_TO_REGION_MS, this.#regionSyncs, region, request),
      },
      keepAlive: () => undefined,
    };
    const need = { maxAgeMs: BOUND_MS, atLeast: undefined };
    this.#repeat(this.#load.readsPerSecond, () => {
      void follower.ensure(need, follower.begin(), context);
    });
  }

  /** Does something at random moments, for ever. */
  #repeat(perSecond: number, action: () => void): void {
    const again = () => {
      action();
      this.#scheduler.setTimer(pauseMs(perSecond, this.#random), again);
    };
    this.#scheduler.setTimer(pauseMs(perSecond, this.#random), again);
  }

  async #call<T>(oneWayMs: number, answer: () => Promise<T>): Promise<T> {
    await this.#scheduler.sleep(oneWayMs);
    const answered = await answer();
    await this.#scheduler.sleep(oneWayMs);
    return answered;
  }

  #sync(oneWayMs: number, tally: Tally, clock: RootClock | RegionClock, request: SyncRequest) {
    return this.#call(oneWayMs, async () => {
      const answer = await clock.sync(request);
      count(tally, answerBytes(answer));
      return answer;
    });
  }
}

function count(tally: Tally, bytes: number): void {
  tally.calls += 1;
  tally.bytes += bytes;
}
