import type { Refusal } from '../../limits/budgets.ts';
import { Failure } from '../../platform/failure.ts';
import { limitFields } from './fields.ts';

/** Whose budget is used up, in words. */
const WHOSE: Readonly<Record<string, string>> = {
  key: 'This key has used up its budget',
  day: 'This key has used up its quota of the day',
  month: 'This key has used up its quota of the month',
  address: 'Your address has used up the budget of senders without a key',
  anonymous: 'Senders without a key have used up their budget together',
};

/** A request that was refused because a budget is used up. */
export class LimitFailure extends Failure {
  /** The headers that say which budget it is, and when it has units again. */
  readonly fields: Readonly<Record<string, string>>;

  constructor({ budget, lane, retryAfterMs }: Refusal, nowMs: number) {
    // A sender that is not told to wait for a second would come back at once.
    const retryAfterS = Math.max(1, Math.ceil(retryAfterMs / 1_000));
    const whose = WHOSE[budget.kind] ?? `This key has used up its budget of "${budget.kind}"`;
    super('rate_limited', `${whose}. Send the request again after ${retryAfterS} s.`, { retryAfterS });
    this.fields = limitFields({ budget, lane }, nowMs, retryAfterS);
  }
}
