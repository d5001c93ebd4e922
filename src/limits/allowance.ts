import { type Answer, Bucket, type Question } from './bucket.ts';
import {
  ALONE_MS,
  chargeMax,
  creditOf,
  type Lane,
  LEASE_MS,
  LEASE_TARGET_MS,
  LOW_SHARE,
  PAUSE_MS_MIN,
  type Policy,
  type RatePolicy,
} from './policy.ts';

/**
 * What became of units that were to be spent. `low`: they were spent, and the isolate should ask for more in the
 * background. `ask`: they were not, and the object has to be asked first.
 */
export type Spending = 'spent' | 'low' | 'refused' | 'ask';

/** The shortest time over which a demand is measured, in milliseconds. */
const DEMAND_MS_MIN = 250;

/** Units that were granted, and until when they may be spent. */
interface Lease {
  units: number;
  untilMs: number;
}

/**
 * What one isolate may spend of one lane of a budget without asking the object that has the budget. It spends what it was
 * granted; without a grant, a small credit, which it reports with its next question. All times are of the isolate's own
 * clock, so no clocks are compared.
 */
export class Allowance {
  readonly #policy: Policy;
  readonly #lane: Lane;
  readonly #credit: number;
  /** The grant that is spent first. A grant that comes early waits behind it, and keeps its own end. */
  readonly #lease: Lease = { units: 0, untilMs: Number.NEGATIVE_INFINITY };
  readonly #next: Lease = { units: 0, untilMs: Number.NEGATIVE_INFINITY };
  /** The units at which the next grant is asked for; 0 without a grant. */
  #lowUnits = 0;
  #owed = 0;
  #refusedUntilMs = Number.NEGATIVE_INFINITY;
  /** The question that has no answer yet. One at a time, so that nothing is reported twice. */
  #asked: { readonly question: Question; readonly atMs: number } | undefined;
  #demand = 0;
  /** What requests wait for. */
  #waiting = 0;
  #demandSinceMs: number;
  /** What this isolate allows by itself while the object does not answer. */
  #alone: { readonly bucket: Bucket | undefined; askAgainMs: number } | undefined;
  #remaining: { readonly units: number; readonly atMs: number } | undefined;

  constructor(policy: Policy, lane: Lane, nowMs: number) {
    this.#policy = policy;
    this.#lane = lane;
    this.#credit = creditOf(policy);
    this.#demandSinceMs = nowMs;
  }

  get policy(): Policy {
    return this.#policy;
  }

  /** Spends units, without waiting. A request that costs more than the budget holds is charged all that it holds. */
  spend(units: number, nowMs: number): Spending {
    const lease = this.#lease;
    // The common case: two comparisons for each warm hit.
    if (units <= lease.units - this.#lowUnits && nowMs < lease.untilMs) {
      lease.units -= units;
      this.#demand += units;
      return 'spent';
    }
    return this.#spendFurther(this.#charge(units), nowMs);
  }

  /** Spends units beyond the credit. The next question reports them. */
  owe(units: number): void {
    this.#owed += units;
  }

  /** How long the sender has to wait, in milliseconds; 0 if it was not refused. */
  refusedForMs(nowMs: number): number {
    return Math.max(0, this.#refusedUntilMs - nowMs);
  }

  /** About how many units are left for all isolates, as far as this one can tell. */
  remaining(nowMs: number): number {
    if (this.refusedForMs(nowMs) > 0) return 0;
    const all = this.#policy.kind === 'rate' ? chargeMax(this.#policy, this.#lane) : this.#policy.units;
    const known = this.#remaining;
    if (known === undefined) return Math.max(0, all - this.#owed);
    const added = this.#policy.kind === 'rate' ? (this.#policy.perSecond * (nowMs - known.atMs)) / 1_000 : 0;
    return Math.max(0, Math.floor(Math.min(all, known.units + this.#leased(nowMs) + added) - this.#owed));
  }

  /** Whether a question is on its way. One whose request was cancelled is given up after a lease. */
  isAsking(nowMs: number): boolean {
    return this.#asked !== undefined && nowMs - this.#asked.atMs < LEASE_MS;
  }

  /** The question to ask the object, while none is on its way. `answered` or `failed` has to follow. */
  question(units: number, nowMs: number): Question {
    const isNeeded = units > 0 && this.#policy.kind === 'rate';
    const need = isNeeded ? Math.max(0, this.#charge(units) - this.#leased(nowMs)) : 0;
    const elapsedMs = Math.max(DEMAND_MS_MIN, nowMs - this.#demandSinceMs);
    const expected = Math.ceil((this.#demand * LEASE_TARGET_MS) / elapsedMs);
    // The credit is enough for a small demand. It costs fewer calls than grants, and none of it is lost unspent.
    const leased = this.#policy.kind === 'rate' && expected > this.#credit * LOW_SHARE ? expected : 0;
    const question = {
      lane: this.#lane,
      spent: this.#owed,
      need,
      want: Math.max(need, this.#waiting) + leased,
    };
    this.#asked = { question, atMs: nowMs };
    this.#demand = 0;
    this.#waiting = 0;
    this.#demandSinceMs = nowMs;
    return question;
  }

  /** The answer to a question. That to a question which was given up is ignored. */
  answered(question: Question, answer: Answer, nowMs: number): void {
    if (this.#asked?.question !== question) return;
    const sentAtMs = this.#asked.atMs;
    this.#asked = undefined;
    this.#alone = undefined;
    this.#owed = Math.max(0, this.#owed - question.spent);
    this.#remaining = { units: answer.remaining, atMs: nowMs };
    this.#refusedUntilMs =
      answer.refusedForMs > 0
        ? nowMs + Math.max(PAUSE_MS_MIN, answer.refusedForMs)
        : Number.NEGATIVE_INFINITY;
    // The object may have granted as soon as the question was sent, so the lease begins then.
    if (answer.granted > 0) this.#take(answer.granted, sentAtMs + LEASE_MS, nowMs);
    else this.#lowUnits = 0;
  }

  /**
   * The object did not answer. It may have charged what was reported; it is reported again, so that a budget is rather
   * charged twice than exceeded. What was spent alone before the last question is not reported: a sender that kept within
   * its limit during a long outage would have to wait after it.
   */
  failed(question: Question, nowMs: number): void {
    if (this.#asked?.question !== question) return;
    this.#asked = undefined;
    if (this.#policy.kind === 'rate') this.#owed = Math.min(this.#owed, this.#credit);
    const askAgainMs = nowMs + ALONE_MS;
    if (this.#alone !== undefined) this.#alone.askAgainMs = askAgainMs;
    else this.#alone = { bucket: aloneBucket(this.#policy, nowMs), askAgainMs };
  }

  #charge(units: number): number {
    return this.#policy.kind === 'rate' ? Math.min(units, chargeMax(this.#policy, this.#lane)) : units;
  }

  #leased(nowMs: number): number {
    return [this.#lease, this.#next].reduce(
      (sum, { units, untilMs }) => sum + (nowMs < untilMs ? units : 0),
      0,
    );
  }

  #spendFurther(units: number, nowMs: number): Spending {
    const leased = this.#leased(nowMs);
    if (units <= leased) {
      this.#spendLeases(units, nowMs);
      this.#demand += units;
      return this.#isDue(nowMs) ? 'low' : 'spent';
    }
    if (nowMs < this.#refusedUntilMs) return 'refused';
    const isCredited =
      this.#policy.kind === 'rate' ? this.#owed + units <= this.#credit : this.#owed < this.#credit;
    if (isCredited) {
      this.#owed += units;
      this.#demand += units;
      return this.#isDue(nowMs) ? 'low' : 'spent';
    }
    if (this.#alone !== undefined) return this.#spendAlone(units, nowMs);
    this.#waiting += units;
    return 'ask';
  }

  #spendLeases(units: number, nowMs: number): void {
    const first = nowMs < this.#lease.untilMs ? Math.min(this.#lease.units, units) : this.#lease.units;
    this.#lease.units -= first;
    const left = nowMs < this.#lease.untilMs ? units - first : units;
    if (this.#lease.units > 0) return;
    this.#lease.units = this.#next.units - left;
    this.#lease.untilMs = this.#next.untilMs;
    this.#next.units = 0;
  }

  #spendAlone(units: number, nowMs: number): Spending {
    const bucket = this.#alone?.bucket;
    if (bucket !== undefined && this.#policy.kind === 'rate') {
      const policy = alonePolicy(this.#policy);
      const need = Math.min(units, chargeMax(policy, this.#lane));
      const { refusedForMs } = bucket.ask({ lane: this.#lane, spent: 0, need, want: need }, policy, nowMs);
      if (refusedForMs > 0) {
        this.#refusedUntilMs = nowMs + refusedForMs;
        return 'refused';
      }
    }
    this.#owed += units;
    return this.#isDue(nowMs) ? 'low' : 'spent';
  }

  /** Whether to ask in the background: half of the credit or of the grant is spent, and no question is on its way. */
  #isDue(nowMs: number): boolean {
    if (this.isAsking(nowMs)) return false;
    if (this.#alone !== undefined) return nowMs >= this.#alone.askAgainMs;
    const isLow = this.#lowUnits > 0 && this.#leased(nowMs) <= this.#lowUnits;
    return isLow || this.#owed >= this.#credit * LOW_SHARE;
  }

  /** Of three grants the two older ones are joined, and both end with the older. */
  #take(units: number, untilMs: number, nowMs: number): void {
    if (nowMs >= this.#lease.untilMs) this.#lease.units = 0;
    if (nowMs < this.#next.untilMs && this.#next.units > 0) {
      if (this.#lease.units === 0) this.#lease.untilMs = this.#next.untilMs;
      this.#lease.units += this.#next.units;
    }
    const slot = this.#lease.units === 0 ? this.#lease : this.#next;
    this.#next.units = 0;
    Object.assign(slot, { units, untilMs });
    this.#lowUnits = units * LOW_SHARE;
  }
}

/** A second's worth, so that an outage of the object gives nobody a whole bucket in each isolate. */
function alonePolicy(policy: RatePolicy): RatePolicy {
  return { ...policy, burst: Math.min(policy.burst, policy.perSecond) };
}

function aloneBucket(policy: Policy, nowMs: number): Bucket | undefined {
  return policy.kind === 'quota' ? undefined : new Bucket(alonePolicy(policy), nowMs);
}
