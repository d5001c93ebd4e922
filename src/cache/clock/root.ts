import type { Time } from '../../platform/clock.ts';
import type { PhaseStates } from '../../platform/phases.ts';
import type { Region } from '../../platform/regions.ts';
import { INVALIDATION_TAGS_MAX } from '../entry.ts';
import type { Token } from './clock.ts';
import { type Clock, invalidate, newClock } from './clock.ts';
import { type Delta, encodeDelta } from './delta.ts';
import type { Horizon } from './horizon.ts';
import type { ClockParent, SyncAnswer, SyncRequest } from './mirror.ts';
import { countSync, newPace, type Pace, ROOT_ASK_AGAIN_MS_MAX } from './pace.ts';
import { PushList } from './push-list.ts';
import { SourceWatch, type Watch } from './source-watch.ts';
import type { SourcePass } from './sources.ts';
import { TAG_HASH_MAX } from './tag-hash.ts';

export interface RootPorts {
  readonly time: Time;
  /** Persists one invalidation as a whole, with what `also` writes, or throws and changes nothing. */
  readonly save: (seq: number, tags: readonly number[], atMs: number, also?: () => void) => void;
  /** Persists the floor, and removes the invalidations up to it. */
  readonly forget: (floorSeq: number) => void;
  /** Pushes new invalidations to a region. */
  readonly push: (region: Region, pushed: Delta) => Promise<void>;
  /** Starts a pass over every source. */
  readonly heartbeat: () => Promise<void>;
  /** How often to do that while there are readers; absent: only when a reader's bound requires it. */
  readonly watch?: Watch | undefined;
  readonly keepAlive: (promise: Promise<unknown>) => void;
}

/** The root clock, the only one that invalidates. Its memory is a copy of its storage. */
export class RootClock implements ClockParent {
  #clock: Clock;
  readonly #ports: RootPorts;
  readonly #horizon: Horizon;
  readonly #pushes = new PushList();
  readonly #sources: SourceWatch;
  #pace: Pace;
  #persistedFloorSeq: number;

  /**
   * @param clock the persisted state.
   * @param horizon with a note of each persisted invalidation.
   * @param incarnation id of this copy in memory, new at each start.
   */
  constructor(clock: Clock, horizon: Horizon, incarnation: string, ports: RootPorts) {
    this.#clock = clock;
    this.#horizon = horizon;
    this.#ports = ports;
    this.#persistedFloorSeq = clock.changed.floorSeq;
    this.#pace = newPace(ports.time.now(), ROOT_ASK_AGAIN_MS_MAX);
    this.#sources = new SourceWatch(incarnation, ports.time, ports.heartbeat, ports.watch);
  }

  /**
   * Invalidates every entry that depends on one of the tags.
   *
   * @param tags distinct hashes of tags, at most 65,536.
   * @returns the token of this invalidation, once it is persisted.
   * @throws RangeError for a number that is not a hash.
   */
  invalidate(tags: readonly number[]): Token {
    return this.#invalidate(tags);
  }

  /** The states of the phases now. */
  get phases(): PhaseStates {
    return this.#clock.phases.states;
  }

  /**
   * Switches phases. Every mirror that reaches the returned moment has the new states.
   *
   * @param tags what the switch invalidates.
   * @param persist writes the states; it shares the transaction of the invalidation. It gets the number of that.
   */
  switchPhases(states: PhaseStates, tags: readonly number[], persist: (seq: number) => void): Token {
    return this.#invalidate(tags, { states, persist });
  }

  /**
   * Begins a new epoch: every entry, mirror and token of before is void. It is for a source whose past was changed, such as
   * a database that was restored: no tag names what differs then. The numbers go on and the phases stay.
   *
   * @param epoch an id that no clock had before.
   * @param persist writes the epoch and the floor, and forgets all invalidations, or throws and changes nothing.
   */
  beginEpoch(epoch: string, persist: (floorSeq: number) => void): Token {
    const { seq, limits, phases } = this.#clock;
    persist(seq);
    const clock = newClock(epoch, limits);
    clock.seq = seq;
    clock.phases = phases;
    clock.changed.forgetUpTo(seq);
    this.#clock = clock;
    this.#persistedFloorSeq = seq;
    return this.token;
  }

  /** The newest moment. */
  get token(): Token {
    return { epoch: this.#clock.epoch, seq: this.#clock.seq };
  }

  #invalidate(
    tags: readonly number[],
    phases?: { readonly states: PhaseStates; readonly persist: (seq: number) => void },
  ): Token {
    if (tags.length > INVALIDATION_TAGS_MAX)
      throw new RangeError(
        `${tags.length} tags were given; one invalidation has at most ${INVALIDATION_TAGS_MAX}.`,
      );
    for (const tag of tags) {
      if (!Number.isInteger(tag) || tag < 0 || tag > TAG_HASH_MAX)
        throw new RangeError(`${tag} is not the hash of a tag: hashes are 0 to ${TAG_HASH_MAX}.`);
    }
    const { time, save, push } = this.#ports;
    const nowMs = time.now();
    // Persist first: if the write throws, memory must stay unchanged, or readers see an invalidation that is lost.
    const next = this.#clock.seq + 1;
    save(next, tags, nowMs, phases === undefined ? undefined : () => phases.persist(next));
    const seq = invalidate(this.#clock, tags);
    if (phases !== undefined) this.#clock.phases = { states: phases.states, seq };
    this.#horizon.note(seq, nowMs);
    this.#forgetOld(nowMs);
    this.#pushes.push(this.#clock, nowMs, push);
    return { epoch: this.#clock.epoch, seq };
  }

  /** Forgets what no entry depends on any more. Storage follows memory: it may remember more, never less. */
  #forgetOld(nowMs: number): void {
    const { changed } = this.#clock;
    changed.forgetUpTo(this.#horizon.passed(nowMs) ?? 0);
    if (changed.floorSeq <= this.#persistedFloorSeq) return;
    this.#ports.forget(changed.floorSeq);
    this.#persistedFloorSeq = changed.floorSeq;
  }

  async sync(request: SyncRequest): Promise<SyncAnswer> {
    this.#pace = countSync(this.#pace, this.#ports.time.now());
    if (request.sourceMaxAgeMs !== undefined)
      await this.#sources.refreshOlderThan(request.sourceMaxAgeMs, this.#ports.keepAlive);
    const { epoch, seq } = this.#clock;
    if (request.region !== undefined) this.#pushes.add(request.region, seq, this.#ports.time.now());
    const delta = encodeDelta(this.#clock, request.epoch === epoch ? request.sinceSeq : 0);
    const { askAgainMs } = this.#pace;
    return { ...delta, ageMs: 0, sources: this.#sources.ages(), askAgainMs };
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
