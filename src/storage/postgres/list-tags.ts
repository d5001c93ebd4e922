import { type SQL, sql } from 'drizzle-orm';
import type { EntityDefinition } from '../../define/entity.ts';
import type { ListColumn, ListDefinition, SortColumn } from '../../define/list.ts';
import { keyText, sameKey } from './key-sql.ts';

/**
 * What a changed row invalidates, as SQL: what `EntityDefinition.row` and `ListDefinition` say in JavaScript, for
 * statements and triggers whose rows are known to the database alone. Each takes the name by which the statement
 * knows a row, such as `inserted`, `old` or `new`, and is an expression of type `text[]` without parameters, so
 * that it may stand in the definition of a function as well.
 */

/** What an inserted row invalidates: the answers that missed it, and its place in every list. */
export function insertTags(entity: EntityDefinition, row: string): SQL {
  return concatenated([ownTag(entity, row), ...listsOf(entity).map((list) => entering(list, row))]);
}

/** What a deleted row invalidates: the answers that show it, and those about whole lists. */
export function deleteTags(entity: EntityDefinition, row: string): SQL {
  return concatenated([ownTag(entity, row), ...listsOf(entity).map((list) => leaving(list, row))]);
}

/** What an update invalidates: the answers that show the row and, where its place in a list changed, the new one. */
export function updateTags(entity: EntityDefinition, old: string, now: string): SQL {
  const renamed = sql`not (${sameKey(entity, old, now)})`;
  return concatenated([
    ownTag(entity, now),
    sql`case when ${renamed} then ${ownTag(entity, old)} else '{}'::text[] end`,
    ...listsOf(entity).map((list) => {
      const place = (row: string) => sql`row(${join(placeColumns(list).map((of) => field(row, of)))})`;
      const moved = concatenated([leaving(list, old), entering(list, now)]);
      return sql`case when ${place(old)} is distinct from ${place(now)} then ${moved} else '{}'::text[] end`;
    }),
  ]);
}

function listsOf(entity: EntityDefinition): ListDefinition[] {
  return Object.values(entity.lists);
}

function placeColumns({ filter, orderBy }: ListDefinition): ListColumn[] {
  return [...filter, ...orderBy];
}

function ownTag(entity: EntityDefinition, row: string): SQL {
  return sql`array[${literal(`${entity.name}:`)} || ${keyText(entity, row)}]`;
}

function entering(list: ListDefinition, row: string): SQL {
  const digits = sql.raw(String(list.digits));
  const position = join(
    list.orderBy.map((column) => encoded(column, row)),
    ' || ',
  );
  return whereListed(
    list,
    row,
    sql`array(
      select ${listName(list, row)} || left(place.position, length)
      from (select rpad(${position}, ${digits}, '0') as position) as place, generate_series(0, ${digits}) as length)`,
  );
}

function leaving(list: ListDefinition, row: string): SQL {
  return whereListed(list, row, sql`array[${listName(list, row)}]`);
}

/** What the tags of a list begin with, its filter's values included. */
function listName({ name, filter }: ListDefinition, row: string): SQL {
  if (filter.length === 0) return literal(`${name}^`);
  const values = join(
    filter.map((column) => sql`${field(row, column)}::text`),
    ` || ',' || `,
  );
  return sql`${literal(`${name}[`)} || ${values} || ${literal(']^')}`;
}

/** A row without a value for a filter is in none of the lists. */
function whereListed({ filter }: ListDefinition, row: string, tags: SQL): SQL {
  if (filter.length === 0) return tags;
  const listed = join(
    filter.map((column) => sql`${field(row, column)} is not null`),
    ' and ',
  );
  return sql`case when ${listed} then ${tags} else '{}'::text[] end`;
}

function encoded(column: SortColumn, row: string): SQL {
  const { encoding } = column;
  const value = field(row, column);
  if (encoding.kind === 'text') return sql`encode(convert_to(${value}, 'UTF8'), 'hex') || '00'`;
  const scale = sql.raw(String(10 ** encoding.scale));
  return sql`(
    select case when scaled < 0 then '0' || translate(body, '0123456789abcdef', 'fedcba9876543210') else '1' || body end
    from (select (${value}::numeric * ${scale})::bigint as scaled) as number,
      lateral (select to_hex(length(to_hex(abs(scaled)))) || to_hex(abs(scaled)) as body) as text)`;
}

function field(row: string, { column }: ListColumn): SQL {
  return sql`${sql.raw(row)}.${sql.identifier(column.name)}`;
}

function literal(text: string): SQL {
  return sql.raw(`'${text.replaceAll("'", "''")}'::text`);
}

function concatenated(arrays: readonly SQL[]): SQL {
  return sql`(${join(arrays, ' || ')})`;
}

function join(parts: readonly SQL[], separator = ', '): SQL {
  return sql.join([...parts], sql.raw(separator));
}
