import type { LimitedClass, Limits } from '../../define/limits.ts';
import { type Principal, principalKey } from '../../define/principal.ts';
import { type Budget, BudgetTable, type Refusal, type SpendPorts, spend } from '../../limits/budgets.ts';
import { type Lane, type Policy, QUOTA_PERIODS, type RatePolicy, ratePolicy } from '../../limits/policy.ts';
import type { Time } from '../../platform/clock.ts';
import type { CostClass } from '../route-rules.ts';
import { networkOf } from './address.ts';
import { LimitFailure } from './limit-failure.ts';
import { LANE_OF, LOOKUP_UNITS, REFUSED_UNITS, UNKNOWN_KEY_UNITS } from './weights.ts';

/** The most budgets of keys, and of addresses, that an isolate remembers. */
const KEYS_MAX = 4_096;
const ADDRESSES_MAX = 4_096;
/** The most look-ups of keys at a time that an isolate makes for one address, of 16 in all. */
export const LOOKUPS_OF_ADDRESS_MAX = 4;

/** The part of a request's context that keeps work alive after the request. */
interface KeepsAlive {
  waitUntil(work: Promise<unknown>): void;
}

/** How long a look-up takes at most, in milliseconds (`src/gateway/principals/key-table.ts`). */
const LOOKUP_MS_MAX = 11_000;
/** When a sender may try a further key that its isolate does not know, in milliseconds. */
const LOOKUP_RETRY_MS = 1_000;

/** The parts of a request that charging needs. */
export interface Charged {
  readonly http: Request;
  readonly ctx: KeepsAlive;
}

/** What a request is charged for. */
export interface Charge {
  readonly cost: CostClass;
  readonly units: number;
}

/** The budget that an answer shows: the one that was charged last. */
export interface Standing {
  readonly budget: Budget;
  readonly lane: Lane;
}

export type Ask = SpendPorts['ask'];

/**
 * Charges requests to the budgets of their senders. One object for all requests of an isolate. A request is refused before
 * it causes work; what it was charged until then is not returned.
 */
export class Charging {
  readonly #time: Time;
  readonly #ask: Ask;
  readonly #policies: {
    readonly key: RatePolicy;
    readonly address: RatePolicy;
    readonly anonymous: RatePolicy;
  };
  readonly #classes: ReadonlyMap<CostClass, RatePolicy>;
  readonly #keys = new BudgetTable(KEYS_MAX);
  readonly #addresses = new BudgetTable(ADDRESSES_MAX);
  /** By principal, for warm hits: a principal that the isolate knows is one object. */
  readonly #ofPrincipal = new WeakMap<Principal, Budget>();
  readonly #lookups = new RunningLookups();
  readonly #onRefused: (budget: string, lane: Lane) => void;

  /** Whether limits are on. */
  readonly isOn: boolean;

  /** @param isOn false admits every request. */
  constructor(
    limits: Limits,
    time: Time,
    ask: Ask,
    onRefused: (budget: string, lane: Lane) => void,
    isOn = true,
  ) {
    this.isOn = isOn;
    const { key, address, anonymous, classes } = limits;
    this.#time = time;
    this.#ask = ask;
    this.#onRefused = onRefused;
    this.#policies = {
      key: ratePolicy(key),
      address: ratePolicy(address),
      anonymous: ratePolicy(anonymous),
    };
    const declared = Object.entries(classes) as [LimitedClass, (typeof classes)[LimitedClass]][];
    this.#classes = new Map(
      declared.flatMap(([name, limit]) => (limit === undefined ? [] : [[name, ratePolicy(limit)]])),
    );
  }

  /**
   * Charges a unit for an answer from memory: to the key, or to the address of a reader without one. Without a promise,
   * unless the isolate has neither a grant nor credit.
   */
  hit(
    headers: Headers,
    ctx: KeepsAlive,
    principal: Principal | undefined,
  ): Refusal | undefined | Promise<Refusal | undefined> {
    if (principal === undefined || principal.kind === 'anonymous') {
      const address = headers.get('cf-connecting-ip');
      // Only the platform's edge sets it. Another worker of the account, and a local runtime, have no address.
      return address === null ? undefined : this.#spend(this.#address(address), 'read', 1, ctx);
    }
    if (isOperator(principal)) return undefined;
    const known = this.#ofPrincipal.get(principal);
    if (known !== undefined && !this.#classes.has('read') && !hasQuota(principal))
      return this.#spend(known, 'read', 1, ctx);
    return this.#spendAll(this.#budgetsOf(headers, principal, 'read'), 'read', 1, ctx);
  }

  /**
   * Charges a request to all budgets that it counts in.
   *
   * @returns the budget to show; undefined if the sender has no limit.
   * @throws LimitFailure
   */
  async charge(
    { http, ctx }: Charged,
    principal: Principal,
    { cost, units }: Charge,
  ): Promise<Standing | undefined> {
    const lane = LANE_OF[cost];
    const budgets = this.#budgetsOf(http.headers, principal, cost);
    this.throwIf(await this.#spendAll(budgets, lane, units, ctx));
    const [shown] = budgets;
    return shown === undefined ? undefined : { budget: shown, lane };
  }

  /**
   * Looks a key up for a sender that is not known yet, at the expense of its address: a look-up costs units, an id without
   * a key costs many, and only a few are made at a time.
   *
   * @throws LimitFailure
   */
  async lookUp<Key>(
    { http, ctx }: Charged,
    id: string,
    find: () => Promise<Key | null>,
  ): Promise<Key | null> {
    const address = http.headers.get('cf-connecting-ip');
    if (address === null) return await find();
    const budget = this.#address(address);
    const { partition } = budget;
    const running = this.#lookups.of(partition, this.#time.now());
    // The requests of one key share its look-up.
    if (running.has(id)) return await find();
    if (running.size >= LOOKUPS_OF_ADDRESS_MAX)
      this.throwIf({ budget, lane: 'write', retryAfterMs: LOOKUP_RETRY_MS });
    running.set(id, this.#time.now());
    try {
      this.throwIf(await this.#spend(budget, 'write', LOOKUP_UNITS, ctx));
      const found = await find();
      if (found === null) await this.#spend(budget, 'write', UNKNOWN_KEY_UNITS, ctx);
      return found;
    } finally {
      running.delete(id);
    }
  }

  /** Charges the address of a sender whose credential was refused. @throws LimitFailure */
  async credentialRefused({ http, ctx }: Charged): Promise<void> {
    const address = http.headers.get('cf-connecting-ip');
    if (address !== null)
      this.throwIf(await this.#spend(this.#address(address), 'write', REFUSED_UNITS, ctx));
  }

  /** @throws LimitFailure for a refusal. */
  throwIf(refusal: Refusal | undefined): void {
    if (refusal === undefined) return;
    this.#onRefused(refusal.budget.kind, refusal.lane);
    throw new LimitFailure(refusal, this.#time.now());
  }

  /** The smallest budget first: a request that it refuses is not charged to the others. */
  #budgetsOf(headers: Headers, principal: Principal, cost: CostClass): readonly Budget[] {
    if (principal.kind === 'anonymous') {
      const address = headers.get('cf-connecting-ip');
      const all = this.#keys.open(
        { kind: 'anonymous', partition: 'anonymous', policy: this.#policies.anonymous },
        this.#time.now(),
      );
      return address === null ? [all] : [this.#address(address), all];
    }
    if (isOperator(principal)) return [];
    const partition = principalKey(principal);
    const key = this.#open(this.#keys, { kind: 'key', partition, policy: this.#policies.key });
    this.#ofPrincipal.set(principal, key);
    const ofClass = this.#classes.get(cost);
    const quotas = this.#quotasOf(principal, partition);
    if (ofClass === undefined) return [key, ...quotas];
    return [
      this.#open(this.#keys, { kind: cost, partition: `${partition}/${cost}`, policy: ofClass }),
      key,
      ...quotas,
    ];
  }

  #quotasOf(principal: Principal, partition: string): Budget[] {
    if (principal.kind !== 'key' || principal.quotas === undefined) return [];
    const { quotas } = principal;
    return QUOTA_PERIODS.flatMap((period) => {
      const units = quotas[period];
      if (units === undefined) return [];
      const policy = { kind: 'quota', units, period } as const;
      return [this.#open(this.#keys, { kind: period, partition: `${partition}/${period}`, policy })];
    });
  }

  #address(text: string): Budget {
    const network = networkOf(text);
    return (
      this.#addresses.get(network) ??
      this.#open(this.#addresses, { kind: 'address', partition: network, policy: this.#policies.address })
    );
  }

  #open(table: BudgetTable, name: { kind: string; partition: string; policy: Policy }): Budget {
    return table.open(name, this.#time.now());
  }

  #spend(
    budget: Budget,
    lane: Lane,
    units: number,
    ctx: KeepsAlive,
  ): Refusal | undefined | Promise<Refusal | undefined> {
    if (!this.isOn) return undefined;
    return spend(budget, lane, units, this.#time, () => ({
      ask: this.#ask,
      keepAlive: (work) => ctx.waitUntil(work),
    }));
  }

  #spendAll(
    budgets: readonly Budget[],
    lane: Lane,
    units: number,
    ctx: KeepsAlive,
  ): Refusal | undefined | Promise<Refusal | undefined> {
    for (const [index, budget] of budgets.entries()) {
      const refusal = this.#spend(budget, lane, units, ctx);
      if (refusal instanceof Promise)
        return refusal.then((late) => late ?? this.#spendAll(budgets.slice(index + 1), lane, units, ctx));
      if (refusal !== undefined) return refusal;
    }
    return undefined;
  }
}

function hasQuota(principal: Principal): boolean {
  return principal.kind === 'key' && (principal.quotas?.day ?? principal.quotas?.month) !== undefined;
}

/**
 * The ids of keys that are being looked up, and since when, by the address that pays. The look-up of a request that was
 * cancelled does not end, so it counts for as long as a look-up may take.
 */
class RunningLookups {
  readonly #ofAddress = new Map<string, Map<string, number>>();

  of(address: string, nowMs: number): Map<string, number> {
    const running = this.#ofAddress.get(address) ?? new Map<string, number>();
    for (const [id, sinceMs] of running) if (nowMs - sinceMs > LOOKUP_MS_MAX) running.delete(id);
    // Moved behind the others, so that the addresses in front are those that looked nothing up for the longest time.
    this.#ofAddress.delete(address);
    this.#ofAddress.set(address, running);
    for (const oldest of this.#ofAddress.keys()) {
      if (this.#ofAddress.size <= ADDRESSES_MAX) break;
      this.#ofAddress.delete(oldest);
    }
    return running;
  }
}

/** The holder of the secret of the deployment. */
function isOperator(principal: Principal): boolean {
  return principal.kind === 'key' && principal.id === 'bootstrap';
}
