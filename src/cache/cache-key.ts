import { Failure } from '../platform/failure.ts';

/** The most characters of a key. Tiers with a lower limit deal with it by themselves: `KvTier` passes, `ColoTier` hashes. */
export const CACHE_KEY_CHARACTERS_MAX = 4_096;
/** The most dimensions an answer may vary on: each multiplies the entries of a view. */
export const VARY_DIMENSIONS_MAX = 8;
/** Deeper input comes from no view's schema; the bound also ends a cycle. */
const DEPTH_MAX = 16;

/**
 * The key of a view's answer: equal for equal inputs whatever the order of their properties, and different for
 * different ones. It is JSON in the canonical order of RFC 8785 (code units), with `@<ms>` for a date and `<n>n`
 * for a bigint, which no JSON text contains outside its strings. An absent property and an `undefined` one are
 * equal, and so are 0 and -0.
 *
 * @param input what the view's schemas made of the request: plain values, arrays, plain objects, dates.
 * @param vary the dimensions that the answer depends on beside its input, from `varyOn`.
 * @throws Failure `invalid_request` for a key of more than `CACHE_KEY_CHARACTERS_MAX` characters: input so long
 *   is the caller's doing, and hashing it here would need Web Crypto, which is asynchronous.
 * @throws TypeError for a value that has no canonical form: a view's schema is wrong then.
 */
export function cacheKey(viewName: string, input: unknown, vary: Readonly<Record<string, string>>): string {
  const key = `view/${canonical([viewName, input, vary], 0)}`;
  if (key.length > CACHE_KEY_CHARACTERS_MAX)
    throw new Failure(
      'invalid_request',
      `The parameters take more than ${CACHE_KEY_CHARACTERS_MAX} characters.`,
    );
  return key;
}

/**
 * The declared dimensions out of everything that a request offers. What is not declared cannot split the cache,
 * and a declared one that the request lacks is left out, which differs from an empty one.
 *
 * Offer normalised values, such as one of five languages: raw headers have a value for every browser.
 *
 * @throws RangeError for more than `VARY_DIMENSIONS_MAX` dimensions.
 */
export function varyOn(
  declared: readonly string[],
  offered: Readonly<Record<string, string | undefined>>,
): Record<string, string> {
  if (declared.length > VARY_DIMENSIONS_MAX)
    throw new RangeError(`${declared.length} dimensions are declared; ${VARY_DIMENSIONS_MAX} are the most.`);
  // `fromEntries` defines properties, so a dimension may have any name.
  return Object.fromEntries(
    declared.flatMap((dimension) => {
      const value = Object.hasOwn(offered, dimension) ? offered[dimension] : undefined;
      return value === undefined ? [] : [[dimension, value]];
    }),
  );
}

function canonical(value: unknown, depth: number): string {
  if (depth > DEPTH_MAX) throw new TypeError(`A cache key's input is more than ${DEPTH_MAX} levels deep.`);
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return JSON.stringify(value);
    case 'number':
      if (!Number.isFinite(value)) throw new TypeError(`${value} has no place in a cache key.`);
      return JSON.stringify(value);
    case 'bigint':
      return `${value}n`;
    case 'object':
      return value === null ? 'null' : canonicalObject(value, depth);
    default:
      throw new TypeError(`A value of type ${typeof value} has no place in a cache key.`);
  }
}

function canonicalObject(value: object, depth: number): string {
  // `Array.from` turns holes into `undefined`, which is refused like any other.
  if (Array.isArray(value)) return `[${Array.from(value, (item) => canonical(item, depth + 1)).join(',')}]`;
  if (value instanceof Date) {
    if (Number.isNaN(value.getTime())) throw new TypeError('An invalid date has no place in a cache key.');
    return `@${value.getTime()}`;
  }
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null)
    throw new TypeError('Only plain objects, arrays and dates have a place in a cache key.');
  const members = Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, member]) => `${JSON.stringify(name)}:${canonical(member, depth + 1)}`);
  return `{${members.join(',')}}`;
}
