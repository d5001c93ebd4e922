import * as z from 'zod';
import type { DatasetDefinition } from '../../define/dataset.ts';
import type { HistoryPort } from '../../features/join-history.ts';
import type { RecordedEvent } from '../../features/point-in-time.ts';
import { assertWhole, PAGE_EVENTS_MAX } from '../../features/replay.ts';
import { Failure } from '../../platform/failure.ts';
import { labelRange } from './label-pages.ts';
import type { DatasetLimits } from './limits.ts';
import type { KnownItem } from './negatives.ts';
import { type KeyTally, PartPlanner, type PartRange, rowsMax, tooLarge } from './parts.ts';
import { type DatasetSpec, momentsOf, type SplitBounds, splitBounds } from './spec.ts';
import { hashOfKey, itemOf, touchesOf } from './touches.ts';

/** How far the label events are counted. */
export const Counted = z.object({
  cursor: z.object({ time: z.string(), seq: z.number() }).nullable(),
  /** Label events that say something of an entity. */
  events: z.int(),
  /** The moments of the first and the last of them, in milliseconds since the Unix epoch; null without one. */
  first: z.int().nullable(),
  last: z.int().nullable(),
});
export type Counted = Readonly<z.output<typeof Counted>>;

/** What a page of label events adds to the tallies. */
export interface CountedPage {
  readonly counted: Counted;
  readonly keys: readonly KeyTally[];
  readonly items: readonly KnownItem[];
  /** Whether it was the last one. */
  readonly isLast: boolean;
}

export const NOTHING_COUNTED: Counted = { cursor: null, events: 0, first: null, last: null };

/** Counts the next page of label events. @throws Failure `history_pruned`, `database_unavailable` */
export async function countPage(
  recipe: DatasetDefinition,
  spec: DatasetSpec,
  counted: Counted,
  history: HistoryPort,
): Promise<CountedPage> {
  const range = labelRange(recipe, spec);
  const page = await history.read(range, { after: counted.cursor, limit: PAGE_EVENTS_MAX });
  if (page.next === null) {
    // Checked after reading, so that every deletion before the read is recorded by now.
    const from = spec.from === null ? undefined : new Date(spec.from).toISOString();
    assertWhole({ from, types: range.types }, await history.pruned());
    return { counted, keys: [], items: [], isLast: true };
  }
  const { keys, items, events, first, last } = tallied(recipe, spec, page.events);
  return {
    counted: {
      cursor: page.next,
      events: counted.events + events,
      first: counted.first ?? first,
      last: last ?? counted.last,
    },
    ...{ keys, items, isLast: false },
  };
}

function tallied(recipe: DatasetDefinition, spec: DatasetSpec, page: readonly RecordedEvent[]) {
  const keys = new Map<string, number>();
  const items = new Map<string, number>();
  let [first, last]: (number | null)[] = [null, null];
  let events = 0;
  for (const event of page) {
    const touches = touchesOf(recipe, spec, event);
    if (touches.length === 0) continue;
    events += 1;
    first ??= event.occurredAt;
    last = event.occurredAt;
    for (const touch of touches) {
      keys.set(touch.key, (keys.get(touch.key) ?? 0) + 1);
      const item = recipe.rows === 'items' ? itemOf(touch) : undefined;
      if (item !== undefined) items.set(item, Math.min(items.get(item) ?? touch.knownAt, touch.knownAt));
    }
  }
  return {
    keys: [...keys].map(([key, touches]) => ({ key, hash: hashOfKey(key), touches })),
    items: [...items].map(([item, knownAt]) => ({ item, knownAt })),
    ...{ events, first: first ?? null, last: last ?? null },
  };
}

export interface DatasetPlan {
  readonly bounds: SplitBounds;
  readonly moments: readonly number[];
  readonly parts: readonly PartRange[];
}

/**
 * Divides the rows into splits and parts.
 *
 * @param keys in the order of their hashes.
 * @param columns how many columns a row has.
 * @throws Failure `dataset_too_large`; `dataset_empty` for a history that is too short for a row.
 */
export function planDataset(
  recipe: DatasetDefinition,
  spec: DatasetSpec,
  { counted, keys, columns }: { counted: Counted; keys: Iterable<KeyTally>; columns: number },
  limits: DatasetLimits,
): DatasetPlan {
  const { first, last } = counted;
  if (first === null || last === null)
    throw empty(
      `No label event (${recipe.label.eventType}) of that time was stored by ${new Date(spec.asOf).toISOString()}. A history that was imported in the last minute has its events only from a minute after that on: ask again then.`,
    );
  const bounds = splitBounds(recipe, { from: spec.from ?? first, to: spec.to ?? last + 1 });
  const moments = recipe.rows === 'events' ? [] : momentsOf(recipe, bounds);
  if (moments.length > limits.momentsMax) throw tooLarge(`It has ${moments.length} moments.`);
  if (recipe.rows === 'events' ? bounds.to <= bounds.from : moments.length === 0)
    throw empty('The history is shorter than the warm-up and the horizon.');
  const planner = new PartPlanner(limits, columns);
  let group: { hash: number; rows: number; touches: number } | undefined;
  for (const { hash, touches } of keys) {
    const rows = rowsMax(recipe, moments.length, touches);
    if (group?.hash === hash) {
      group.rows += rows;
      group.touches += touches;
      continue;
    }
    if (group !== undefined) planner.add(group.hash, group);
    group = { hash, rows, touches };
  }
  if (group !== undefined) planner.add(group.hash, group);
  return { bounds, moments, parts: planner.parts };
}

function empty(detail: string): Failure {
  return new Failure('dataset_empty', detail);
}
