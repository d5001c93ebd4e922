import { decayedSum, decayedText, parseDecayed } from './decay.ts';
import { unionOf } from './distinct.ts';
import { added, type Exact, parseExact, textOf, ZERO } from './exact.ts';
import { frequentSum, frequentText, parseFrequent } from './frequent.ts';

/**
 * The state of an aggregate in one cell, as text: a letter for its algebra, then the state. Equal states have equal
 * texts. The empty text is the state of no value. Each algebra's `merge` is commutative and associative, so a state is
 * the same whatever the order of the events; that an event counts once is up to the numbers of folded events.
 */
export type AlgebraName = 'moments' | 'min' | 'max' | 'first' | 'last' | 'distinct' | 'decayed' | 'frequent';

/** The number of values, their sum, and the sum of their squares where a variance is declared. */
export interface Moments {
  readonly count: number;
  readonly sum: Exact;
  readonly squares: Exact;
}

/** One value and its event: of two events of the same moment, the one that was stored later is the last. */
export interface TimedValue {
  readonly at: number;
  readonly seq: number;
  /** Null where the last one is that there is no value. */
  readonly value: string | number | boolean | null;
}

const LETTERS: Readonly<Record<AlgebraName, string>> = {
  moments: 's',
  min: '<',
  max: '>',
  first: 'f',
  last: 'l',
  distinct: 'd',
  decayed: 'h',
  frequent: 'q',
};

const MERGES: Readonly<Record<string, (a: string, b: string) => string>> = {
  [LETTERS.moments]: (a, b) => momentsText(momentsSum(parseMoments(a), parseMoments(b))),
  [LETTERS.min]: (a, b) => (Number(a) <= Number(b) ? a : b),
  [LETTERS.max]: (a, b) => (Number(a) >= Number(b) ? a : b),
  [LETTERS.first]: (a, b) => (isBefore(parseTimed(a), parseTimed(b)) ? a : b),
  [LETTERS.last]: (a, b) => (isBefore(parseTimed(a), parseTimed(b)) ? b : a),
  [LETTERS.distinct]: unionOf,
  [LETTERS.frequent]: (a, b) => frequentText(frequentSum(parseFrequent(a), parseFrequent(b))),
  [LETTERS.decayed]: (a, b) => decayedText(decayedSum(parseDecayed(a), parseDecayed(b))),
};

export const NO_STATE = '';
/**
 * The most bytes of a state. The longest is that of frequent values: 32 texts of 64 characters, and 192 counters. That
 * of a variance has 2 KB: two exact numbers, of at most 2,200 and 4,300 bits, as hexadecimal digits.
 */
export const STATE_BYTES_MAX = 12_288;

export function stateText(algebra: AlgebraName, content: string): string {
  return LETTERS[algebra] + content;
}

/** The content of a state; undefined of a state without a value. */
export function contentOf(state: string): string | undefined {
  return state === NO_STATE ? undefined : state.slice(1);
}

/** @throws Error for states of different algebras, which no two cells of one feature have. */
export function mergedState(a: string, b: string): string {
  if (a === NO_STATE) return b;
  if (b === NO_STATE) return a;
  const letter = a.charAt(0);
  const merge = MERGES[letter];
  if (merge === undefined || !b.startsWith(letter))
    throw new Error(`The states "${a.slice(0, 8)}" and "${b.slice(0, 8)}" are not of one algebra.`);
  return letter + merge(a.slice(1), b.slice(1));
}

export function momentsText({ count, sum, squares }: Moments): string {
  return [count, textOf(sum), textOf(squares)].join(' ');
}

export function parseMoments(text: string): Moments {
  const [count, sum, squares] = text.split(' ');
  return {
    count: Number(count),
    sum: sum === undefined ? ZERO : parseExact(sum),
    squares: squares === undefined ? ZERO : parseExact(squares),
  };
}

export function timedText({ at, seq, value }: TimedValue): string {
  return JSON.stringify([at, seq, value]);
}

export function parseTimed(text: string): TimedValue {
  const [at, seq, value] = JSON.parse(text) as [number, number, TimedValue['value']];
  return { at, seq, value };
}

function momentsSum(a: Moments, b: Moments): Moments {
  return {
    count: a.count + b.count,
    sum: added(a.sum, b.sum),
    squares: added(a.squares, b.squares),
  };
}

function isBefore(a: TimedValue, b: TimedValue): boolean {
  return a.at < b.at || (a.at === b.at && a.seq < b.seq);
}
