import type { Time } from '../../platform/clock.ts';
import type { Region } from '../../platform/regions.ts';
import type { ClockLimits } from './changed-tags.ts';
import type { Delta } from './delta.ts';
import { ClockFollower, type FollowerContext } from './follower.ts';
import { answerFrom, applyPush, type ClockParent, type SyncAnswer, type SyncRequest } from './mirror.ts';
import { countSync, newPace, type Pace } from './pace.ts';

/** A region's clock: a mirror of the root, in memory only, that answers the isolates of the region. */
export class RegionClock implements ClockParent {
  readonly #follower: ClockFollower;
  readonly #time: Time;
  readonly #context: FollowerContext;
  #pace: Pace;

  constructor(
    region: Region,
    root: ClockParent,
    time: Time,
    keepAlive: FollowerContext['keepAlive'],
    limits?: ClockLimits,
  ) {
    this.#follower = new ClockFollower(time, { limits });
    this.#time = time;
    this.#context = { parent: { sync: (request) => root.sync({ ...request, region }) }, keepAlive };
    this.#pace = newPace(time.now());
  }

  /** @throws Failure `clock_unavailable` if the request needs the root and the root does not answer. */
  async sync(request: SyncRequest): Promise<SyncAnswer> {
    this.#pace = countSync(this.#pace, this.#time.now());
    await this.#follower.follow(request, this.#follower.begin(), this.#context);
    return answerFrom(this.#follower.mirror, request, this.#time.now(), this.#pace.askAgainMs);
  }

  /** Applies a push of the root; ignores one of another epoch or with a gap. */
  receive(pushed: Delta): void {
    applyPush(this.#follower.mirror, pushed);
  }
}
