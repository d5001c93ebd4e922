import { DurableObject } from 'cloudflare:workers';
import * as z from 'zod';
import type { Answer, Question } from '../../src/limits/bucket.ts';
import { LANES, type Policy, QUOTA_PERIODS } from '../../src/limits/policy.ts';
import { systemNow } from '../../src/platform/clock.ts';
import { Buckets } from './buckets.ts';
import { QuotaStore } from './store.ts';

const Units = z.number().nonnegative();
const Asked = z.tuple([
  z.string().min(1).max(128),
  z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('rate'), perSecond: z.number().positive(), burst: z.number().positive() }),
    z.object({ kind: z.literal('quota'), units: z.number().positive(), period: z.enum(QUOTA_PERIODS) }),
  ]),
  z.object({ lane: z.enum(LANES), spent: Units, need: Units, want: Units }),
]);

/**
 * Has the budgets of a share of all senders. Buckets are in memory: whoever asks nothing for `burstS` has a full bucket
 * anyway, and an eviction in between, as with a deployment, gives a sender at most one more bucket. Quotas are on disk.
 */
export class RateLimiter extends DurableObject {
  readonly #buckets = new Buckets();
  readonly #quotas: QuotaStore;

  constructor(ctx: DurableObjectState, env: never) {
    super(ctx, env);
    this.#quotas = new QuotaStore(ctx.storage);
  }

  /** Answers a question of an isolate about the budget of a sender, whose limits the isolate knows. */
  async ask(...sent: [partition: string, policy: Policy, question: Question]): Promise<Answer> {
    const [partition, policy, question] = Asked.parse(sent);
    const nowMs = systemNow();
    if (policy.kind === 'quota') return this.#quotas.ask(partition, policy, question, nowMs);
    return this.#buckets.ask(partition, policy, question, nowMs);
  }
}
