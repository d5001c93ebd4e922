import * as z from 'zod';

/** The type of a change that no event stands behind: a row was written, by a client or by another writer. */
export const ROW_WRITTEN = 'row';

/** A change as the feed tells it. By then it is committed and invalidated. */
export const FeedChange = z.object({
  /** Its number in the outbox: the same for the same change, however often it is told. */
  change: z.int().nonnegative(),
  /** The CloudEvents `type` of the event behind it, or `row`. */
  type: z.string(),
  /** When it happened, RFC 3339; absent where no event stands behind it. */
  time: z.string().exactOptional(),
  /** What it concerns: `station:101`, `rider:7d0c`. */
  entities: z.array(z.string()),
  /** Told once more out of history; absent where it is new. */
  replayed: z.literal(true).exactOptional(),
  /** A moment of the clock: reads with it as `Millrace-Token` show the change. */
  token: z.string(),
});
export type FeedChange = z.output<typeof FeedChange>;

/** The entities that the tags of a change name: their rows, and those that a history belongs to. */
export function entitiesOf(tags: readonly string[], entities: ReadonlySet<string>): string[] {
  const named = tags.flatMap((tag) => {
    const owned = tag.slice(tag.indexOf('@') + 1);
    const colon = owned.indexOf(':');
    return colon > 0 && entities.has(owned.slice(0, colon)) ? [owned] : [];
  });
  return [...new Set(named)];
}

/** Which changes a reader wants; without any of a kind, all. */
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
