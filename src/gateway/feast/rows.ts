import type { EntityDefinition } from '../../define/entity.ts';
import { READ_KEYS_MAX } from '../../features/shards.ts';
import { Failure, jsonPointer } from '../../platform/failure.ts';
import { canonicalKey, EntityKey } from '../entity-key.ts';

/** The columns of a request of Feast's client: each has a value for each row. */
export type Columns = Readonly<Record<string, readonly unknown[]>>;

/** The keys of one entity in a request, one for each row. */
export interface EntityRows {
  readonly entity: EntityDefinition;
  /** The names of the columns that hold the key, in the order of its parts. */
  readonly columns: readonly string[];
  /** Canonical texts. */
  readonly keys: readonly string[];
}

/**
 * The number of rows of a request.
 *
 * @throws Failure `invalid_request` for columns of different lengths, for no rows and for too many.
 */
export function rowCount(columns: Columns): number {
  const [[first, values] = ['', []], ...others] = Object.entries(columns);
  const other = others.find(([, { length }]) => length !== values.length);
  if (other !== undefined)
    throw new Failure(
      'invalid_request',
      `The columns "${first}" and "${other[0]}" have ${values.length} and ${other[1].length} values. All columns have one for each row.`,
      { pointer: jsonPointer(['entities', other[0]]) },
    );
  if (values.length === 0 || values.length > READ_KEYS_MAX)
    throw new Failure('invalid_request', `Send 1 to ${READ_KEYS_MAX} rows, not ${values.length}.`, {
      pointer: '/entities',
    });
  return values.length;
}

/**
 * The keys of an entity. A part of the key is in the column `<entity>_<part>`, or in `<part>`, or, if it is the only part,
 * in `<entity>`: the first that the request has.
 *
 * @throws Failure `invalid_request` for a missing column, `unprocessable` for a value that is no key.
 */
export function rowsOf(entity: EntityDefinition, columns: Columns, rows: number): EntityRows {
  const parts = entity.key.columns.map(({ property }) => property);
  const [only, ...more] = parts;
  const names = parts.map((part) => {
    const usual = `${entity.name}_${part}`;
    const names = [usual, part, ...(more.length === 0 ? [entity.name] : [])];
    const found = names.find((name) => Object.hasOwn(columns, name));
    if (found === undefined)
      throw new Failure('invalid_request', `Send the key of "${entity.name}" in the column "${usual}".`, {
        pointer: '/entities',
      });
    return found;
  });
  const keys = Array.from({ length: rows }, (_, row) => {
    const values = names.map((name) => columns[name]?.[row]);
    const sent =
      more.length === 0 ? values[0] : Object.fromEntries(parts.map((part, at) => [part, values[at]]));
    const pointer = jsonPointer(['entities', names[0] ?? only ?? '', row]);
    const key = EntityKey.safeParse(sent);
    if (key.success) return canonicalKey(entity, key.data, pointer);
    throw new Failure('unprocessable', `This is not a key of "${entity.name}".`, { pointer });
  });
  return { entity, columns: names, keys };
}
