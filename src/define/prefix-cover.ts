/**
 * Ranges of a list as prefixes. A position is a text of hexadecimal digits. All positions of a list have the same
 * length and sort by their code units. A row that enters a position invalidates every prefix of it, and a page depends
 * on a few prefixes that together cover its range. So a row in the range always invalidates the page, and a row outside
 * seldom does, although the row's writer does not know the page.
 */

const DIGITS = '0123456789abcdef';

/**
 * The most prefixes that cover one range: up to 16 where its ends diverge, and the rest to cut the ends finer. Each hit
 * compares all tags of its entry, and more prefixes seldom save a refill (docs/coherence.md#lists).
 */
export const COVER_PREFIXES_MAX = 32;

/** Every prefix of a position, from the empty one to the position itself. */
export function prefixesOf(position: string): string[] {
  return Array.from({ length: position.length + 1 }, (_, length) => position.slice(0, length));
}

/**
 * A set of prefixes, none of them a prefix of another. Every position from `low` to `high` has one of them, and each of
 * them belongs to at least one position from `low` to `high`. The ends are cut as fine as `COVER_PREFIXES_MAX` allows:
 * the inner prefixes cover no position outside the range, and the two at the ends may.
 *
 * @param low first position of the range, inclusive.
 * @param high last position of the range, inclusive, of the same length.
 * @throws RangeError if `high` is less than `low`, or their lengths differ.
 */
export function coverOf(low: string, high: string): string[] {
  if (low.length !== high.length || low > high)
    throw new RangeError(`There is no range from "${low}" to "${high}".`);
  let shared = 0;
  while (shared < low.length && low[shared] === high[shared]) shared += 1;
  const common = low.slice(0, shared);
  const ends: End[] = [
    { position: low, length: shared + 1, side: 'low' },
    { position: high, length: shared + 1, side: 'high' },
  ];
  if (shared === low.length || ends.every((end) => isWhole({ ...end, length: shared }))) return [common];
  const inside = children(common, digitAt(low, shared) + 1, digitAt(high, shared) - 1);
  for (;;) {
    const next = ends
      .filter((end) => !isWhole(end))
      .map((end) => ({ end, siblings: siblingsInside(end) }))
      .filter(({ siblings }) => inside.length + siblings.length + ends.length <= COVER_PREFIXES_MAX)
      // The coarser end first, because it covers the most positions outside the range.
      .sort((a, b) => a.end.length - b.end.length || a.siblings.length - b.siblings.length)[0];
    if (next === undefined) break;
    inside.push(...next.siblings);
    next.end.length += 1;
  }
  return [...inside, ...ends.map(({ position, length }) => position.slice(0, length))].sort();
}

/** The prefix at one end of the range: the first `length` digits of the end's position. */
interface End {
  readonly position: string;
  readonly side: 'low' | 'high';
  length: number;
}

/** Whether the range includes every position under the prefix, so that a finer cut excludes nothing. */
function isWhole({ position, length, side }: End): boolean {
  const digit = side === 'low' ? '0' : 'f';
  for (let at = length; at < position.length; at += 1) {
    if (position[at] !== digit) return false;
  }
  return true;
}

/** The prefixes that one more digit at this end adds: the children of its prefix that lie entirely in the range. */
function siblingsInside({ position, length, side }: End): string[] {
  const prefix = position.slice(0, length);
  const digit = digitAt(position, length);
  return side === 'low' ? children(prefix, digit + 1, 15) : children(prefix, 0, digit - 1);
}

function children(prefix: string, first: number, last: number): string[] {
  return Array.from(DIGITS.slice(first, Math.max(first, last + 1)), (digit) => prefix + digit);
}

function digitAt(position: string, at: number): number {
  return DIGITS.indexOf(position[at] ?? '');
}
