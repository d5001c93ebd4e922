import * as z from 'zod';

/** The type of a change without an event: a client or another writer wrote a row. */
export const ROW_WRITTEN = 'row';

/** A change as the feed sends it. It is committed and invalidated. */
export const FeedChange = z.object({
  /** Its number in the outbox, by which readers recognise a duplicate. */
  change: z.int().nonnegative(),
  /** The CloudEvents `type` of its event, or `row`. */
  type: z.string(),
  /** When its event happened, RFC 3339; absent without an event. */
  time: z.string().exactOptional(),
  /** The entities that it concerns: `station:101`, `rider:7d0c`. */
  entities: z.array(z.string()),
  /** Published again by a replay; absent for a new change. */
  replayed: z.literal(true).exactOptional(),
  /** A moment of the clock. Reads with it as `Millrace-Token` show the change. */
  token: z.string(),
});
export type FeedChange = z.output<typeof FeedChange>;

/** The entities that the tags of a change name: changed rows, and the owners of changed histories. */
export function entitiesOf(tags: readonly string[], entities: ReadonlySet<string>): string[] {
  const named = tags.flatMap((tag) => {
    const owned = tag.slice(tag.indexOf('@') + 1);
    const colon = owned.indexOf(':');
    return colon > 0 && entities.has(owned.slice(0, colon)) ? [owned] : [];
  });
  return [...new Set(named)];
}

/** The changes that a reader selects. An empty list selects all. */
export const FeedFilter = z.object({
  types: z.array(z.string().min(1).max(256)).max(20),
  /** `station` for all of them, `station:101` for one. */
  entities: z.array(z.string().min(1).max(256)).max(100),
});
export type FeedFilter = z.output<typeof FeedFilter>;

export function isWanted({ types, entities }: FeedFilter, change: FeedChange): boolean {
  if (types.length > 0 && !types.includes(change.type)) return false;
  return (
    entities.length === 0 || entities.some((wanted) => change.entities.some((one) => names(wanted, one)))
  );
}

function names(wanted: string, entity: string): boolean {
  return wanted.includes(':') ? entity === wanted : entity.startsWith(`${wanted}:`);
}
