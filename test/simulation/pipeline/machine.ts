import { AsyncLocalStorage } from 'node:async_hooks';
import type { Random } from '../../../src/platform/random.ts';
import type { FaultRates } from './schedule.ts';

/** An isolate or object at work. Once it is killed, nothing that it still runs has any effect. */
export interface Process {
  readonly name: string;
  alive: boolean;
}

/** What a call reaches: it decides which outages it suffers from, and how a refusal looks. */
export type Target = 'database' | 'objects' | 'queue';

interface Waiting {
  readonly process: Process;
  readonly label: string;
  readonly go: () => void;
}

/** Steps of a run: far more than any schedule takes that comes to an end. */
const STEPS_MAX = 30_000;
/** Turns of the event loop without anything under way, after which nothing more follows by itself. */
const IDLE_TURNS = 2;

export class Killed extends Error {
  override readonly name = 'Killed';
}

/**
 * Runs processes one step at a time, each step a call to something outside. Which process goes on, and what becomes
 * of the call, follows from the seed, so a run is the same each time.
 */
export class Machine {
  nowS = 0;
  steps = 0;
  faults = 0;
  readonly trace: string[] = [];
  /** Things that may begin by themselves now. */
  readonly begin: () => readonly { readonly label: string; readonly go: () => void }[];
  /** When the next thing may begin, in seconds; infinite for never. */
  readonly nextS: () => number;
  readonly #random: Random;
  #rates: FaultRates;
  #faultsMax: number;
  #outages: Record<Target, number> = { database: 0, objects: 0, queue: 0 };
  readonly #outageSMax: number;
  readonly #current = new AsyncLocalStorage<Process>();
  #waiting: Waiting[] = [];
  #underWay = 0;

  constructor(options: {
    readonly random: Random;
    readonly rates: FaultRates;
    readonly faultsMax: number;
    readonly outageSMax: number;
    readonly begin: Machine['begin'];
    readonly nextS: Machine['nextS'];
  }) {
    this.#random = options.random;
    this.#rates = options.rates;
    this.#faultsMax = options.faultsMax;
    this.#outageSMax = options.outageSMax;
    this.begin = options.begin;
    this.nextS = options.nextS;
  }

  run<T>(process: Process, work: () => Promise<T>): Promise<T> {
    return this.#current.run(process, work);
  }

  get process(): Process | undefined {
    return this.#current.getStore();
  }

  chance(share: number): boolean {
    return this.#random() < share;
  }

  upTo(count: number): number {
    return Math.floor(this.#random() * count);
  }

  /** A fault of this share, as long as the schedule has some left. */
  fault(kind: keyof FaultRates): boolean {
    const isNow = this.chance(this.#rates[kind]) && this.faults < this.#faultsMax;
    if (isNow) this.faults += 1;
    return isNow;
  }

  note(text: string): void {
    this.trace.push(`${String(Math.round(this.nowS)).padStart(6)} s  ${text}`);
  }

  /** Waits for this process's turn, then calls; on the way it may be killed, refused, or lose the answer. */
  async call<T>(target: Target, label: string, effect: () => Promise<T> | T): Promise<T> {
    const process = this.process;
    if (process === undefined) return await effect();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.push({ process, label, go: resolve });
    await promise;
    if (!process.alive) throw new Killed(process.name);
    const what = `${process.name}: ${label}`;
    if (this.fault('outage')) this.#beginOutage();
    if (this.#outages[target] > this.nowS) throw this.#refuse(target, `${what}: away`, true);
    if (this.fault('killed')) throw this.#kill(process, `${what}: killed before`);
    if (this.fault('refused')) throw this.#refuse(target, `${what}: refused`, false);
    const result = await this.whileUnderWay(effect);
    if (this.fault('killed')) throw this.#kill(process, `${what}: killed after`);
    if (this.fault('lost')) throw this.#refuse(target, `${what}: done, and the answer lost`, false);
    this.note(what);
    return result;
  }

  /** Nothing else goes on while this does. */
  async whileUnderWay<T>(effect: () => Promise<T> | T): Promise<T> {
    this.#underWay += 1;
    try {
      return await effect();
    } finally {
      this.#underWay -= 1;
    }
  }

  /** Goes on until nothing is left to do. Returns whether that came about. */
  async settle(): Promise<boolean> {
    for (;;) {
      await this.#quiet();
      const next = [
        ...this.#waiting.map((waiting) => ({ label: '', go: () => this.#resume(waiting) })),
        ...this.begin(),
      ];
      this.steps += 1;
      if (this.steps > STEPS_MAX) return false;
      if (next.length === 0) {
        const nextS = this.nextS();
        if (nextS === Number.POSITIVE_INFINITY) return true;
        this.nowS = Math.max(this.nowS, nextS);
        continue;
      }
      if (this.chance(0.2)) this.nowS += this.#random() * 2;
      const picked = next[this.upTo(next.length)];
      if (picked === undefined) continue;
      if (picked.label !== '') this.note(picked.label);
      picked.go();
    }
  }

  /** From now on so many faults may happen, whatever happened before. */
  allowFaults(count: number): void {
    this.#faultsMax = this.faults + count;
  }

  /** From now on everything works. */
  heal(): void {
    this.#faultsMax = 0;
    this.#outages = { database: 0, objects: 0, queue: 0 };
  }

  #resume(waiting: Waiting): void {
    this.#waiting = this.#waiting.filter((other) => other !== waiting);
    waiting.go();
  }

  #beginOutage(): void {
    const target = this.chance(0.6) ? 'database' : 'objects';
    this.#outages[target] = this.nowS + this.#random() * this.#outageSMax;
    this.note(`the ${target} go away until ${Math.round(this.#outages[target])} s`);
  }

  #kill(process: Process, what: string): Error {
    process.alive = false;
    this.note(what);
    return new Killed(process.name);
  }

  /** What is away for all tells nothing of itself; what fails once says that it may be tried again. */
  #refuse(target: Target, what: string, isAway: boolean): Error {
    this.note(what);
    if (target === 'database') return new TypeError('fetch failed');
    return Object.assign(new Error(what), isAway ? {} : { retryable: true });
  }

  async #quiet(): Promise<void> {
    for (let idle = 0; idle < IDLE_TURNS; ) {
      const { promise, resolve } = Promise.withResolvers<void>();
      setImmediate(resolve);
      await promise;
      idle = this.#underWay === 0 ? idle + 1 : 0;
    }
  }
}
