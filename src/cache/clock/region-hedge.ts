import type { Time } from '../../platform/clock.ts';
import { hedged } from '../../platform/hedge.ts';
import type { SyncAnswer } from './mirror.ts';

/** The root is asked as well if a regional clock has not answered after this long, in milliseconds. */
export const HEDGE_MS = 250;
/** How long the root alone is asked after a regional clock was too slow, in milliseconds. */
const SLOW_MS = 5_000;

/**
 * An isolate's way to the clock of its region, with the root as the second way. A regional clock that hangs costs one
 * sync `HEDGE_MS`; until it counts as slow no longer, it costs nothing.
 */
export class RegionHedge {
  readonly #time: Time;
  /** Until when each region counts as slow, by local time in milliseconds. */
  readonly #slowUntilMs = new Map<string, number>();

  constructor(time: Time) {
    this.#time = time;
  }

  /**
   * @param onSlow called when the region begins to count as slow, with how long, in milliseconds.
   * @throws the error of the root, if both ways fail.
   */
  async sync(
    region: string,
    regional: () => Promise<SyncAnswer>,
    root: () => Promise<SyncAnswer>,
    onSlow: (forMs: number) => void,
  ): Promise<SyncAnswer> {
    if ((this.#slowUntilMs.get(region) ?? Number.NEGATIVE_INFINITY) > this.#time.now()) return await root();
    const { answer, by } = await hedged(regional, root, HEDGE_MS, this.#time);
    if (by === 'second') {
      this.#slowUntilMs.set(region, this.#time.now() + SLOW_MS);
      onSlow(SLOW_MS);
    }
    return answer;
  }
}
