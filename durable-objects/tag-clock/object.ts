import { DurableObject } from 'cloudflare:workers';
import type { Token } from '../../src/cache/clock/clock.ts';
import type { Delta } from '../../src/cache/clock/delta.ts';
import { Horizon } from '../../src/cache/clock/horizon.ts';
import type { SyncRequest } from '../../src/cache/clock/mirror.ts';
import { RegionClock } from '../../src/cache/clock/region.ts';
import { RootClock } from '../../src/cache/clock/root.ts';
import type { SourcePass } from '../../src/cache/clock/sources.ts';
import { tagHashes } from '../../src/cache/clock/tag-hash.ts';
import { clockAt, encodeAnswer, type RemoteClock } from '../../src/cache/clock/wire.ts';
import {
  type ApprovalRefusal,
  approved,
  asked,
  type PhaseAsk,
  type PhaseRecord,
  type PhaseSwitch,
  statesOf,
  switched,
} from '../../src/operations/phases/record.ts';
import { sleep, systemNow, systemTime } from '../../src/platform/clock.ts';
import { newId } from '../../src/platform/ids.ts';
import { REGIONS, type Region } from '../../src/platform/regions.ts';
import { ClockStore } from './store.ts';

/** A switch is an invalidation, so that pushes and syncs carry it as they carry any other. */
const PHASES_TAG = 'phases';

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
  /** Only the root has one. */
  readonly #store: ClockStore | undefined;

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
    this.#store = store;
    const horizon = new Horizon(ports.horizonMs);
    this.#clock = new RootClock(store.load(newId, horizon), horizon, newId(), {
      time: systemTime,
      save: (...saved) => store.save(...saved),
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

  /** Makes everything void that was cached before, and all tokens of before; see `RootClock`. On the root only. */
  async beginEpoch(): Promise<Token> {
    const epoch = newId();
    return this.#root().beginEpoch(epoch, (floorSeq) => this.#store?.beginEpoch(epoch, floorSeq));
  }

  /** Who switched which phase, when and why. On the root only. */
  async phases(): Promise<PhaseRecord> {
    this.#root();
    return this.#record();
  }

  /**
   * Switches a phase, in one transaction with an invalidation: every mirror that reaches it has the new state. A phase that
   * is in this state already stays as it is.
   *
   * @param invalidated tags of what the switch makes invalid.
   * @returns the record, and the moment from which on reads follow it. On the root only.
   */
  async switchPhase(
    change: PhaseSwitch,
    invalidated: readonly string[],
  ): Promise<{ readonly record: PhaseRecord; readonly token: Token }> {
    this.#root();
    return this.#switch(switched(this.#record(), change, systemNow()), invalidated);
  }

  /** Records a switch to `on` that waits for a second principal. It changes no state. On the root only. */
  async askPhase(ask: PhaseAsk): Promise<{ readonly record: PhaseRecord; readonly token: Token }> {
    const root = this.#root();
    const record = asked(this.#record(), ask, systemNow());
    this.#store?.writeAsk(record);
    this.#store?.recorded(record);
    return { record, token: root.token };
  }

  /** Makes the switch that waits for a second principal, who is `by`. On the root only. */
  async approvePhase(
    approval: Pick<PhaseSwitch, 'phase' | 'by'>,
  ): Promise<
    { readonly record: PhaseRecord; readonly token: Token } | { readonly refused: ApprovalRefusal }
  > {
    this.#root();
    const after = approved(this.#record(), approval, systemNow());
    return typeof after === 'string' ? { refused: after } : this.#switch(after, []);
  }

  #switch(
    record: PhaseRecord,
    invalidated: readonly string[],
  ): { readonly record: PhaseRecord; readonly token: Token } {
    const root = this.#root();
    if (record === this.#record()) return { record, token: root.token };
    const tags = tagHashes([PHASES_TAG, ...invalidated]);
    const token = root.switchPhases(statesOf(record), tags, (seq) => this.#store?.writeRecord(record, seq));
    this.#store?.recorded(record);
    return { record, token };
  }

  #record(): PhaseRecord {
    if (this.#store !== undefined) return this.#store.record;
    throw new TypeError('Only the root clock has the record of the phases.');
  }

  /** The changes since a mirror's last sync, as fresh as the mirror asks for, encoded by `wire.ts`. */
  async sync(request: SyncRequest): Promise<Uint8Array<ArrayBuffer>> {
    return encodeAnswer(await this.#named().sync(request), request.epoch, request.takesPhases);
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
