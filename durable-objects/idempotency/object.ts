import { DurableObject } from 'cloudflare:workers';
import * as z from 'zod';
import { systemNow } from '../../src/platform/clock.ts';
import { type Begun, dayOf, KeyStore, pruneAtMs } from './store.ts';

/** The most bytes of a kept answer: a row of the platform has 2 MB at most. */
const ANSWER_BYTES_MAX = 1024 ** 2;
const Digest = z.string().regex(/^[0-9a-f]{64}$/);
const Lease = z.string().min(1).max(64);
const Status = z.int().min(100).max(599);
const Answer = z
  .instanceof(ArrayBuffer)
  .refine(({ byteLength }) => byteLength <= ANSWER_BYTES_MAX)
  .nullable();

/**
 * Keeps the answers to a share of the requests with an `Idempotency-Key`, each under the digest of its principal and key.
 * The answers are encrypted; the object has no key for them.
 */
export class Idempotency extends DurableObject {
  readonly #store: KeyStore;

  constructor(ctx: DurableObjectState, env: never) {
    super(ctx, env);
    this.#store = new KeyStore(ctx.storage);
  }

  /** Takes a key for a request, or says what became of the request that has it. Idempotent for one lease. */
  async begin(id: string, fingerprint: string, lease: string): Promise<Begun> {
    const nowMs = systemNow();
    const begun = this.#store.begin(Digest.parse(id), Digest.parse(fingerprint), Lease.parse(lease), nowMs);
    if (begun.state === 'new' && (await this.ctx.storage.getAlarm()) === null)
      await this.ctx.storage.setAlarm(pruneAtMs(dayOf(nowMs)));
    return begun;
  }

  /** @returns false if the lease has ended and the key belongs to another request. */
  async keep(id: string, lease: string, status: number, answer: ArrayBuffer | null): Promise<boolean> {
    return this.#store.keep(
      Digest.parse(id),
      Lease.parse(lease),
      Status.parse(status),
      Answer.parse(answer),
      systemNow(),
    );
  }

  async release(id: string, lease: string): Promise<void> {
    this.#store.release(Digest.parse(id), Lease.parse(lease), systemNow());
  }

  override async alarm(): Promise<void> {
    const next = this.#store.prune(systemNow());
    if (next !== undefined) await this.ctx.storage.setAlarm(next);
  }
}
