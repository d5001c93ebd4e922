import { type SQL, sql } from 'drizzle-orm';
import type { EntityDefinition } from '../../catalog/define/entity.ts';
import type { ListColumn, ListDefinition, SortColumn } from '../../catalog/define/list.ts';

/**
 * The tags of a row as SQL: what `EntityDefinition.row` and `ListDefinition.tagsOf` say of a row in JavaScript,
 * for statements and triggers whose rows are known to the database alone. Each takes the name by which the
 * statement knows a row, such as `inserted`, `old` or `new`, and is an expression of type `text[]` without
 * parameters, so that it may stand in the definition of a function as well.
 */

/** What an inserted or deleted row invalidates: its own tag, and every list's tags at its place. */
export function rowTags(entity: EntityDefinition, row: string): SQL {
  return concatenated([ownTag(entity, row), ...listsOf(entity).map((list) => listTags(list, row))]);
}

/** What an update invalidates: the row's own tag and, where its place in a list changed, both places' tags. */
export function updateTags(entity: EntityDefinition, old: string, now: string): SQL {
  return concatenated([
    ownTag(entity, now),
    ...listsOf(entity).map((list) => {
      const place = (row: string) => sql`row(${join(placeColumns(list).map((of) => field(row, of)))})`;
      const both = concatenated([listTags(list, old), listTags(list, now)]);
      return sql`case when ${place(old)} is distinct from ${place(now)} then ${both} else '{}'::text[] end`;
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
  const key = sql`${sql.raw(row)}.${sql.identifier(entity.key.name)}`;
  return sql`array[${literal(entity.row(''))} || ${key}::text]`;
}

function listTags(list: ListDefinition, row: string): SQL {
  const { name, filter, digits } = list;
  const position = join(
    list.orderBy.map((column) => encoded(column, row)),
    ' || ',
  );
  const values = join(
    filter.map((column) => sql`${field(row, column)}::text`),
    ` || ',' || `,
  );
  const start =
    filter.length === 0 ? literal(`${name}^`) : sql`${literal(`${name}[`)} || ${values} || ${literal(']^')}`;
  const tags = sql`array(
    select ${start} || left(place.position, length)
    from (select rpad(${position}, ${sql.raw(String(digits))}, '0') as position) as place,
      generate_series(0, ${sql.raw(String(digits))}) as length)`;
  if (filter.length === 0) return tags;
  // A row without a value for a filter is in none of the lists.
  const known = join(
    filter.map((column) => sql`${field(row, column)} is not null`),
    ' and ',
  );
  return sql`case when ${known} then ${tags} else '{}'::text[] end`;
}

/** `rpad` cuts what is too long, as the position wants it; what is encoded here is never too long for `lpad`. */
function encoded(column: SortColumn, row: string): SQL {
  const { encoding } = column;
  const value = field(row, column);
  if (encoding.kind === 'text') return sql`encode(convert_to(${value}, 'UTF8'), 'hex') || '00'`;
  const { offset, scale, digits } = encoding;
  const scaled = sql`(${value}::numeric + ${sql.raw(String(offset))}) * ${sql.raw(String(10 ** scale))}`;
  return sql`lpad(to_hex((${scaled})::bigint), ${sql.raw(String(digits))}, '0')`;
}

function field(row: string, { column }: ListColumn): SQL {
  return sql`${sql.raw(row)}.${sql.identifier(column.name)}`;
}

function literal(text: string): SQL {
  return sql.raw(`'${text.replaceAll("'", "''")}'`);
}

function concatenated(arrays: readonly SQL[]): SQL {
  return sql`(${join(arrays, ' || ')})`;
}

function join(parts: readonly SQL[], separator = ', '): SQL {
  return sql.join([...parts], sql.raw(separator));
}
