/**
 * Exact binary fractions: `mantissa × 2^exponent`. Every finite double is one, and so are their sums and products, so a
 * sum does not depend on the order of its terms. It is rounded once, when it is read.
 */
export interface Exact {
  /** Odd, or 0 with the exponent 0: equal numbers have one form. */
  readonly mantissa: bigint;
  readonly exponent: number;
}

export const ZERO: Exact = { mantissa: 0n, exponent: 0 };

/** The least exponent of a double's last bit, and the width of its fraction. */
const EXPONENT_MIN = -1_074;
const FRACTION_BITS = 52n;
/** Bits of a quotient before it is rounded: more than the 53 of a double, so that one more bit tells the remainder. */
const QUOTIENT_BITS = 66;
/** Below 2^-1022 doubles have fewer bits than 53. */
const NORMAL_MIN = -1_022;

/** Hexadecimal digits, or a sign and one less, that a double has exactly. It is read faster than a bigint. */
const SAFE_DIGITS = 13;

/** @throws RangeError for NaN and the infinities. */
export function exactOf(value: number): Exact {
  if (!Number.isFinite(value)) throw new RangeError(`A value is a finite number, and not ${value}.`);
  const bits = BigInt.asUintN(64, new BigInt64Array(Float64Array.of(value).buffer)[0] ?? 0n);
  const biased = Number((bits >> FRACTION_BITS) & 0x7ffn);
  const fraction = bits & ((1n << FRACTION_BITS) - 1n);
  const magnitude = biased === 0 ? fraction : fraction | (1n << FRACTION_BITS);
  return exact(value < 0 ? -magnitude : magnitude, Math.max(biased, 1) - 1 + EXPONENT_MIN);
}

/** The one form of `mantissa × 2^exponent`. */
export function exact(mantissa: bigint, exponent: number): Exact {
  if (mantissa === 0n) return ZERO;
  const zeros = trailingZeros(mantissa < 0n ? -mantissa : mantissa);
  return { mantissa: mantissa >> BigInt(zeros), exponent: exponent + zeros };
}

export function added(a: Exact, b: Exact): Exact {
  const exponent = Math.min(a.exponent, b.exponent);
  return exact(shifted(a, exponent) + shifted(b, exponent), exponent);
}

/** A sum of many numbers, without the one form of each step. */
export class ExactSum {
  #mantissa = 0n;
  #exponent = 0;

  add(term: Exact): void {
    if (term.exponent < this.#exponent) {
      this.#mantissa <<= BigInt(this.#exponent - term.exponent);
      this.#exponent = term.exponent;
    }
    this.#mantissa += shifted(term, this.#exponent);
  }

  get total(): Exact {
    return exact(this.#mantissa, this.#exponent);
  }
}

export function squared({ mantissa, exponent }: Exact): Exact {
  return exact(mantissa * mantissa, exponent * 2);
}

/** `a × b - c × c`, exactly: the numerator of a variance. */
export function multipleLessSquare(a: bigint, b: Exact, c: Exact): Exact {
  const multiple = exact(a * b.mantissa, b.exponent);
  const square = squared(c);
  return added(multiple, { ...square, mantissa: -square.mantissa });
}

/** The double next to `value / divisor`, ties to even; ±Infinity beyond the range of doubles. */
export function nearest({ mantissa, exponent }: Exact, divisor = 1n): number {
  if (mantissa === 0n) return 0;
  const isNegative = mantissa < 0n;
  const top = isNegative ? -mantissa : mantissa;
  const magnitude = bitLength(top) - bitLength(divisor) + exponent;
  // The quotient has so many bits that its last one is far below what a double keeps, so it can tell the remainder.
  const isSmall = magnitude <= NORMAL_MIN;
  const shift = isSmall ? -EXPONENT_MIN + QUOTIENT_BITS : QUOTIENT_BITS - magnitude;
  const numerator = shift + exponent >= 0 ? top << BigInt(shift + exponent) : top;
  const denominator = shift + exponent >= 0 ? divisor : divisor << BigInt(-shift - exponent);
  const quotient = (numerator / denominator) | (numerator % denominator === 0n ? 0n : 1n);
  const rounded = isSmall ? halfEven(quotient, QUOTIENT_BITS) : Number(quotient);
  const value = scaled(rounded, isSmall ? EXPONENT_MIN : -shift);
  return isNegative ? -value : value;
}

export function textOf({ mantissa, exponent }: Exact): string {
  return `${mantissa.toString(16)}p${exponent}`;
}

/** Reads what `textOf` wrote. */
export function parseExact(text: string): Exact {
  const end = text.indexOf('p');
  const mantissa = text.slice(0, end);
  const exponent = Number(text.slice(end + 1));
  if (mantissa.length <= SAFE_DIGITS) return { mantissa: BigInt(Number.parseInt(mantissa, 16)), exponent };
  const digits = BigInt(`0x${mantissa.replace('-', '')}`);
  return { mantissa: mantissa.startsWith('-') ? -digits : digits, exponent };
}

const DECIMAL = /^(-?)(\d{1,400})(?:\.(\d{1,400}))?(?:e([+-]?\d{1,3}))?$/i;

/**
 * A decimal as a whole number of its last places: 12.345 with two places is 1234. A number is given by its shortest
 * text, so 0.1 is a tenth. Further places are rounded, ties to even.
 *
 * @throws RangeError for a value that is no decimal number.
 */
export function scaledOf(value: string, places: number): bigint {
  const [, sign, whole, fraction = '', power = '0'] = DECIMAL.exec(value) ?? [];
  if (whole === undefined) throw new RangeError(`A value is a decimal number, and not ${value}.`);
  const digits = BigInt(whole + fraction);
  const shift = Number(power) - fraction.length + places;
  const scaled = shift >= 0 ? digits * 10n ** BigInt(shift) : dividedHalfEven(digits, 10n ** BigInt(-shift));
  return sign === '-' ? -scaled : scaled;
}

function dividedHalfEven(value: bigint, divisor: bigint): bigint {
  const quotient = value / divisor;
  const twice = (value % divisor) * 2n;
  const isUp = twice > divisor || (twice === divisor && (quotient & 1n) === 1n);
  return isUp ? quotient + 1n : quotient;
}

function halfEven(value: bigint, bits: number): number {
  return Number(dividedHalfEven(value, 1n << BigInt(bits)));
}

function shifted({ mantissa, exponent }: Exact, to: number): bigint {
  return mantissa << BigInt(exponent - to);
}

/** `value × 2^exponent`. Two steps, because a power of two below 2^-1022 is not exact. */
function scaled(value: number, exponent: number): number {
  const half = Math.trunc(exponent / 2);
  return value * powerOfTwo(half) * powerOfTwo(exponent - half);
}

function powerOfTwo(exponent: number): number {
  const bounded = Math.min(Math.max(exponent, NORMAL_MIN), 1_023);
  return new Float64Array(BigInt64Array.of(BigInt(bounded + 1_023) << FRACTION_BITS).buffer)[0] ?? 0;
}

function bitLength(value: bigint): number {
  const digits = value.toString(16);
  return digits.length * 4 - (Math.clz32(Number.parseInt(digits[0] ?? '0', 16)) - 28);
}

function trailingZeros(value: bigint): number {
  let zeros = 0;
  let rest = value;
  while ((rest & 0xffff_ffffn) === 0n) {
    rest >>= 32n;
    zeros += 32;
  }
  const low = Number(rest & 0xffff_ffffn);
  return zeros + 31 - Math.clz32(low & -low);
}
