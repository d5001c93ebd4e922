import { rowTagsOf } from '../define/effect.ts';
import type { EventDefinition } from '../define/event.ts';
import type { Tag } from '../define/tag.ts';

/**
 * The tags of the rows of entities that a stored event writes, as the catalog interprets it now. None for a type that
 * the catalog no longer has, or an event that it would refuse today.
 *
 * @param event `occurredAt` is RFC 3339. `now` is in milliseconds since the Unix epoch.
 */
export function writtenRows(
  types: ReadonlyMap<string, EventDefinition>,
  event: { readonly type: string; readonly data: unknown; readonly occurredAt: string },
  now: number,
): Tag[] {
  const context = { occurredAt: Date.parse(event.occurredAt), now };
  const verdict = types.get(event.type)?.interpret(event.data, context);
  return verdict?.ok === true ? rowTagsOf(verdict.effects) : [];
}
