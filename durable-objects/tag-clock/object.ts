import { DurableObject } from 'cloudflare:workers';
import type { Token } from '../../src/cache/clock/clock.ts';
import type { PushedDelta, SyncRequest } from '../../src/cache/clock/mirror.ts';
import { RegionClock } from '../../src/cache/clock/region.ts';
import { RootClock } from '../../src/cache/clock/root.ts';
import type { SourcePass } from '../../src/cache/clock/sources.ts';
import { clockAt, encodeAnswer, type RemoteClock } from '../../src/cache/clock/wire.ts';
import { sleep, systemTime } from '../../src/platform/clock.ts';
import { newId } from '../../src/platform/ids.ts';
import { REGIONS, type Region } from '../../src/platform/regions.ts';
import { ClockStore } from './store.ts';

/** What a clock reaches beside its own storage. */
export interface ClockPorts {
  /** The root, for a region: a stub of its own for each call, because one that has failed may go on failing. */
  readonly root: RemoteClock;
  /** Sends a region what has just been invalidated. */
  readonly push: (region: Region, delta: PushedDelta) => Promise<void>;
  /** Relays what was committed before the call, and moves the outbox's watermark up to it. */
  readonly heartbeat: () => Promise<void>;
  /** The pause between two looks at the outbox while somebody reads, in milliseconds; 0 for none. */
  readonly outboxWatchMs: number;
}

/**
 * The tag clock. The part that an object plays follows from its name: the one named `root` has one counter and
 * one version a slot, on disk before they are acknowledged; those named by a region hold a mirror of it, in
 * memory alone: after an eviction the next sync brings everything.
 */
export class TagClock extends DurableObject implements RemoteClock {
  readonly #clock: RootClock | RegionClock;

  constructor(ctx: DurableObjectState, env: Cloudflare.Env, ports: ClockPorts) {
    super(ctx, env);
    const keepAlive = (promise: Promise<unknown>) => ctx.waitUntil(promise);
    const region = REGIONS.find((name) => name === ctx.id.name);
    if (region !== undefined) {
      this.#clock = new RegionClock(region, clockAt(ports.root), systemTime, keepAlive);
      return;
    }
    const everyMs = ports.outboxWatchMs;
    const store = new ClockStore(ctx.storage);
    this.#clock = new RootClock(store.load(newId), newId(), {
      time: systemTime,
      save: (seq, slots) => store.save(seq, slots),
      push: ports.push,
      heartbeat: ports.heartbeat,
      watch: everyMs === 0 ? undefined : { everyMs, sleep },
      keepAlive,
    });
  }

  /** Invalidates everything that depends on any tag of these slots; the root's alone. See `RootClock`. */
  async invalidate(slots: readonly number[]): Promise<Token> {
    return this.#root().invalidate(slots);
  }

  /** What changed since a mirror's last sync, as fresh as the mirror asks for; packed as `wire.ts` has it. */
  async sync(request: SyncRequest): Promise<Uint8Array<ArrayBuffer>> {
    return encodeAnswer(await this.#clock.sync(request), request.epoch);
  }

  /** To be called before a source is read: `closePass` then tells that what was committed by now is invalidated. */
  async openPass(source: string): Promise<SourcePass> {
    return this.#root().openPass(source);
  }

  /** To be called once everything that the pass found has been invalidated here. */
  async closePass(pass: SourcePass): Promise<void> {
    this.#root().closePass(pass);
  }

  /** Takes what the root pushes after an invalidation: a region's alone. */
  async receive(pushed: PushedDelta): Promise<void> {
    if (this.#clock instanceof RegionClock) this.#clock.receive(pushed);
  }

  #root(): RootClock {
    if (this.#clock instanceof RootClock) return this.#clock;
    throw new TypeError('Only the root clock does this.');
  }
}
