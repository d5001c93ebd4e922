import { DurableObject } from 'cloudflare:workers';
import { type Clock, invalidate } from '../../src/cache/clock/clock.ts';
import { encodeDelta } from '../../src/cache/clock/delta.ts';
import type { ClockParent, SyncAnswer, SyncRequest } from '../../src/cache/clock/mirror.ts';
import { SLOT_COUNT } from '../../src/cache/clock/slots.ts';
import type { Token } from '../../src/cache/clock/token.ts';
import { newId } from '../../src/platform/ids.ts';
import { ClockStore } from './store.ts';

/**
 * The root of the tag clock, named `root`. One counter and one version a slot, on disk before they are
 * acknowledged; memory is only a copy of the disk.
 */
export class TagClock extends DurableObject implements ClockParent {
  readonly #store: ClockStore;
  readonly #clock: Clock;

  constructor(ctx: DurableObjectState, env: never) {
    super(ctx, env);
    this.#store = new ClockStore(ctx.storage);
    this.#clock = this.#store.load(newId);
  }

  /**
   * Invalidates everything that depends on any tag of these slots.
   *
   * @param slots distinct slots, at most 65,536.
   * @returns the token of this invalidation, once it is on disk.
   */
  async invalidate(slots: readonly number[]): Promise<Token> {
    if (slots.length > SLOT_COUNT) throw new RangeError(`${slots.length} slots are more than there are.`);
    for (const slot of slots) {
      if (!Number.isInteger(slot) || slot < 0 || slot >= SLOT_COUNT)
        throw new RangeError(`${slot} is no slot.`);
    }
    // Disk first: a write that throws must leave memory as it was, or readers would see what is not kept.
    this.#store.save(this.#clock.seq + 1, slots);
    const seq = invalidate(this.#clock, slots);
    return { epoch: this.#clock.epoch, seq };
  }

  /** What changed since a mirror's last sync. The root is never behind, so its age is zero. */
  async sync({ epoch, sinceSeq }: SyncRequest): Promise<SyncAnswer> {
    const since = epoch === this.#clock.epoch ? sinceSeq : 0;
    return {
      epoch: this.#clock.epoch,
      seq: this.#clock.seq,
      ageMs: 0,
      delta: encodeDelta(this.#clock, since),
    };
  }
}
