/**
 * A set of values, of which only its size is asked: the sorted 64-bit hashes of at most `EXACT_MAX` values, or the
 * registers of a HyperLogLog (Flajolet et al. 2007). Which of the two it is depends on the size alone, so the union of
 * two sets has one form, whatever the order.
 */

/** Up to so many values the size is exact, but for two of them with one hash: less than once in 10^15 sets. */
export const EXACT_MAX = 64;
/** 2^10 registers: the standard error of the estimate is 1.04 / √1024. */
const INDEX_BITS = 10;
const REGISTERS = 2 ** INDEX_BITS;
export const STANDARD_ERROR = 1.04 / Math.sqrt(REGISTERS);
/** Bits of a hash that no index uses, and so the highest rank less one. */
const RANK_BITS = 64 - INDEX_BITS;
const HASH_DIGITS = 16;
/** One digit for each register, whose value is at most 55. */
const DIGITS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

/** The set of one value. */
export function setOf(value: string): string {
  return `=${hashOf(value)}`;
}

/** The union of two sets. */
export function unionOf(a: string, b: string): string {
  if (a.startsWith('=') && b.startsWith('=')) {
    const hashes = new Set([...hashesOf(a), ...hashesOf(b)]);
    if (hashes.size <= EXACT_MAX) return `=${[...hashes].sort().join('')}`;
  }
  const registers = registersOf(a);
  for (const [index, value] of registersOf(b).entries())
    registers[index] = Math.max(registers[index] ?? 0, value);
  return `~${Array.from(registers, (value) => DIGITS[value]).join('')}`;
}

/** The size of a set: exact, or an estimate. */
export function sizeOf(set: string): number {
  return set.startsWith('=') ? (set.length - 1) / HASH_DIGITS : estimate(registersOf(set));
}

function hashesOf(set: string): string[] {
  return Array.from({ length: (set.length - 1) / HASH_DIGITS }, (_, at) =>
    set.slice(1 + at * HASH_DIGITS, 1 + (at + 1) * HASH_DIGITS),
  );
}

function registersOf(set: string): Uint8Array {
  if (set.startsWith('~')) return Uint8Array.from(set.slice(1), (digit) => DIGITS.indexOf(digit));
  const registers = new Uint8Array(REGISTERS);
  for (const hash of hashesOf(set)) {
    const high = Number.parseInt(hash.slice(0, 8), 16);
    const low = Number.parseInt(hash.slice(8), 16);
    const index = high >>> (32 - INDEX_BITS);
    const rest = (high << INDEX_BITS) >>> 0;
    const rank = (rest === 0 ? 32 - INDEX_BITS + Math.clz32(low) : Math.clz32(rest)) + 1;
    registers[index] = Math.max(registers[index] ?? 0, rank);
  }
  return registers;
}

/** Ertl's improved raw estimator ("New cardinality estimation algorithms for HyperLogLog sketches", 2017). */
function estimate(registers: Uint8Array): number {
  const counts = new Array<number>(RANK_BITS + 2).fill(0);
  for (const value of registers) counts[value] = (counts[value] ?? 0) + 1;
  let sum = REGISTERS * tau(1 - (counts[RANK_BITS + 1] ?? 0) / REGISTERS);
  for (let rank = RANK_BITS; rank >= 1; rank -= 1) sum = (sum + (counts[rank] ?? 0)) / 2;
  sum += REGISTERS * sigma((counts[0] ?? 0) / REGISTERS);
  return Math.round(REGISTERS ** 2 / (2 * Math.LN2 * sum));
}

function sigma(share: number): number {
  if (share === 1) return Number.POSITIVE_INFINITY;
  let [power, factor, sum, before] = [share, 1, share, Number.NaN];
  while (sum !== before) {
    power *= power;
    before = sum;
    sum += power * factor;
    factor += factor;
  }
  return sum;
}

function tau(share: number): number {
  if (share === 0 || share === 1) return 0;
  let [root, factor, sum, before] = [share, 1, 1 - share, Number.NaN];
  while (sum !== before) {
    root = Math.sqrt(root);
    before = sum;
    factor /= 2;
    sum -= (1 - root) ** 2 * factor;
  }
  return sum / 3;
}

/** 64 bits in two lanes with different multipliers, each mixed at the end with the other. 16 hexadecimal digits. */
function hashOf(text: string): string {
  let [a, b] = [0x9e3779b9, 0x7f4a7c15];
  for (let index = 0; index < text.length; index += 1) {
    const unit = text.charCodeAt(index);
    a = Math.imul(a ^ unit, 0x85ebca6b);
    b = Math.imul(b ^ unit, 0xc2b2ae35);
    a ^= b >>> 15;
    b ^= a >>> 13;
  }
  const high = mixed(a ^ (b >>> 16));
  const low = mixed(b ^ high);
  return [mixed(high ^ low), low].map((lane) => lane.toString(16).padStart(8, '0')).join('');
}

function mixed(lane: number): number {
  let value = Math.imul(lane ^ (lane >>> 16), 0x7feb352d);
  value = Math.imul(value ^ (value >>> 15), 0x846ca68b);
  return (value ^ (value >>> 16)) >>> 0;
}
