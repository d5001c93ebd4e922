import { type SQL, sql } from 'drizzle-orm';
import type { EntityDefinition } from '../../define/entity.ts';
import { filterTextSql } from '../../define/list-filter.ts';
import type { ListDefinition } from '../../define/list-types.ts';
import { lexemeHash, MANY, SEARCH_LEXEMES_MAX, type SearchDefinition } from '../../define/search.ts';
import { integerSql, type SortColumn } from '../../define/sort-column.ts';
import { keyNames, keyText, sameKey } from './key-sql.ts';

/**
 * The tags that a changed row invalidates, as SQL. `EntityDefinition.row` and `ListDefinition` define the same tags in
 * JavaScript; statements and triggers need SQL, because only the database knows their rows. Each function takes the
 * name by which the statement refers to a row, such as `inserted`, `old` or `new`. It returns an expression of type
 * `text[]` without parameters, which may also stand in the definition of a function.
 */

/** The tags of an inserted row: the answers that lack it, and its position in every list. */
export function insertTags(entity: EntityDefinition, row: string): SQL {
  return concatenated([
    ownTag(entity, row),
    ...listsOf(entity).map((list) => entering(list, row)),
    ...searchesOf(entity).map((search) => searchTags(search, row)),
  ]);
}

/** The tags of a deleted row: the answers that show it, and the answers about whole lists. */
export function deleteTags(entity: EntityDefinition, row: string): SQL {
  return concatenated([
    ownTag(entity, row),
    ...listsOf(entity).map((list) => leaving(list, row)),
    ...searchesOf(entity).map(({ name }) => sql`array[${literal(`${name}^`)}]`),
  ]);
}

/** The tags of an update: the answers that show the row and, if its position in a list changed, the new position. */
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
    ...searchesOf(entity).map((search) => {
      const text = (row: string) =>
        sql`row(${join([...keyNames(entity), ...namesOf(search)].map((name) => sql`${sql.raw(row)}.${name}`))})`;
      const changed = sql`${text(old)} is distinct from ${text(now)}`;
      return sql`case when ${changed} then ${searchTags(search, now)} else '{}'::text[] end`;
    }),
  ]);
}

function searchesOf(entity: EntityDefinition): SearchDefinition[] {
  return Object.values(entity.searches);
}

function namesOf({ columns }: SearchDefinition): ReturnType<typeof sql.identifier>[] {
  return columns.map(({ name }) => sql.identifier(name));
}

/** The tags of a row's new text: the search as a whole, and the answers that depend on one of the text's lexemes. */
function searchTags(search: SearchDefinition, row: string): SQL {
  const lexemes = search.lexemes(namesOf(search).map((name) => sql`${sql.raw(row)}.${name}`));
  const whole = literal(`${search.name}^`);
  return sql`(
    select array[${whole}] || case
      when cardinality(lexemes) > ${sql.raw(String(SEARCH_LEXEMES_MAX))} then array[${whole} || ${literal(MANY)}]
      else array(select ${whole} || ${lexemeHash(sql`lexeme`)} from unnest(lexemes) as lexeme) end
    from (select ${lexemes} as lexemes) as document)`;
}

function listsOf(entity: EntityDefinition): ListDefinition[] {
  return Object.values(entity.lists);
}

/** The columns that decide a row's position in a list, or whether a range of the list includes it. */
function placeColumns({ filter, orderBy, range }: ListDefinition): SortColumn[] {
  return [
    ...new Map(
      [...filter, ...orderBy, ...(range === undefined ? [] : [range])].map((of) => [of.property, of]),
    ).values(),
  ];
}

function ownTag(entity: EntityDefinition, row: string): SQL {
  return sql`array[${literal(`${entity.name}:`)} || ${keyText(entity, row)}]`;
}

function entering(list: ListDefinition, row: string): SQL {
  const digits = sql.raw(String(list.digits));
  const position = join(
    list.orderBy.map((column) => sql`(${encoded(column, row)})`),
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

/** The prefix of a list's tags, including the values of its filter. */
function listName({ name, filter }: ListDefinition, row: string): SQL {
  if (filter.length === 0) return literal(`${name}^`);
  return sql`${literal(name)} || ${filterTextSql(filter, (column) => field(row, column))} || '^'`;
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

const DIGITS = literal('0123456789abcdef');
const COMPLEMENT = literal('fedcba9876543210');

/** The digits of a value in its column's direction, equal to those of `sortDigits`. */
function encoded(column: SortColumn, row: string): SQL {
  const digits = ascending(column, field(row, column));
  return column.descending ? sql`translate(${digits}, ${DIGITS}, ${COMPLEMENT})` : digits;
}

function ascending({ type }: SortColumn, value: SQL): SQL {
  switch (type.kind) {
    case 'text':
      return sql`encode(convert_to(${value}, 'UTF8'), 'hex') || '00'`;
    case 'uuid':
      return sql`encode(uuid_send(${value}), 'hex')`;
    case 'boolean':
      return sql`case when ${value} then '1' else '0' end`;
    case 'float':
      return floatDigits(type.bytes, value);
    case 'integer':
    case 'numeric':
    case 'time':
      return integerDigits(integerSql(type, value));
  }
}

/** `NaN` has no integer: its null sorts last. */
function integerDigits(integer: SQL): SQL {
  return sql`(
    select case
      when number.value < 0 then '0' || translate(body, ${DIGITS}, ${COMPLEMENT})
      when number.value >= 0 then '1' || body
      else '2' end
    from (select ${integer} as value) as number,
      lateral (select to_hex(case when number.value < 0 then ~number.value else number.value end) as hex) as size,
      lateral (select to_hex(length(size.hex) - 1) || size.hex as body) as text)`;
}

function floatDigits(bytes: 4 | 8, value: SQL): SQL {
  const bits = sql`encode(${sql.raw(`float${bytes}send`)}(${value}), 'hex')`;
  const constant = (first: string, rest: string) => literal(first.padEnd(2 * bytes, rest));
  return sql`case
    when ${value} = 'NaN' then ${constant('f', 'f')}
    when ${value} = 0 then ${constant('8', '0')}
    when ${value} < 0 then translate(${bits}, ${DIGITS}, ${COMPLEMENT})
    else translate(left(${bits}, 1), '01234567', '89abcdef') || substr(${bits}, 2) end`;
}

function field(row: string, { column }: SortColumn): SQL {
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
