/**
 * JSON from outside. Parsing never changes a value silently: it reports a value that the program cannot hold exactly.
 * What can be stored follows I-JSON (RFC 7493 §2.1, §2.2), without NUL, which Postgres cannot store.
 */

/** The deepest JSON that is accepted. No valid request nests deeper, and each level costs stack wherever it is walked. */
export const JSON_DEPTH_MAX = 64;

/** A number up to this length, without an exponent, is always exact: a double holds any 15 decimal digits. */
const EXACT_CHARACTERS_MAX = 15;

/** A number of a JSON text that a 64-bit floating point number cannot represent. Written as JSON, it is its text. */
export class InexactNumber {
  /** As the text has it, for example `9007199254740993` or `1e-400`. */
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }

  toJSON(): string {
    return this.text;
  }
}

/**
 * Parses a JSON text. A number that would change is an {@link InexactNumber}, so that no caller stores another number
 * than the client has sent.
 *
 * @throws SyntaxError for a text that is not JSON, or is nested deeper than {@link JSON_DEPTH_MAX}.
 */
export function parseJson(text: string): unknown {
  const { isTooDeep, hasInexact } = scan(text);
  if (isTooDeep) throw new SyntaxError(`The JSON is nested deeper than ${JSON_DEPTH_MAX}.`);
  if (!hasInexact) return JSON.parse(text);
  return JSON.parse(text, (_: string, value: unknown, { source }: { source?: string } = {}) =>
    typeof value === 'number' && source !== undefined && !isExact(source) ? new InexactNumber(source) : value,
  );
}

/** What a JSON text has that the parser does not report. For text that is not JSON the result is meaningless. */
function scan(text: string): { isTooDeep: boolean; hasInexact: boolean } {
  let depth = 0;
  let hasInexact = false;
  const numbers = /[-+.\deE]+/y;
  for (let position = 0; position < text.length; position += 1) {
    const unit = text.charCodeAt(position);
    if (unit === QUOTE) position = endOfString(text, position);
    else if (unit === OPEN_BRACE || unit === OPEN_BRACKET) {
      depth += 1;
      if (depth > JSON_DEPTH_MAX) return { isTooDeep: true, hasInexact };
    } else if (unit === CLOSE_BRACE || unit === CLOSE_BRACKET) depth -= 1;
    else if (unit === MINUS || (unit >= ZERO && unit <= NINE)) {
      numbers.lastIndex = position;
      const [number = ''] = numbers.exec(text) ?? [];
      position += Math.max(0, number.length - 1);
      hasInexact ||= !isExact(number);
    }
  }
  return { isTooDeep: false, hasInexact };
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const MINUS = 0x2d;
const ZERO = 0x30;
const NINE = 0x39;

/** The position of the quote that ends a string, or the end of the text. */
function endOfString(text: string, start: number): number {
  for (let position = start + 1; position < text.length; position += 1) {
    const unit = text.charCodeAt(position);
    if (unit === BACKSLASH) position += 1;
    else if (unit === QUOTE) return position;
  }
  return text.length;
}

/** Whether the shortest text of the nearest double has the same value, so that the number is echoed as it was sent. */
function isExact(number: string): boolean {
  if (number.length <= EXACT_CHARACTERS_MAX && !/e/i.test(number)) return true;
  const double = Number(number);
  return Number.isFinite(double) && decimalOf(number) === decimalOf(String(double));
}

/** The absolute value in one form for each value: digits without zeros at either end, and a power of ten. */
function decimalOf(number: string): string {
  const [, whole = '', fraction = '', exponent = '0'] =
    /^-?(\d*)(?:\.(\d*))?(?:e([-+]?\d+))?$/i.exec(number) ?? [];
  const digits = `${whole}${fraction}`.replace(/^0+/, '');
  const significant = digits.replace(/0+$/, '');
  if (significant === '') return '0';
  return `${significant}e${Number(exponent) - fraction.length + digits.length - significant.length}`;
}

/**
 * The JSON Pointer (RFC 6901) to the first text, member name or number that Postgres' jsonb cannot store as it was
 * sent: NUL, an unpaired surrogate, a number that is not exact or not finite. Undefined if there is none.
 */
export function unstorableAt(value: unknown, pointer = ''): string | undefined {
  const found = unstorableIn(value);
  return found === undefined ? undefined : pointer + found;
}

/** The pointer within the value. It is written on the way back from a find only: nearly all values have none. */
function unstorableIn(value: unknown): string | undefined {
  if (typeof value === 'string') return isStorableText(value) ? undefined : '';
  if (typeof value === 'number') return Number.isFinite(value) ? undefined : '';
  if (typeof value !== 'object' || value === null) return undefined;
  if (value instanceof InexactNumber) return '';
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index += 1) {
      const found = unstorableIn(value[index]);
      if (found !== undefined) return `/${index}${found}`;
    }
    return undefined;
  }
  for (const name of Object.keys(value)) {
    if (!isStorableText(name)) return '';
    const found = unstorableIn(Reflect.get(value, name));
    if (found !== undefined) return `/${name.replaceAll('~', '~0').replaceAll('/', '~1')}${found}`;
  }
  return undefined;
}

/** The reason in messages about a value that {@link unstorableAt} has found. */
export const UNSTORABLE =
  'A text contains NUL or an unpaired surrogate, or a number is not exact as a 64-bit floating point number, so it cannot be stored as it was sent. Correct it; a number can be sent as a text if its schema allows that.';

/** Replaces what cannot be stored: characters by U+FFFD, numbers by their texts. */
export function withoutUnstorable(raw: unknown): unknown {
  const clean = (text: string) => text.toWellFormed().replaceAll('\u0000', '\uFFFD');
  return JSON.parse(
    JSON.stringify(raw ?? null, (_, value: unknown) => {
      if (typeof value === 'string') return clean(value);
      if (typeof value === 'number') return Number.isFinite(value) ? value : String(value);
      if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
      return Object.fromEntries(Object.entries(value).map(([key, inner]) => [clean(key), inner]));
    }),
  );
}

/** Whether Postgres can store the text. */
export function isStorableText(text: string): boolean {
  return !text.includes('\u0000') && text.isWellFormed();
}
