import { exact, nearest } from './exact.ts';

/**
 * A count whose events lose half their weight in each half-life. Ages are counted in 256 steps of a half-life, so a
 * weight is off by 0.28 % at most. The events of one half-life (counted from the Unix epoch) are summed up in whole
 * numbers, so the order does not matter. The newest 40 half-lives are kept: what is older weighs less than 10^-12.
 */
export interface Decayed {
  /** The number of the newest half-life. */
  readonly newest: number;
  /** The sums of the newest half-life and of those before it; the last one is not 0. */
  readonly sums: readonly bigint[];
}

export const DECAY_STEPS = 256;
export const HALF_LIVES_MAX = 40;
/** Weights are whole numbers of 2^-32. */
const WEIGHT_BITS = 32;

/** The event's share of its half-life: 2^(steps / 256). */
export function decayedOf(at: number, halfLifeMs: number): Decayed {
  const { half, step } = placeOf(at, halfLifeMs);
  return { newest: half, sums: [weightOf(step)] };
}

export function decayedSum(a: Decayed, b: Decayed): Decayed {
  const newest = Math.max(a.newest, b.newest);
  const sums = Array.from(
    { length: HALF_LIVES_MAX },
    (_, back) => sumAt(a, newest - back) + sumAt(b, newest - back),
  );
  while (sums.at(-1) === 0n) sums.pop();
  return { newest, sums };
}

/** The decayed count as of `now`. Half-lives that have not begun do not count. */
export function decayedAt(decayed: Decayed, now: number, halfLifeMs: number): number {
  const { half, step } = placeOf(now, halfLifeMs);
  let total = 0n;
  for (let back = 0; back < HALF_LIVES_MAX; back += 1)
    total += sumAt(decayed, half - back) << BigInt(HALF_LIVES_MAX - back);
  return nearest(exact(total, -HALF_LIVES_MAX), weightOf(step));
}

export function decayedText({ newest, sums }: Decayed): string {
  return `${newest} ${sums.map((sum) => sum.toString(16)).join(' ')}`;
}

export function parseDecayed(text: string): Decayed {
  const [newest, ...sums] = text.split(' ');
  return { newest: Number(newest), sums: sums.map((sum) => BigInt(`0x${sum}`)) };
}

function sumAt({ newest, sums }: Decayed, half: number): bigint {
  return sums[newest - half] ?? 0n;
}

function placeOf(at: number, halfLifeMs: number): { readonly half: number; readonly step: number } {
  const steps = Math.floor((at * DECAY_STEPS) / halfLifeMs);
  const half = Math.floor(steps / DECAY_STEPS);
  return { half, step: steps - half * DECAY_STEPS };
}

let weights: readonly bigint[] | undefined;

function weightOf(step: number): bigint {
  weights ??= powers();
  return weights[step] ?? 0n;
}

/** 2^(k / 256) for each step, from whole-number roots: the same on every machine. */
function powers(): bigint[] {
  const bits = 128n;
  let root = 2n << bits;
  for (let steps = DECAY_STEPS; steps > 1; steps /= 2) root = squareRoot(root << bits);
  const found = [1n << bits];
  for (let step = 1; step < DECAY_STEPS; step += 1) found.push(((found.at(-1) ?? 0n) * root) >> bits);
  return found.map((power) => power >> (bits - BigInt(WEIGHT_BITS)));
}

/** The greatest whole number whose square is at most `value`, by Newton's method. */
function squareRoot(value: bigint): bigint {
  let root = 1n << BigInt(Math.ceil(value.toString(2).length / 2));
  for (;;) {
    const next = (root + value / root) >> 1n;
    if (next >= root) return root;
    root = next;
  }
}
