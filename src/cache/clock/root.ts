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
  /** Writes one invalidation as a whole, or throws and leaves everything as it was. */
  readonly save: (seq: number, slots: readonly number[]) => void;
  /** Tells a region what is new. */
  readonly push: (region: Region, pushed: PushedDelta) => Promise<void>;
  /** Has the sources read again. */
  readonly heartbeat: () => Promise<void>;
  /** How often that is done while somebody reads; absent: as often as readers' bounds ask for it. */
  readonly watch?: Watch | undefined;
  readonly keepAlive: (promise: Promise<unknown>) => void;
}

/** The root of the clocks: the one that invalidates. Its memory is a copy of what is on disk. */
export class RootClock implements ClockParent {
  readonly #clock: Clock;
  readonly #ports: RootPorts;
  readonly #pushes = new PushList();
  readonly #sources: SourceWatch;
  #pace: Pace;

  /**
   * @param clock as it stands on disk.
   * @param incarnation names this copy in memory: made anew with each start.
   */
  constructor(clock: Clock, incarnation: string, ports: RootPorts) {
    this.#clock = clock;
    this.#ports = ports;
    this.#pace = newPace(ports.time.now(), ROOT_ASK_AGAIN_MS_MAX);
    this.#sources = new SourceWatch(incarnation, ports.time, ports.heartbeat, ports.watch);
  }

  /**
   * Invalidates everything that depends on any tag of these slots.
   *
   * @param slots distinct slots, at most 65,536.
   * @returns the token of this invalidation, once it is saved.
   * @throws RangeError for what is no slot.
   */
  invalidate(slots: readonly number[]): Token {
    if (slots.length > SLOT_COUNT) throw new RangeError(`${slots.length} slots are more than there are.`);
    for (const slot of slots) {
      if (!Number.isInteger(slot) || slot < 0 || slot >= SLOT_COUNT)
        throw new RangeError(`${slot} is no slot.`);
    }
    const { time, save, push } = this.#ports;
    // Disk first: a write that throws must leave memory as it was, or readers would see what is not kept.
    save(this.#clock.seq + 1, slots);
    const seq = invalidate(this.#clock, slots);
    this.#pushes.push(this.#clock, time.now(), push);
    return { epoch: this.#clock.epoch, seq };
  }

  async sync(request: SyncRequest): Promise<SyncAnswer> {
    this.#pace = countSync(this.#pace, this.#ports.time.now());
    if (request.sourceMaxAgeMs !== undefined)
      await this.#sources.freshen(request.sourceMaxAgeMs, this.#ports.keepAlive);
    const { epoch, seq } = this.#clock;
    if (request.region !== undefined) this.#pushes.add(request.region, seq, this.#ports.time.now());
    const delta = encodeDelta(this.#clock, request.epoch === epoch ? request.sinceSeq : 0);
    const { askAgainMs } = this.#pace;
    return { epoch, seq, ageMs: 0, delta, sources: this.#sources.ages(), askAgainMs };
  }

  /** To be called before a source is read. */
  openPass(source: string): SourcePass {
    return this.#sources.open(source);
  }

  /** To be called once everything that the pass found has been invalidated here. */
  closePass(pass: SourcePass): void {
    this.#sources.close(pass);
  }
}
