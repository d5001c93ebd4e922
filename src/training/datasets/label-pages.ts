import type { DatasetDefinition } from '../../define/dataset.ts';
import type { HistoryPort } from '../../features/join-history.ts';
import { PAGE_EVENTS_MAX } from '../../features/replay.ts';
import type { RecordedCursor, RecordedRange } from '../../storage/postgres/history.ts';
import type { DatasetSpec } from './spec.ts';
import { type Touch, touchesOf } from './touches.ts';

/** The label events that exist for a dataset. */
export function labelRange({ label }: DatasetDefinition, { asOf, from, to }: DatasetSpec): RecordedRange {
  return {
    order: 'happened',
    types: [label.eventType],
    ...(from === null ? {} : { from }),
    to: to === null ? asOf : Math.min(asOf, to - 1),
    known: asOf,
  };
}

/** A page of label events: how many there were, and what they say. */
export interface LabelPage {
  readonly events: number;
  readonly touches: readonly Touch[];
}

/** The label events of a dataset, page by page, in the order in which they happened. */
export async function* labelPages(
  recipe: DatasetDefinition,
  spec: DatasetSpec,
  history: HistoryPort,
): AsyncGenerator<LabelPage, void> {
  const asked = labelRange(recipe, spec);
  for (let after: RecordedCursor | null = null; ; ) {
    const { events, next } = await history.read(asked, { after, limit: PAGE_EVENTS_MAX });
    if (next === null) return;
    yield { touches: events.flatMap((event) => touchesOf(recipe, spec, event)), events: events.length };
    after = next;
  }
}
