import { DurableObject } from 'cloudflare:workers';
import type { Token } from '../../src/cache/clock/clock.ts';
import type { Delta } from '../../src/cache/clock/delta.ts';
import { Horizon } from '../../src/cache/clock/horizon.ts';
import type { SyncRequest } from '../../src/cache/clock/mirror.ts';
import { RegionClock } from '../../src/cache/clock/region.ts';
import { RootClock } from '../../src/cache/clock/root.ts';
import type { SourcePass } from '../../src/cache/clock/sources.ts';
import { clockAt, encodeAnswer, type RemoteClock } from '../../src/cache/clock/wire.ts';
import { sleep, systemTime } from '../../src/platform/clock.ts';
import { newId } from '../../src/platform/ids.ts';
import { REGIONS, type Region } from '../../src/platform/regions.ts';
import { ClockStore } from './store.ts';

/** The effects of a clock beside its own storage. */
export interface ClockPorts {
  /** The root, for a region. Each call uses a new stub, because a stub that has failed may keep failing. */
  readonly root: RemoteClock;
  /** Sends a new invalidation to a region. */
  readonly push: (region: Region, delta: Delta) => Promise<void>;
  /** Relays everything that was committed before the call, and advances the outbox's watermark to the call. */
  readonly heartbeat: () => Promise<void>;
  /** Pause between two heartbeats while there are readers, in milliseconds; 0 for none. */
  readonly outboxWatchMs: number;
  /** How long changes are remembered: the longest life of an entry, in milliseconds. */
  readonly horizonMs: number;
}

/**
 * The tag clock. An object's name decides its role. The object named `root` has the counter and the changed tags,
 * persisted before they are acknowledged. An object named by a region holds a mirror of the root, in memory only:
 * after an eviction the next sync brings everything.
 */
export class TagClock extends DurableObject implements RemoteClock {
  /** Undefined for an object of another name, or one that is addressed by its id: it would be a second root. */
  readonly #clock: RootClock | RegionClock | undefined;

  constructor(ctx: DurableObjectState, env: Cloudflare.Env, ports: ClockPorts) {
    super(ctx, env);
    const keepAlive = (promise: Promise<unknown>) => ctx.waitUntil(promise);
    const region = REGIONS.find((name) => name === ctx.id.name);
    if (region !== undefined) {
      this.#clock = new RegionClock(region, clockAt(ports.root), systemTime, keepAlive);
      return;
    }
    if (ctx.id.name !== 'root') return;
    const everyMs = ports.outboxWatchMs;
    const store = new ClockStore(ctx.storage);
    const horizon = new Horizon(ports.horizonMs);
    this.#clock = new RootClock(store.load(newId, horizon), horizon, newId(), {
      time: systemTime,
      save: (seq, tags, atMs) => store.save(seq, tags, atMs),
      forget: (floorSeq) => store.forget(floorSeq),
      push: ports.push,
      heartbeat: ports.heartbeat,
      watch: everyMs === 0 ? undefined : { everyMs, sleep },
      keepAlive,
    });
  }

  /** Invalidates every entry that depends on one of these tags, by their hashes. On the root only; see `RootClock`. */
  async invalidateTags(tags: readonly number[]): Promise<Token> {
    return this.#root().invalidate(tags);
  }

  /** The changes since a mirror's last sync, as fresh as the mirror asks for, encoded by `wire.ts`. */
  async sync(request: SyncRequest): Promise<Uint8Array<ArrayBuffer>> {
    return encodeAnswer(await this.#named().sync(request), request.epoch);
  }

  /** Call this before a source is read. `closePass` then asserts that everything committed before this call is invalidated. */
  async openPass(source: string): Promise<SourcePass> {
    return this.#root().openPass(source);
  }

  /** Call this once everything that the pass found has been invalidated. */
  async closePass(pass: SourcePass): Promise<void> {
    this.#root().closePass(pass);
  }

  /** Applies a push of the root. On a region only. */
  async receive(pushed: Delta): Promise<void> {
    const clock = this.#named();
    if (clock instanceof RegionClock) clock.receive(pushed);
  }

  #root(): RootClock {
    const clock = this.#named();
    if (clock instanceof RootClock) return clock;
    throw new TypeError('This method exists on the root clock only; this object is the clock of a region.');
  }

  #named(): RootClock | RegionClock {
    if (this.#clock !== undefined) return this.#clock;
    throw new TypeError(
      `There is no tag clock "${this.ctx.id.name}": it is "root" or one of ${REGIONS.join(', ')}.`,
    );
  }
}
