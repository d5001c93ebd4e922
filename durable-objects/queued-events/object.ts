import { DurableObject } from 'cloudflare:workers';
import * as z from 'zod';
import { systemNow } from '../../src/platform/clock.ts';
import { PacedSave, SAVE_EVERY_MS } from '../paced-save.ts';
import { KEPT_MS, QueuedStore } from './store.ts';

/** The most events of one call: as many as a request may have. */
const NOTE_EVENTS_MAX = 1_000;
const Hash = z.int().nonnegative();
const Hashes = z.array(Hash).max(NOTE_EVENTS_MAX);

/**
 * Remembers which events the `events` queue has accepted, to answer for an event's status before the database has it.
 * An event that has left the queue is not removed: callers ask the database first. An eviction loses the events that were
 * noted since the last save: until such an event is stored, its status is "not found".
 */
export class QueuedEvents extends DurableObject {
  readonly #store: QueuedStore;
  readonly #saves = new PacedSave(SAVE_EVERY_MS, () => this.#store.save(systemNow()));

  constructor(ctx: DurableObjectState, env: never) {
    super(ctx, env);
    this.#store = new QueuedStore(ctx.storage);
  }

  /** Records the events of one request, each by its `identityHash`. */
  async note(hashes: readonly number[]): Promise<void> {
    this.#store.note(Hashes.parse(hashes), systemNow());
    if (this.#store.isFull) this.#saves.now();
    else this.#saves.soon();
    if ((await this.ctx.storage.getAlarm()) === null) await this.ctx.storage.setAlarm(systemNow() + KEPT_MS);
  }

  async has(hash: number): Promise<boolean> {
    return this.#store.has(Hash.parse(hash), systemNow());
  }

  override async alarm(): Promise<void> {
    this.#saves.now();
    if (this.#store.prune(systemNow())) await this.ctx.storage.setAlarm(systemNow() + KEPT_MS);
  }
}
