import { Failure } from '../platform/failure.ts';

/** The most characters of a key. Tiers have lower limits of their own: `KvTier` skips long keys, `ColoTier` hashes all keys. */
export const CACHE_KEY_CHARACTERS_MAX = 4_096;
/** The most dimensions that an answer may vary on. Each dimension multiplies the entries of a view. */
export const VARY_DIMENSIONS_MAX = 8;
/** Deepest nesting of a key's input. No view's schema nests deeper; the limit also stops a cyclic value. */
const DEPTH_MAX = 16;

/**
 * The cache key of a view's answer. Equal inputs give equal keys whatever the order of their properties; different
 * inputs give different keys. The key is JSON in the canonical order of RFC 8785 (code units), with `@<ms>` for a
 * date and `<n>n` for a bigint, forms that JSON has only inside strings. An absent property equals an `undefined`
 * one, and 0 equals -0.
 *
 * @param input the parsed request as the view's schemas return it: plain values, arrays, plain objects, dates.
 * @param vary the dimensions that the answer depends on beside its input, from `varyOn`.
 * @param form what every key begins with.
 * @throws Failure `invalid_request` for a key of more than `CACHE_KEY_CHARACTERS_MAX` characters. The caller sent
 *   input that long; shortening it with a digest would need Web Crypto, which is asynchronous.
 * @throws TypeError for a value without a canonical form, which is a bug in the view's schema.
 */
export function cacheKey(
  viewName: string,
  input: unknown,
  vary: Readonly<Record<string, string>>,
  form = 'view/',
): string {
  // Joined, because a template gives a tree of its parts, which takes twice the memory for as long as the key is used.
  const key = [form, canonical([viewName, input, vary], 0)].join('');
  if (key.length > CACHE_KEY_CHARACTERS_MAX)
    throw new Failure(
      'invalid_request',
      `The parameters make a cache key of more than ${CACHE_KEY_CHARACTERS_MAX} characters. Shorten them.`,
    );
  return key;
}

/**
 * Picks the declared dimensions from the values that a request offers. An undeclared dimension cannot split the
 * cache. A declared dimension that the request lacks is left out, which differs from an empty value.
 *
 * Offer normalised values, such as one of five languages: raw headers have a different value for each browser.
 *
 * @throws RangeError for more than `VARY_DIMENSIONS_MAX` dimensions.
 */
export function varyOn(
  declared: readonly string[],
  offered: Readonly<Record<string, string | undefined>>,
): Record<string, string> {
  if (declared.length > VARY_DIMENSIONS_MAX)
    throw new RangeError(
      `The view varies on ${declared.length} dimensions; at most ${VARY_DIMENSIONS_MAX} are allowed.`,
    );
  // `Object.fromEntries` defines own properties, so a dimension may be named `__proto__`.
  return Object.fromEntries(
    declared.flatMap((dimension) => {
      const value = Object.hasOwn(offered, dimension) ? offered[dimension] : undefined;
      return value === undefined ? [] : [[dimension, value]];
    }),
  );
}

function canonical(value: unknown, depth: number): string {
  if (depth > DEPTH_MAX)
    throw new TypeError(`A cache key's input is nested more than ${DEPTH_MAX} levels deep.`);
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return JSON.stringify(value);
    case 'number':
      if (!Number.isFinite(value)) throw new TypeError(`A cache key cannot contain the number ${value}.`);
      return JSON.stringify(value);
    case 'bigint':
      return `${value}n`;
    case 'object':
      return value === null ? 'null' : canonicalObject(value, depth);
    default:
      throw new TypeError(`A cache key cannot contain a value of type ${typeof value}.`);
  }
}

function canonicalObject(value: object, depth: number): string {
  // `Array.from` turns holes into `undefined`, which `canonical` rejects.
  if (Array.isArray(value)) return `[${Array.from(value, (item) => canonical(item, depth + 1)).join(',')}]`;
  if (value instanceof Date) {
    if (Number.isNaN(value.getTime())) throw new TypeError('A cache key cannot contain an invalid date.');
    return `@${value.getTime()}`;
  }
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null)
    throw new TypeError('A cache key can contain only plain objects, arrays, dates and plain values.');
  const members = Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, member]) => `${JSON.stringify(name)}:${canonical(member, depth + 1)}`);
  return `{${members.join(',')}}`;
}
