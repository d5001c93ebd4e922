import { type Answer, Bucket, type Question } from '../../src/limits/bucket.ts';
import type { RatePolicy } from '../../src/limits/policy.ts';

/** The most buckets of one object, each of about 200 bytes. */
export const BUCKETS_MAX = 20_000;

/** The buckets of one object, by whose they are. */
export class Buckets {
  readonly #buckets = new Map<string, { readonly policy: RatePolicy; readonly bucket: Bucket }>();

  get size(): number {
    return this.#buckets.size;
  }

  ask(partition: string, policy: RatePolicy, question: Question, nowMs: number): Answer {
    const known = this.#buckets.get(partition);
    // After a deployment with another limit, questions of both are answered from one bucket.
    if (known !== undefined) return known.bucket.ask(question, policy, nowMs);
    if (this.#buckets.size >= BUCKETS_MAX) this.#makeRoom(nowMs);
    const bucket = new Bucket(policy, nowMs);
    this.#buckets.set(partition, { policy, bucket });
    return bucket.ask(question, policy, nowMs);
  }

  /** Full buckets have nothing to remember. If all are in use, those that were opened first are given up. */
  #makeRoom(nowMs: number): void {
    for (const [partition, { policy, bucket }] of this.#buckets)
      if (bucket.isFull(policy, nowMs)) this.#buckets.delete(partition);
    for (const oldest of this.#buckets.keys()) {
      if (this.#buckets.size < BUCKETS_MAX) return;
      this.#buckets.delete(oldest);
    }
  }
}
