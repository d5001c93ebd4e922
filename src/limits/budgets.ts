import type { Time } from '../platform/clock.ts';
import { Allowance } from './allowance.ts';
import type { Answer, Question } from './bucket.ts';
import type { Lane, Policy } from './policy.ts';

/** A budget: who it belongs to, and how much it has. */
export interface BudgetName {
  /** The name of the budget in headers and problems. */
  readonly kind: string;
  /** Whose it is; all isolates use the same text. */
  readonly partition: string;
  readonly policy: Policy;
}

/** What one isolate knows of a budget. */
export class Budget implements BudgetName {
  readonly kind: string;
  readonly partition: string;
  readonly policy: Policy;
  /** Each warm hit asks for this lane, so it is a field. */
  readonly read: Allowance;
  #write: Allowance | undefined;
  #operation: Allowance | undefined;

  constructor({ kind, partition, policy }: BudgetName, nowMs: number) {
    this.kind = kind;
    this.partition = partition;
    this.policy = policy;
    this.read = new Allowance(policy, 'read', nowMs);
  }

  of(lane: Lane, nowMs: number): Allowance {
    if (lane === 'write') {
      this.#write ??= new Allowance(this.policy, lane, nowMs);
      return this.#write;
    }
    if (lane === 'operation') {
      this.#operation ??= new Allowance(this.policy, lane, nowMs);
      return this.#operation;
    }
    return this.read;
  }
}

/**
 * The budgets that an isolate has used lately, at most `max`, each of some hundred bytes. A budget that is evicted begins
 * again with its credit, as in a new isolate.
 */
export class BudgetTable {
  readonly #max: number;
  readonly #budgets = new Map<string, Budget>();

  constructor(max: number) {
    this.#max = max;
  }

  get(partition: string): Budget | undefined {
    return this.#budgets.get(partition);
  }

  open(name: BudgetName, nowMs: number): Budget {
    const known = this.#budgets.get(name.partition);
    if (known !== undefined) return known;
    for (const oldest of this.#budgets.keys()) {
      if (this.#budgets.size < this.#max) break;
      this.#budgets.delete(oldest);
    }
    const opened = new Budget(name, nowMs);
    this.#budgets.set(name.partition, opened);
    return opened;
  }
}

/** A request waits this long for the object that has a budget, in milliseconds; then its isolate limits by itself. */
export const ASK_TIMEOUT_MS = 500;
/** How often a request asks. Others may take what was granted before it can. */
const ROUNDS_MAX = 3;

export interface SpendPorts {
  /** Asks the object that has the budget. It may hang. */
  readonly ask: (name: BudgetName, question: Question) => Promise<Answer>;
  readonly keepAlive: (work: Promise<unknown>) => void;
}

/** A budget without enough units, and how long the sender has to wait, in milliseconds. */
export interface Refusal {
  readonly budget: Budget;
  readonly lane: Lane;
  readonly retryAfterMs: number;
}

const asking = new WeakMap<Allowance, Promise<void>>();

/**
 * Spends units of a budget: without a promise while the isolate has a grant or credit. Otherwise it asks the object within
 * a deadline; if the object does not answer, the isolate limits the budget by itself.
 */
export function spend(
  budget: Budget,
  lane: Lane,
  units: number,
  time: Time,
  portsOf: () => SpendPorts,
): Refusal | undefined | Promise<Refusal | undefined> {
  const nowMs = time.now();
  const allowance = budget.of(lane, nowMs);
  switch (allowance.spend(units, nowMs)) {
    case 'spent':
      return undefined;
    case 'low': {
      const ports = portsOf();
      ports.keepAlive(askFor(budget, allowance, 0, time, ports));
      return undefined;
    }
    case 'refused':
      return { budget, lane, retryAfterMs: allowance.refusedForMs(nowMs) };
    case 'ask':
      return spendLater({ budget, lane, allowance }, units, time, portsOf());
  }
}

async function spendLater(
  {
    budget,
    lane,
    allowance,
  }: { readonly budget: Budget; readonly lane: Lane; readonly allowance: Allowance },
  units: number,
  time: Time,
  ports: SpendPorts,
): Promise<Refusal | undefined> {
  for (let round = 0; round < ROUNDS_MAX; round += 1) {
    // The request of another question may have been cancelled, so the wait for it has a deadline, too.
    const joined = allowance.isAsking(time.now()) ? asking.get(allowance) : undefined;
    if (joined === undefined) await askFor(budget, allowance, units, time, ports);
    else
      await time.withTimeout(joined, ASK_TIMEOUT_MS, () => new Error('Not answered.')).catch(() => undefined);
    const nowMs = time.now();
    const spending = allowance.spend(units, nowMs);
    if (spending === 'low') ports.keepAlive(askFor(budget, allowance, 0, time, ports));
    if (spending === 'spent' || spending === 'low') return undefined;
    if (spending === 'refused') return { budget, lane, retryAfterMs: allowance.refusedForMs(nowMs) };
  }
  // A quota that the object has just called unspent is not refused because others report to it at the same time.
  if (budget.policy.kind === 'quota') {
    allowance.owe(units);
    return undefined;
  }
  return { budget, lane, retryAfterMs: LOST_RACE_MS };
}

/** For a request that asked several times while others took what was granted, in milliseconds. */
const LOST_RACE_MS = 1_000;

/** Never rejects. */
async function askFor(
  budget: Budget,
  allowance: Allowance,
  units: number,
  time: Time,
  { ask }: SpendPorts,
): Promise<void> {
  const question = allowance.question(units, time.now());
  const answered = time
    .withTimeout(ask(budget, question), ASK_TIMEOUT_MS, () => new Error('The object did not answer.'))
    .then(
      (answer) => allowance.answered(question, answer, time.now()),
      () => allowance.failed(question, time.now()),
    );
  asking.set(allowance, answered);
  await answered;
}
