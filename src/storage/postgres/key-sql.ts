import { getTableColumns, type SQL, sql } from 'drizzle-orm';
import type { EntityDefinition, HistoryOwner } from '../../define/entity.ts';
import type { KeyPart } from '../../define/key.ts';

/** Keys as SQL: the canonical text that `define/key.ts` makes in JavaScript, and comparisons of the columns. */

/** The key's columns as names, in order. */
export function keyNames({ key }: EntityDefinition): ReturnType<typeof sql.identifier>[] {
  return key.columns.map(({ column }) => sql.identifier(column.name));
}

/** The canonical text of the key of a row of the entity's table. */
export function keyText(entity: EntityDefinition, row: string): SQL {
  return canonicalText(keyNames(entity).map((name) => sql`${sql.raw(row)}.${name}`));
}

/** The columns of a history's row that hold the key of an owner. */
export function ownerColumns(
  { entity, properties }: HistoryOwner,
  table: Parameters<typeof getTableColumns>[0],
): ReturnType<typeof sql.identifier>[] {
  const columns = getTableColumns(table);
  return entity.key.columns.map(({ property }) => {
    const column = columns[properties[property] ?? ''];
    if (column === undefined)
      throw new Error(`A row of the history has no "${property}" of its owner "${entity.name}".`);
    return sql.identifier(column.name);
  });
}

/** The canonical text of values, in the order of the key's columns; null where one of them is null. */
export function canonicalText(values: readonly SQL[]): SQL {
  const [only] = values;
  if (only !== undefined && values.length === 1) return sql`${only}::text`;
  const escaped = values.map((value) => sql`replace(replace(${value}::text, '%', '%25'), ',', '%2C')`);
  return sql`(${sql.join(escaped, sql` || ',' || `)})`;
}

/** Whether a row of the table has the key; each value is compared by its column, so that an index serves. */
export function keyIs({ key }: EntityDefinition, values: Readonly<Record<string, KeyPart>>): SQL {
  const equal = key.columns.map(
    ({ property, column }) => sql`${sql.identifier(column.name)} = ${asParameter(values[property])}`,
  );
  return sql.join(equal, sql` and `);
}

/** The values of a key in the order of its columns, as parameters of a statement. */
export function keyValues({ key }: EntityDefinition, values: Readonly<Record<string, KeyPart>>): SQL[] {
  return key.columns.map(({ property }) => sql`${asParameter(values[property])}`);
}

/** Whether two rows have the same key, e.g. `prior` and `changed`. */
export function sameKey(entity: EntityDefinition, left: string, right: string): SQL {
  const equal = keyNames(entity).map((name) => sql`${sql.raw(left)}.${name} = ${sql.raw(right)}.${name}`);
  return sql.join(equal, sql` and `);
}

/** Text, which Postgres reads as the type of the column that it is compared with or inserted into. */
function asParameter(value: KeyPart | undefined): string {
  if (value === undefined) throw new TypeError('A part of a key is missing.');
  return String(value);
}
