import type { Aggregate, EventValue, Numbers } from './feature-definition.ts';

/** The most characters of a text that an aggregate keeps: it is a part of every row and answer. */
const TEXT_CHARACTERS_MAX = 256;
/** The most characters of a frequent value: a state has 32 of them. */
const FREQUENT_CHARACTERS_MAX = 64;
const NUMERIC: ReadonlySet<Aggregate> = new Set(['sum', 'mean', 'min', 'max', 'variance']);
const DECIMAL = /^-?\d{1,64}(\.\d{1,64})?$/;

/** What is wrong with the value that a feature takes from an event, as the end of a sentence; undefined if nothing is. */
export function mistakeOfValue(
  { aggregate, numbers }: { readonly aggregate: Aggregate; readonly numbers: Numbers },
  value: EventValue,
): string | undefined {
  if (value === null) return undefined;
  const longest = aggregate === 'most_frequent' ? FREQUENT_CHARACTERS_MAX : TEXT_CHARACTERS_MAX;
  if (typeof value === 'string' && value.length > longest)
    return `a text of ${value.length} characters; at most ${longest} are allowed`;
  if (typeof value === 'number' && !Number.isFinite(value)) return `${value}, which is no finite number`;
  if (!NUMERIC.has(aggregate)) return undefined;
  const shown = JSON.stringify(value);
  if (typeof numbers === 'object')
    return typeof value === 'number' || DECIMAL.test(String(value))
      ? undefined
      : `${shown}, which is no decimal number`;
  if (typeof value !== 'number') return `${shown}, which is no number`;
  return numbers === 'integer' && !Number.isSafeInteger(value)
    ? `${shown}, which is no safe integer`
    : undefined;
}
