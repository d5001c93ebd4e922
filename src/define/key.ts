import { getTableColumns } from 'drizzle-orm';
import type { PgColumn, PgTable } from 'drizzle-orm/pg-core';
import * as z from 'zod';
import { isStorableText } from '../platform/json.ts';
import { DeclarationMistake } from './mistake.ts';

/** The value of one key column. */
export type KeyPart = string | number | bigint;

/** A key in the form that callers pass: the value of its single column, or the values of its columns by property. */
export type KeyInput = KeyPart | Readonly<Record<string, KeyPart>>;

/** The form of a key column's values. Two values that are equal in Postgres have the same canonical text. */
export type KeyKind = 'text' | 'integer' | 'bigint' | 'uuid';

/** One column of a key. */
export interface KeyColumn {
  /** The property of the drizzle table. */
  readonly property: string;
  readonly column: PgColumn;
  readonly kind: KeyKind;
  /** Parses a path parameter or a JSON value into drizzle's value for the column. */
  readonly schema: z.ZodType<KeyPart>;
}

/**
 * The key of an entity. Tags, cache keys, feature shards and lineage use its canonical text; SQL compares the columns
 * themselves. `storage/postgres/key-sql.ts` computes the same text in SQL, for statements and triggers.
 */
export interface KeyDefinition {
  readonly columns: readonly KeyColumn[];
  /**
   * The canonical text. For a single column it is the value as Postgres writes it: `7`, a UUID in lower case, a text
   * unchanged. For several columns, the texts are joined by commas, with `%` and `,` in them as `%25` and `%2C`.
   *
   * @throws TypeError for a value that the columns cannot hold.
   */
  textOf(key: KeyInput): string;
  /** The values by property. @throws TypeError for a single value if the key has several columns. */
  valuesOf(key: KeyInput): Readonly<Record<string, KeyPart>>;
  /**
   * Parses a canonical text, or values as a client sends them, into the values by property; undefined for an invalid
   * key.
   */
  parse(input: unknown): Readonly<Record<string, KeyPart>> | undefined;
}

/** Without flags, so that the pattern in the OpenAPI document says the same. */
const UUID = /^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$/;
/** The longest text of a key without a schema: a few of them fit into a tag. */
const TEXT_CHARACTERS_MAX = 256;
/** The most columns of one key: each is a parameter of the path. */
export const KEY_COLUMNS_MAX = 4;

/**
 * The values of a text key without a schema. Control characters are refused, because paths and logs do not show them.
 */
const AnyText = z
  .string()
  .min(1)
  .max(TEXT_CHARACTERS_MAX)
  .regex(/^\P{Cc}*$/u, 'A key has no control characters.');

/**
 * The key of a table.
 *
 * @param columns of the table, in the order of its primary or unique key.
 * @param schemas for text columns, by property: the values that a client may request. They may trim or change case,
 *   because SQL and tags both use the output.
 * @throws DeclarationMistake for a column of another table, or of a type whose equality differs from the equality of its texts.
 */
export function keyOf(
  entity: string,
  table: PgTable,
  columns: readonly PgColumn[],
  schemas: Readonly<Record<string, z.ZodType<string>>>,
): KeyDefinition {
  if (columns.length === 0 || columns.length > KEY_COLUMNS_MAX)
    throw new DeclarationMistake(
      `The key of "${entity}" has ${columns.length} columns.`,
      `Give it 1 to ${KEY_COLUMNS_MAX}.`,
    );
  const defined = columns.map((column) => keyColumn(entity, table, column, schemas));
  const [only] = defined;
  const valuesOf = (key: KeyInput): Readonly<Record<string, KeyPart>> => {
    if (typeof key === 'object') return key;
    if (only === undefined || defined.length > 1)
      throw new TypeError(`The key of "${entity}" has several parts: ${namesOf(defined)}.`);
    return { [only.property]: key };
  };
  return {
    columns: defined,
    valuesOf,
    textOf: (key) => {
      const values = valuesOf(key);
      const texts = defined.map((part) => partText(entity, part, values[part.property]));
      return defined.length === 1 ? (texts[0] ?? '') : texts.map(escaped).join(',');
    },
    parse: (input) => parsed(defined, input),
  };
}

function keyColumn(
  entity: string,
  table: PgTable,
  column: PgColumn,
  schemas: Readonly<Record<string, z.ZodType<string>>>,
): KeyColumn {
  const property = Object.entries(getTableColumns(table)).find(([, candidate]) => candidate === column)?.[0];
  if (property === undefined)
    throw new DeclarationMistake(
      `The key of "${entity}" names a column of another table.`,
      'Name columns of its own table.',
    );
  const kind = kindOf(column);
  if (kind === undefined)
    throw new DeclarationMistake(
      `The key of "${entity}" cannot be "${column.name}", which is ${column.getSQLType()}.`,
      'Use text, varchar, smallint, integer, bigint or uuid.',
    );
  const schema = schemas[property];
  if (schema !== undefined && kind !== 'text')
    throw new DeclarationMistake(
      `The schema of "${property}", a key of "${entity}", is for text; the column is ${kind}.`,
      'Leave the schema out: the type of the column says what a key is.',
    );
  return { property, column, kind, schema: schemaOf(kind, column, schema) };
}

/**
 * Accepts only types whose values are equal in Postgres exactly if their canonical texts are. For example, `char(n)`
 * ignores blanks.
 */
function kindOf(column: PgColumn): KeyKind | undefined {
  const type = column.getSQLType();
  if (type === 'text' || type.startsWith('varchar')) return 'text';
  if (type === 'uuid') return 'uuid';
  if (type === 'bigint' || type === 'bigserial') return 'bigint';
  return ['integer', 'serial', 'smallint', 'smallserial'].includes(type) ? 'integer' : undefined;
}

function schemaOf(kind: KeyKind, column: PgColumn, schema: z.ZodType<string> = AnyText): z.ZodType<KeyPart> {
  switch (kind) {
    case 'text':
      return schema
        .refine(isStorableText, 'A key has no NUL and no unpaired surrogates.')
        .refine(
          isAddressable,
          'A key must not be "." or "..", because no path can contain them as a segment.',
        )
        .refine((text) => fits(text, column), 'The key is longer than its column.');
    case 'uuid':
      return z.string().regex(UUID, 'Expected a UUID.').toLowerCase();
    case 'integer':
    case 'bigint': {
      const [min, max] = rangeOf(column);
      return z
        .union([z.string().regex(/^-?\d{1,19}$/), z.number().int(), z.bigint()], 'Expected a whole number.')
        .transform((value) => BigInt(value))
        .refine((value) => value >= min && value <= max, 'The number is out of the range of its column.')
        .refine((value) => column.dataType !== 'number' || Number.isSafeInteger(Number(value)), {
          message: 'The number is larger than this deployment can read exactly.',
        })
        .transform((value) => (column.dataType === 'bigint' ? value : Number(value)));
    }
  }
}

/** A client's URL parser removes the segments `.` and `..` from a path, also percent-encoded (WHATWG URL §4.4). */
function isAddressable(text: string): boolean {
  return text !== '.' && text !== '..';
}

/** The property of a key's part that no path can contain, or undefined. Rows of other writers may have such keys. */
export function unaddressablePart(
  { columns }: KeyDefinition,
  values: Readonly<Record<string, unknown>>,
): string | undefined {
  return columns.find(({ property }) => {
    const value = values[property];
    return typeof value === 'string' && !isAddressable(value);
  })?.property;
}

/** Postgres drops blanks beyond the length of a `varchar(n)` without an error, so a longer key would become another. */
function fits(text: string, column: PgColumn): boolean {
  const [, length] = /^varchar\((\d+)\)$/.exec(column.getSQLType()) ?? [];
  return length === undefined || text.length <= Number(length) || Array.from(text).length <= Number(length);
}

function rangeOf(column: PgColumn): readonly [min: bigint, max: bigint] {
  const type = column.getSQLType();
  const bits = type.startsWith('big') ? 63n : type.startsWith('small') ? 15n : 31n;
  return [-(2n ** bits), 2n ** bits - 1n];
}

/** The text that Postgres writes for a value that the key's schema has not parsed. */
function partText(entity: string, { property, kind, column }: KeyColumn, value: unknown): string {
  const wrong = (): TypeError =>
    new TypeError(
      `${describe(value)} is not a value of "${property}", a key of "${entity}" of type ${kind}.`,
    );
  switch (kind) {
    case 'text':
      if (typeof value !== 'string' || !isStorableText(value)) throw wrong();
      return value;
    case 'uuid':
      if (typeof value !== 'string' || !UUID.test(value)) throw wrong();
      return value.toLowerCase();
    case 'integer':
    case 'bigint': {
      const isWhole =
        typeof value === 'bigint' ||
        (typeof value === 'number' && Number.isSafeInteger(value)) ||
        (typeof value === 'string' && /^-?\d{1,19}$/.test(value));
      if (!isWhole) throw wrong();
      const number = BigInt(value);
      const [min, max] = rangeOf(column);
      if (number < min || number > max) throw wrong();
      return String(number);
    }
  }
}

function parsed(
  columns: readonly KeyColumn[],
  input: unknown,
): Readonly<Record<string, KeyPart>> | undefined {
  const given =
    columns.length > 1 && typeof input === 'string' ? split(input, columns) : partsOf(columns, input);
  if (given === undefined) return undefined;
  const values: Record<string, KeyPart> = {};
  for (const { property, schema } of columns) {
    const part = schema.safeParse(given[property]);
    if (!part.success) return undefined;
    values[property] = part.data;
  }
  return values;
}

function partsOf(
  columns: readonly KeyColumn[],
  input: unknown,
): Readonly<Record<string, unknown>> | undefined {
  if (typeof input === 'object' && input !== null && !Array.isArray(input)) {
    const known = new Set(columns.map(({ property }) => property));
    return Object.keys(input).every((name) => known.has(name)) ? { ...input } : undefined;
  }
  const [only] = columns;
  return columns.length === 1 && only !== undefined ? { [only.property]: input } : undefined;
}

/** The parts of a canonical text. */
function split(text: string, columns: readonly KeyColumn[]): Readonly<Record<string, unknown>> | undefined {
  const texts = text.split(',');
  if (texts.length !== columns.length) return undefined;
  return Object.fromEntries(
    columns.map(({ property }, index) => [
      property,
      (texts[index] ?? '').replaceAll('%2C', ',').replaceAll('%25', '%'),
    ]),
  );
}

function escaped(text: string): string {
  return text.replaceAll('%', '%25').replaceAll(',', '%2C');
}

function namesOf(columns: readonly KeyColumn[]): string {
  return columns.map(({ property }) => property).join(', ');
}

function describe(value: unknown): string {
  return typeof value === 'string' ? JSON.stringify(value) : String(value);
}
