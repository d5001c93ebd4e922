import { DurableObject } from 'cloudflare:workers';
import { type Clock, invalidate } from '../../src/cache/clock/clock.ts';
import { encodeDelta } from '../../src/cache/clock/delta.ts';
import { ClockFollower } from '../../src/cache/clock/follower.ts';
import {
  answerFrom,
  applyPush,
  type ClockParent,
  type PushedDelta,
  type SyncAnswer,
  type SyncRequest,
} from '../../src/cache/clock/mirror.ts';
import { ASK_AGAIN_MS_MIN, countSync, newPace, type Pace } from '../../src/cache/clock/pace.ts';
import { SLOT_COUNT } from '../../src/cache/clock/slots.ts';
import type { SourcePass } from '../../src/cache/clock/sources.ts';
import type { Token } from '../../src/cache/clock/token.ts';
import { systemTime } from '../../src/platform/clock.ts';
import { newId } from '../../src/platform/ids.ts';
import { REGIONS, type Region } from '../../src/platform/regions.ts';
import { type ClockEnv, outboxRelay, regionalClock, rootClock } from '../../src/storage/objects.ts';
import { PushList } from './push-list.ts';
import { SourceWatch } from './source-watch.ts';
import { ClockStore } from './store.ts';

/** The part that an object plays follows from its name. */
type Role =
  | {
      readonly kind: 'root';
      readonly clock: Clock;
      readonly store: ClockStore;
      readonly pushes: PushList;
      readonly sources: SourceWatch;
    }
  | { readonly kind: 'region'; readonly region: Region; readonly follower: ClockFollower };

/**
 * The tag clock. The object named `root` has one counter and one version a slot, on disk before they are
 * acknowledged; its memory is only a copy of the disk. Those named by a region hold a mirror of it, in memory
 * alone: after an eviction the next sync brings everything.
 */
export class TagClock extends DurableObject<ClockEnv> implements ClockParent {
  readonly #role: Role;
  #pace: Pace = newPace(systemTime.now());

  constructor(ctx: DurableObjectState, env: ClockEnv) {
    super(ctx, env);
    const region = REGIONS.find((name) => name === ctx.id.name);
    if (region !== undefined) {
      this.#role = { kind: 'region', region, follower: new ClockFollower(systemTime) };
    } else {
      const store = new ClockStore(ctx.storage);
      const sources = new SourceWatch(newId(), systemTime, () => outboxRelay(env).heartbeat());
      this.#role = { kind: 'root', store, clock: store.load(newId), pushes: new PushList(), sources };
    }
  }

  /**
   * Invalidates everything that depends on any tag of these slots. The root's alone.
   *
   * @param slots distinct slots, at most 65,536.
   * @returns the token of this invalidation, once it is on disk.
   */
  async invalidate(slots: readonly number[]): Promise<Token> {
    if (this.#role.kind !== 'root') throw new TypeError('Only the root clock invalidates.');
    if (slots.length > SLOT_COUNT) throw new RangeError(`${slots.length} slots are more than there are.`);
    for (const slot of slots) {
      if (!Number.isInteger(slot) || slot < 0 || slot >= SLOT_COUNT)
        throw new RangeError(`${slot} is no slot.`);
    }
    const { clock, store, pushes } = this.#role;
    // Disk first: a write that throws must leave memory as it was, or readers would see what is not kept.
    store.save(clock.seq + 1, slots);
    const seq = invalidate(clock, slots);
    pushes.push(clock, systemTime.now(), (region, pushed) => regionalClock(this.env, region).receive(pushed));
    return { epoch: clock.epoch, seq };
  }

  /** What changed since a mirror's last sync, as fresh as the mirror asks for. */
  async sync(request: SyncRequest): Promise<SyncAnswer> {
    this.#pace = countSync(this.#pace, systemTime.now());
    if (this.#role.kind === 'root') {
      const { clock, pushes, sources } = this.#role;
      if (request.sourceMaxAgeMs !== undefined)
        await sources.freshen(request.sourceMaxAgeMs, (promise) => this.ctx.waitUntil(promise));
      if (request.region !== undefined) pushes.add(request.region, clock.seq, systemTime.now());
      const since = request.epoch === clock.epoch ? request.sinceSeq : 0;
      const delta = encodeDelta(clock, since);
      const { epoch, seq } = clock;
      return { epoch, seq, ageMs: 0, delta, sources: sources.ages(), askAgainMs: ASK_AGAIN_MS_MIN };
    }
    const { follower, region } = this.#role;
    await follower.follow(request, follower.begin(), {
      parent: { sync: (own) => rootClock(this.env).sync({ ...own, region }) },
      keepAlive: (promise) => this.ctx.waitUntil(promise),
    });
    return answerFrom(follower.mirror, request, systemTime.now(), this.#pace.askAgainMs);
  }

  /** To be called before a source is read: `closePass` then tells that what was committed by now is invalidated. */
  async openPass(source: string): Promise<SourcePass> {
    return this.#sources().open(source);
  }

  /** To be called once everything that the pass found has been invalidated here. */
  async closePass(pass: SourcePass): Promise<void> {
    this.#sources().close(pass);
  }

  #sources(): SourceWatch {
    if (this.#role.kind !== 'root') throw new TypeError('Only the root clock keeps watermarks.');
    return this.#role.sources;
  }

  /** Takes what the root pushes after an invalidation. A region's alone; what it cannot use it ignores. */
  async receive(pushed: PushedDelta): Promise<void> {
    if (this.#role.kind === 'region') applyPush(this.#role.follower.mirror, pushed);
  }
}
