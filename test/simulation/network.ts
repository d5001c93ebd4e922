import { hashedFraction } from '../../src/platform/random.ts';
import type { Scheduler } from './scheduler.ts';

/** Draws that follow from the seed, a name and the moment alone: leaving one step out shifts no other's luck. */
export class Chance {
  readonly #seed: number;
  readonly #scheduler: Scheduler;
  #atMs = -1;
  #nth = 0;

  constructor(seed: number, scheduler: Scheduler) {
    this.#seed = seed;
    this.#scheduler = scheduler;
  }

  /** Uniform in [0, 1). */
  draw(name: string): number {
    if (this.#atMs !== this.#scheduler.nowMs) {
      this.#atMs = this.#scheduler.nowMs;
      this.#nth = 0;
    }
    this.#nth += 1;
    return hashedFraction(this.#seed, `${name}/${this.#atMs}/${this.#nth}`);
  }

  between(name: string, from: number, to: number): number {
    return from + this.draw(name) * (to - from);
  }

  happens(name: string, probability: number): boolean {
    return this.draw(name) < probability;
  }
}

/** Something that can be reached, and that may be gone and come back as another while a call is under way. */
export class Machine {
  readonly name: string;
  /** Counts its lives: what was begun in an earlier one never ends. */
  life = 1;
  #gone = Promise.withResolvers<void>();

  constructor(name: string) {
    this.name = name;
  }

  /** Resolves when this life ends. */
  get gone(): Promise<void> {
    return this.#gone.promise;
  }

  restart(): void {
    this.life += 1;
    this.#gone.resolve();
    this.#gone = Promise.withResolvers<void>();
  }
}

export interface NetworkFaults {
  /** Probability that a message is lost, and its sender told after a while. */
  readonly loss: number;
  /** Probability that a message is lost without an error. */
  readonly silence: number;
  /** Probability that a message takes up to `lateMsMax` instead of some milliseconds. */
  readonly late: number;
  readonly lateMsMax: number;
  /** How long messages between the root and the regions usually take at most, in milliseconds. */
  readonly rootMsMax: number;
  /** Probability that what the root pushes is lost. */
  readonly pushLoss: number;
  /** Probability that what may arrive twice does. */
  readonly doubling: number;
}

const USUAL_MS_MAX = 60;
/** A promise of its own for each who waits in vain: one for all would keep all that ever waited in memory. */
export function never(): Promise<never> {
  return new Promise(() => undefined);
}

/** A peer that hangs: its answer never comes, comes long after anybody may wait for it, or just within that time. */
export type Hang = 'never' | 'late' | 'slow';
/** How late an answer of a hung peer comes, in milliseconds. */
const ANSWER_MS = { late: 10_000, slow: 4_000 } as const;

type Ended<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: unknown };

/** Calls between machines: both ways take their time, may be lost, may be late, and may end with the called one's life. */
export class Network {
  readonly #scheduler: Scheduler;
  readonly #chance: Chance;
  readonly #faults: NetworkFaults;
  readonly #cuts = new Set<string>();
  readonly #usualMsMax = new Map<string, number>();
  readonly #hung = new Map<string, Hang>();
  /** When a message between two machines was last lost, or an answer withheld. */
  readonly #troubledMs = new Map<string, number>();
  /** When a message between two machines last arrived that took unusually long. */
  readonly #lateMs = new Map<string, number>();

  constructor(scheduler: Scheduler, chance: Chance, faults: NetworkFaults) {
    this.#scheduler = scheduler;
    this.#chance = chance;
    this.#faults = faults;
  }

  cut(a: Machine, b: Machine): void {
    this.#cuts.add(linkOf(a, b));
  }

  /** Makes a link usually take up to this long. */
  stretch(a: Machine, b: Machine, usualMsMax: number): void {
    this.#usualMsMax.set(linkOf(a, b), usualMsMax);
  }

  heal(a: Machine, b: Machine): void {
    this.#cuts.delete(linkOf(a, b));
  }

  /** Calls between two machines are taken, and answered never or late. */
  hang(a: Machine, b: Machine, how: Hang): void {
    this.#hung.set(linkOf(a, b), how);
  }

  unhang(a: Machine, b: Machine): void {
    this.#hung.delete(linkOf(a, b));
  }

  /** Whether all messages between two machines have arrived since a moment. */
  isSoundSince(a: Machine, b: Machine, sinceMs: number): boolean {
    return (this.#troubledMs.get(linkOf(a, b)) ?? Number.NEGATIVE_INFINITY) < sinceMs;
  }

  /** Whether no message between two machines has taken unusually long since a moment. */
  isPromptSince(a: Machine, b: Machine, sinceMs: number): boolean {
    return (this.#lateMs.get(linkOf(a, b)) ?? Number.NEGATIVE_INFINITY) < sinceMs;
  }

  #trouble(a: Machine, b: Machine): void {
    this.#troubledMs.set(linkOf(a, b), this.#scheduler.nowMs);
  }

  async #withhold(from: Machine, to: Machine): Promise<void> {
    const how = this.#hung.get(linkOf(from, to));
    if (how === undefined) return;
    this.#trouble(from, to);
    await (how === 'never' ? never() : this.#scheduler.sleep(ANSWER_MS[how]));
    this.#trouble(from, to);
  }

  async call<T>(from: Machine, to: Machine, work: () => Promise<T> | T, mayDouble = false): Promise<T> {
    const { life } = from;
    const link = `${from.name}>${to.name}`;
    await this.#travel(link, from, to);
    const { life: calledLife, gone } = to;
    if (mayDouble && this.#chance.happens(link, this.#faults.doubling)) this.#again(link, work);
    const answer = await Promise.race([this.#ended(work), gone]);
    await this.#withhold(from, to);
    await this.#travel(`${to.name}>${from.name}`, to, from);
    if (from.life !== life) return await never();
    if (answer === undefined || to.life !== calledLife) throw new Error(`${to.name} was restarted.`);
    if (!answer.ok) throw answer.error;
    return answer.value;
  }

  async #ended<T>(work: () => Promise<T> | T): Promise<Ended<T>> {
    try {
      return { ok: true, value: await work() };
    } catch (error) {
      return { ok: false, error };
    }
  }

  #again(link: string, work: () => unknown): void {
    const delayMs = this.#chance.between(link, 1, this.#faults.lateMsMax);
    this.#scheduler.setTimer(delayMs, () => void this.#ended(work));
  }

  async #travel(link: string, from: Machine, to: Machine): Promise<void> {
    const chance = this.#chance;
    const { loss, silence, late, lateMsMax } = this.#faults;
    const usualMsMax = this.#usualMsMax.get(linkOf(from, to)) ?? USUAL_MS_MAX;
    const mostMs = chance.happens(link, late) ? lateMsMax : usualMsMax;
    const takesMs = Math.round(chance.between(link, 1, mostMs));
    if (takesMs > usualMsMax) this.#lateMs.set(linkOf(from, to), this.#scheduler.nowMs + takesMs);
    await this.#scheduler.sleep(takesMs);
    if (chance.happens(link, silence)) {
      this.#trouble(from, to);
      await never();
    }
    const cut = this.#cuts.has(linkOf(from, to));
    if (!cut && !chance.happens(link, loss)) return;
    this.#trouble(from, to);
    await this.#scheduler.sleep(Math.round(chance.between(link, 1, 500)));
    throw new Error(`${link}: the connection was lost.`);
  }
}

function linkOf(a: Machine, b: Machine): string {
  return a.name < b.name ? `${a.name}|${b.name}` : `${b.name}|${a.name}`;
}
