import type { Time } from '../../platform/clock.ts';
import type { Region } from '../../platform/regions.ts';
import type { Token } from './clock.ts';
import { type Clock, invalidate } from './clock.ts';
import { encodeDelta } from './delta.ts';
import type { ClockParent, PushedDelta, SyncAnswer, SyncRequest } from './mirror.ts';
import { countSync, newPace, type Pace, ROOT_ASK_AGAIN_MS_MAX } from './pace.ts';
import { PushList } from './push-list.ts';
import { SLOT_COUNT } from './slots.ts';
import { SourceWatch, type Watch } from './source-watch.ts';
import type { SourcePass } from './sources.ts';

export interface RootPorts {
  readonly time: Time;
  /** Persists one invalidation as a whole, or throws and changes nothing. */
  readonly save: (seq: number, slots: readonly number[]) => void;
  /** Pushes new invalidations to a region. */
  readonly push: (region: Region, pushed: PushedDelta) => Promise<void>;
  /** Starts a pass over every source. */
  readonly heartbeat: () => Promise<void>;
  /** How often to do that while there are readers; absent: only when a reader's bound requires it. */
  readonly watch?: Watch | undefined;
  readonly keepAlive: (promise: Promise<unknown>) => void;
}

/** The root clock, the only one that invalidates. Its memory is a copy of its storage. */
export class RootClock implements ClockParent {
  readonly #clock: Clock;
  readonly #ports: RootPorts;
  readonly #pushes = new PushList();
  readonly #sources: SourceWatch;
  #pace: Pace;

  /**
   * @param clock the persisted state.
   * @param incarnation id of this copy in memory, new at each start.
   */
  constructor(clock: Clock, incarnation: string, ports: RootPorts) {
    this.#clock = clock;
    this.#ports = ports;
    this.#pace = newPace(ports.time.now(), ROOT_ASK_AGAIN_MS_MAX);
    this.#sources = new SourceWatch(incarnation, ports.time, ports.heartbeat, ports.watch);
  }

  /**
   * Invalidates every entry that depends on a tag of these slots.
   *
   * @param slots distinct slots, at most 65,536.
   * @returns the token of this invalidation, once it is persisted.
   * @throws RangeError for a number that is not a slot.
   */
  invalidate(slots: readonly number[]): Token {
    if (slots.length > SLOT_COUNT)
      throw new RangeError(`${slots.length} slots were given; a clock has ${SLOT_COUNT}.`);
    for (const slot of slots) {
      if (!Number.isInteger(slot) || slot < 0 || slot >= SLOT_COUNT)
        throw new RangeError(`${slot} is not a slot: slots are 0 to ${SLOT_COUNT - 1}.`);
    }
    const { time, save, push } = this.#ports;
    // Persist first: if the write throws, memory must stay unchanged, or readers see an invalidation that is lost.
    save(this.#clock.seq + 1, slots);
    const seq = invalidate(this.#clock, slots);
    this.#pushes.push(this.#clock, time.now(), push);
    return { epoch: this.#clock.epoch, seq };
  }

  async sync(request: SyncRequest): Promise<SyncAnswer> {
    this.#pace = countSync(this.#pace, this.#ports.time.now());
    if (request.sourceMaxAgeMs !== undefined)
      await this.#sources.refreshOlderThan(request.sourceMaxAgeMs, this.#ports.keepAlive);
    const { epoch, seq } = this.#clock;
    if (request.region !== undefined) this.#pushes.add(request.region, seq, this.#ports.time.now());
    const delta = encodeDelta(this.#clock, request.epoch === epoch ? request.sinceSeq : 0);
    const { askAgainMs } = this.#pace;
    return { epoch, seq, ageMs: 0, delta, sources: this.#sources.ages(), askAgainMs };
  }

  /** Call this before the source is read. */
  openPass(source: string): SourcePass {
    return this.#sources.open(source);
  }

  /** Call this once everything that the pass found has been invalidated. */
  closePass(pass: SourcePass): void {
    this.#sources.close(pass);
  }
}
