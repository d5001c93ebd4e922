import type { Contribution, FeatureShape } from '../define/feature.ts';
import { mistakeOfValue } from '../define/feature-measured.ts';
import type { FeatureValue } from '../define/feature-value.ts';
import { decayedAt, decayedOf, decayedText, parseDecayed } from './algebra/decay.ts';
import { setOf, sizeOf } from './algebra/distinct.ts';
import {
  type Exact,
  ExactSum,
  exact,
  exactOf,
  multipleLessSquare,
  nearest,
  scaledOf,
  squared,
  ZERO,
} from './algebra/exact.ts';
import { frequentOf, frequentText, mostFrequent, parseFrequent } from './algebra/frequent.ts';
import {
  type AlgebraName,
  contentOf,
  type Moments,
  mergedState,
  momentsText,
  NO_STATE,
  parseMoments,
  parseTimed,
  stateText,
  timedText,
} from './algebra/state.ts';

/**
 * What an event adds to the state of a feature's cell; the empty text for an aggregate without one.
 *
 * @throws RangeError for a value that the feature does not take. The event is then neither folded nor lost.
 */
export function stateOf(
  definition: FeatureShape,
  { value }: Contribution,
  { seq, occurredAt }: { readonly seq: number; readonly occurredAt: number },
): string {
  const algebra = algebraOf(definition);
  if (algebra === undefined) return NO_STATE;
  if (algebra === 'decayed')
    return stateText(algebra, decayedText(decayedOf(occurredAt, definition.halfLifeMs)));
  // Each writer has locked the row, so the numbers of its changes have their order; two clocks might not.
  if (definition.aggregate === 'column') return stateText('last', timedText({ at: 0, seq, value }));
  if (value === null) return NO_STATE;
  const mistake = mistakeOfValue(definition, value);
  if (mistake !== undefined)
    throw new RangeError(
      `The feature "${definition.name}" takes from an event ${mistake}. Correct its \`value\` or its \`numbers\`.`,
    );
  switch (algebra) {
    case 'moments':
      return stateText(algebra, momentsText(momentsOf(definition, value)));
    case 'min':
    case 'max':
      return stateText(algebra, String(roundedNumber(definition, numberOf(definition, value))));
    case 'first':
    case 'last':
      return stateText(algebra, timedText({ at: occurredAt, seq, value }));
    case 'distinct':
      return stateText(algebra, setOf(JSON.stringify(value)));
    case 'frequent':
      return stateText(algebra, frequentText(frequentOf(String(value), seq)));
  }
}

/**
 * The states of a window's cells as one, of which the value is read as often as windows end. A sum is kept as a number
 * between two additions, because most of the time of a merge is that of its text.
 */
export class MergedStates {
  readonly #definition: FeatureShape;
  #state = NO_STATE;
  #count = 0;
  readonly #sum = new ExactSum();
  readonly #squares = new ExactSum();
  readonly #isSum: boolean;

  constructor(definition: FeatureShape) {
    this.#definition = definition;
    this.#isSum = algebraOf(definition) === 'moments';
  }

  add(state: string): void {
    if (!this.#isSum) {
      this.#state = mergedState(this.#state, state);
      return;
    }
    const content = contentOf(state);
    if (content === undefined) return;
    const { count, sum, squares } = parseMoments(content);
    this.#count += count;
    this.#sum.add(sum);
    this.#squares.add(squares);
  }

  /** The value of what has been added; null if it has none. */
  valueAt(now: number): FeatureValue['value'] {
    if (!this.#isSum || this.#count === 0) return valueOfState(this.#definition, this.#state, now);
    const moments = { count: this.#count, sum: this.#sum.total, squares: this.#squares.total };
    return valueOfMoments(this.#definition, moments);
  }
}

/** The value of an aggregate from the merged state of a window; null if it has none. */
function valueOfState(definition: FeatureShape, state: string, now: number): FeatureValue['value'] {
  const content = contentOf(state);
  if (content === undefined)
    return isCountLike(definition) ? 0 : definition.aggregate === 'most_frequent' ? [] : null;
  switch (algebraOf(definition)) {
    case 'moments':
      return valueOfMoments(definition, parseMoments(content));
    case 'min':
    case 'max':
      return finite(Number(content));
    case 'first':
    case 'last':
      return parseTimed(content).value;
    case 'distinct':
      return sizeOf(content);
    case 'frequent':
      return mostFrequent(parseFrequent(content), definition.limit);
    case 'decayed':
      return decayedAt(parseDecayed(content), now, definition.halfLifeMs);
    case undefined:
      return null;
  }
}

/** The algebra of a feature's state; undefined for an aggregate that needs only the number and the last time of events. */
function algebraOf({ aggregate, windows }: FeatureShape): AlgebraName | undefined {
  switch (aggregate) {
    case 'sum':
      return windows.length > 0 ? 'moments' : undefined;
    case 'mean':
    case 'variance':
      return 'moments';
    case 'min':
    case 'max':
    case 'distinct':
    case 'decayed':
      return aggregate;
    case 'most_frequent':
      return 'frequent';
    case 'first_value':
      return 'first';
    case 'last_value':
    case 'column':
      return 'last';
    case 'count':
    case 'last':
    case 'since_last':
    case 'items':
      return undefined;
  }
}

/** Whether a window without values has the value 0. */
function isCountLike({ aggregate }: FeatureShape): boolean {
  return ['sum', 'distinct', 'decayed'].includes(aggregate);
}

function momentsOf(definition: FeatureShape, value: NonNullable<Contribution['value']>): Moments {
  const sum = numberOf(definition, value);
  return { count: 1, sum, squares: definition.aggregate === 'variance' ? squared(sum) : ZERO };
}

function valueOfMoments(definition: FeatureShape, { count, sum, squares }: Moments): number | null {
  const unit = unitOf(definition);
  const values = BigInt(count);
  switch (definition.aggregate) {
    case 'mean':
      return finite(nearest(sum, values * unit));
    case 'variance':
      return finite(nearest(multipleLessSquare(values, squares, sum), values * values * unit * unit));
    default:
      return finite(nearest(sum, unit));
  }
}

/** A number in units of its last place. */
function numberOf({ numbers }: FeatureShape, value: NonNullable<Contribution['value']>): Exact {
  return typeof numbers === 'object'
    ? exact(scaledOf(String(value), numbers.decimals), 0)
    : exactOf(Number(value));
}

function roundedNumber(definition: FeatureShape, number: Exact): number {
  return nearest(number, unitOf(definition));
}

function unitOf({ numbers }: FeatureShape): bigint {
  return typeof numbers === 'object' ? 10n ** BigInt(numbers.decimals) : 1n;
}

/** A result beyond the range of doubles is no JSON number. */
function finite(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}
