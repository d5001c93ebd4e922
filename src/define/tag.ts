declare const TAG: unique symbol;

/**
 * A dependency of an answer, such as `station:101`. Entities, histories and lists derive tags from keys, so that an
 * answer and the change that invalidates it cannot spell one key differently.
 */
export type Tag = string & { readonly [TAG]: true };

/**
 * The longest tag, in UTF-16 units: an entity's name and a key, both bounded by their schemas, with room for a list's.
 */
const TAG_CHARACTERS_MAX = 1_024;

/**
 * A tag for a dependency that is not an entity, a history or a list, such as a setting. Only an explicit `invalidate`
 * of the same text invalidates it, for instance `POST /v1/admin/cache/purge`. No write and no trigger does.
 *
 * @throws RangeError for a text that Postgres cannot hold, or of no or more than 1,024 characters.
 */
export function tag(text: string): Tag {
  if (text === '' || text.length > TAG_CHARACTERS_MAX || text.includes('\u0000') || !text.isWellFormed())
    throw new RangeError(`A tag has 1 to ${TAG_CHARACTERS_MAX} characters that Postgres can hold.`);
  return text as Tag;
}
