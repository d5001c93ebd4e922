import { type Datatype, integerRange } from '../define/datatype.ts';
import { InexactNumber } from '../platform/json.ts';
import { ARRAYS, type Tensor, type TensorData } from './tensors.ts';

/**
 * An element in JSON. A 64-bit integer beyond 2^53 − 1 is a decimal string, because a JSON number would lose digits. A
 * float that JSON cannot represent is `"NaN"`, `"Infinity"` or `"-Infinity"`.
 */
export type JsonElement = number | boolean | string;

type Elements =
  | { readonly ok: true; readonly data: TensorData }
  | { readonly ok: false; readonly wrong: number };

/**
 * Converts JSON elements to the type, or returns the index of the first element that the type cannot hold.
 *
 * @param values a number that a double cannot hold is an `InexactNumber`, as `parseJson` returns it.
 * @param isExact whether the decimal digits of an integer are those that were sent. Beyond 2^53 − 1 they are if
 *   `parseJson` returned it as a number.
 */
export function fromJson(
  datatype: Datatype,
  values: readonly unknown[],
  isExact: (integer: number) => boolean = Number.isSafeInteger,
): Elements {
  const elements: (number | bigint | string)[] = [];
  for (const [index, value] of values.entries()) {
    const element = elementOf(datatype, value, isExact);
    if (element === undefined) return { ok: false, wrong: index };
    elements.push(element);
  }
  return { ok: true, data: arrayOf(datatype, elements) };
}

function elementOf(
  datatype: Datatype,
  value: unknown,
  isExact: (integer: number) => boolean,
): number | bigint | string | undefined {
  switch (datatype) {
    case 'BYTES':
      return typeof value === 'string' && isText(value) ? value : undefined;
    case 'BOOL':
      return typeof value === 'boolean' ? Number(value) : undefined;
    case 'FP16':
    case 'FP32':
    case 'FP64':
      return floatOf(datatype, value);
    default:
      return integerOf(datatype, value, isExact);
  }
}

/** Whether a tensor can hold a text: the runtime takes UTF-8 that ends at the first NUL. */
export function isText(text: string): boolean {
  return text.isWellFormed() && !text.includes('\0');
}

/** To the precision of each float type. */
const ROUNDED = { FP16: Math.f16round, FP32: Math.fround, FP64: Number };

function floatOf(datatype: 'FP16' | 'FP32' | 'FP64', value: unknown): number | undefined {
  if (typeof value === 'string') {
    return ['NaN', 'Infinity', '-Infinity'].includes(value) ? Number(value) : undefined;
  }
  // A decimal with more digits than a double has is rounded, as any float is.
  const number = value instanceof InexactNumber ? Number(value.text) : value;
  if (typeof number !== 'number') return undefined;
  // JSON has finite numbers only: one that is beyond the range of the type would become infinite.
  if (value instanceof InexactNumber && !Number.isFinite(number)) return undefined;
  return Number.isFinite(number) && !Number.isFinite(ROUNDED[datatype](number)) ? undefined : number;
}

/** Below this, `String` writes all digits of an integer. It is more than 64 bits hold. */
const INTEGER_TEXT_MAX = 1e21;

function integerOf(
  datatype: Datatype,
  value: unknown,
  isExact: (integer: number) => boolean,
): number | bigint | undefined {
  const [min, max] = integerRange(datatype) ?? [1n, 0n];
  const isLong = max > Number.MAX_SAFE_INTEGER;
  const text = value instanceof InexactNumber ? value.text : value;
  const isWhole =
    (typeof text === 'number' && isExact(text) && Math.abs(text) < INTEGER_TEXT_MAX) ||
    (typeof text === 'string' && isLong && /^-?\d{1,20}$/.test(text));
  if (!isWhole) return undefined;
  // The digits that were sent: those of the double may differ beyond 2^53.
  const whole = BigInt(String(text));
  if (whole < min || whole > max) return undefined;
  return isLong ? whole : Number(whole);
}

/** 64-bit integers need bigints. */
function arrayOf(datatype: Datatype, elements: readonly (number | bigint | string)[]): TensorData {
  switch (datatype) {
    case 'BYTES':
      return elements.map(String);
    case 'INT64':
    case 'UINT64':
      return new ARRAYS[datatype](elements.map(BigInt));
    default:
      return new ARRAYS[datatype](elements.map(Number));
  }
}

/** A tensor's elements for JSON. */
export function toJson({ datatype, data }: Tensor): JsonElement[] {
  return Array.from(data, (element: number | bigint | string) => {
    if (typeof element === 'bigint') {
      const number = Number(element);
      return Number.isSafeInteger(number) ? number : String(element);
    }
    if (typeof element === 'string') return element;
    if (datatype === 'BOOL') return element !== 0;
    return Number.isFinite(element) ? element : String(element);
  });
}
