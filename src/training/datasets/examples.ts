import type { DatasetDefinition, PeriodMeasure } from '../../define/dataset.ts';
import type { EventValue } from '../../define/feature-definition.ts';
import { daysMs } from '../../define/feature-window.ts';
import type { ItemPool } from './negatives.ts';
import { type Split, type SplitBounds, splitOf } from './spec.ts';
import { itemOf, type Touch } from './touches.ts';

/** A row without its features. */
export interface Example {
  readonly split: Split;
  /** The moment of the row: its features know of nothing from then on. Milliseconds since the Unix epoch. */
  readonly at: number;
  readonly key: string;
  /** Undefined unless rows are of items. */
  readonly item: string | undefined;
  readonly label: number | string;
  /** How many rows it stands for: a sampled row stands for those that were left out. */
  readonly weight: number;
}

/** What decides the rows beside the touches. */
export interface ExamplePlan {
  readonly recipe: DatasetDefinition;
  readonly bounds: SplitBounds;
  /** As `momentsOf` has them; not used for rows of events. */
  readonly moments: readonly number[];
  readonly seed: number;
  readonly pool: ItemPool;
}

/**
 * The rows of one key.
 *
 * @param touches all of the key, in any order.
 */
export function examplesOf(key: string, touches: readonly Touch[], plan: ExamplePlan): Example[] {
  switch (plan.recipe.rows) {
    case 'events':
      return touches.flatMap((touch) => exampleOfEvent(touch, plan.bounds));
    case 'periods':
      return overMoments(touches, plan, (at, split, within) => {
        const isKnown = touches.some(({ knownAt }) => knownAt < at);
        const label = measured(plan.recipe.measure, within);
        return isKnown ? [{ split, at, key, item: undefined, label, weight: 1 }] : [];
      });
    case 'items':
      return overMoments(touches, plan, (at, split, within) => itemsAt(key, at, split, within, plan));
  }
}

function exampleOfEvent({ key, at, value }: Touch, bounds: SplitBounds): Example[] {
  const label = labelOf(value);
  // The label is decided with the event itself.
  const split = splitOf(at, at + 1, bounds);
  if (label === null || split === undefined) return [];
  return [{ split, at, key, item: undefined, label, weight: 1 }];
}

/** A label as a column has it; null for an event without one. */
function labelOf(value: EventValue): number | string | null {
  return typeof value === 'boolean' ? Number(value) : value;
}

function overMoments(
  touches: readonly Touch[],
  { recipe, bounds, moments }: ExamplePlan,
  rowsAt: (at: number, split: Split, within: readonly Touch[]) => Example[],
): Example[] {
  const horizonMs = daysMs(recipe.horizonDays);
  const ordered = touches.toSorted((a, b) => a.at - b.at);
  let begin = 0;
  return moments.flatMap((at) => {
    const split = splitOf(at, at + horizonMs, bounds);
    if (split === undefined) return [];
    while (begin < ordered.length && (ordered[begin]?.at ?? at) < at) begin += 1;
    const within: Touch[] = [];
    for (let next = begin; next < ordered.length; next += 1) {
      const touch = ordered[next];
      if (touch === undefined || touch.at >= at + horizonMs) break;
      within.push(touch);
    }
    return rowsAt(at, split, within);
  });
}

function measured(measure: PeriodMeasure | undefined, within: readonly Touch[]): number {
  switch (measure) {
    case 'sum':
      // In a fixed order, because sums of floats depend on it.
      return within
        .map(({ value }) => (typeof value === 'number' ? value : 0))
        .sort((a, b) => a - b)
        .reduce((sum, value) => sum + value, 0);
    case 'count':
      return within.length;
    default:
      return within.length > 0 ? 1 : 0;
  }
}

function itemsAt(
  key: string,
  at: number,
  split: Split,
  within: readonly Touch[],
  { recipe, seed, pool }: ExamplePlan,
): Example[] {
  const touched = new Set(within.map(itemOf).filter((item) => item !== undefined));
  if (touched.size === 0) return [];
  const { items, available } = pool.sample(recipe.negatives, { seed, key, at }, touched);
  return [
    ...[...touched].map((item) => ({ split, at, key, item, label: 1, weight: 1 })),
    ...items.map((item) => ({ split, at, key, item, label: 0, weight: available / items.length })),
  ];
}

/** The order of rows in a file: by moment, key and item. No two rows of events need to differ in them. */
export function inOrder(a: Example, b: Example): number {
  return (
    a.at - b.at ||
    compareText(a.key, b.key) ||
    compareText(a.item ?? '', b.item ?? '') ||
    compareText(String(a.label), String(b.label))
  );
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
