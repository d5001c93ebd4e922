import { getTableColumns } from 'drizzle-orm';
import type { PgColumn, PgTable } from 'drizzle-orm/pg-core';
import type * as z from 'zod';
import { type ClockDeclarations, type ClockDefinition, type ClocksOf, clocksOf } from './clock.ts';
import { type KeyDefinition, type KeyInput, type KeyPart, keyOf } from './key.ts';
import { list } from './list.ts';
import type { List, ListDeclaration, ListDefinition, PropertyOf } from './list-types.ts';
import { DeclarationMistake, defining } from './mistake.ts';
import { parametersOf } from './path.ts';
import { type EntityRows, entityRows, type RowsDefinition } from './rows.ts';
import { type Search, type SearchDeclaration, type SearchDefinition, search } from './search.ts';
import { type Tag, tag } from './tag.ts';
import { checkedDeprecation, type RouteDeprecation } from './version.ts';

/** What an API client may write: `PUT /v1/<path>/<key>` replaces these fields, `DELETE` removes the row. */
export interface EntityWrite {
  readonly path: string;
  /** The body of the `PUT`: property names are those of the drizzle table. */
  readonly body: z.ZodObject;
  /**
   * Announces the end of both writes. `by` is the address of what clients should use, `/v1/events` or another path; its
   * parameters are columns of the key.
   */
  readonly deprecated?: RouteDeprecation;
}

/** A keyed thing with one row, which answers depend on. */
export interface EntityDefinition {
  readonly kind: 'entity';
  readonly name: string;
  /** Whether its features are readable without a key. Views and models of it are public by their own declarations. */
  readonly isPublic: boolean;
  /** Who answers for its writes, for the inventory of the API. */
  readonly owner: string | undefined;
  readonly table: PgTable;
  readonly key: KeyDefinition;
  /** Schemas of the key's parts, by property: a view's path takes them as `params`. */
  readonly params: Readonly<Record<string, z.ZodType<KeyPart>>>;
  readonly write: EntityWrite | undefined;
  /** Whose features and predictions a principal may read, by the key's values; undefined for those of all rows. */
  readonly rows: RowsDefinition<Readonly<Record<string, KeyPart>>> | undefined;
  /** The tag of answers that show one row, e.g. `station:101`. */
  row(key: KeyInput): Tag;
  /** The orders in which its rows are read page by page. */
  readonly lists: Readonly<Record<string, ListDefinition>>;
  /** Columns that hold the time of the last event that wrote certain other columns. */
  readonly clocks: Readonly<Record<string, ClockDefinition>>;
  /** The ways in which its texts are searched. */
  readonly searches: Readonly<Record<string, SearchDefinition>>;
}

/** A log that events append rows to. It is read through the entities that its rows belong to. */
export interface HistoryDefinition {
  readonly kind: 'history';
  readonly name: string;
  readonly table: PgTable;
  readonly owners: readonly HistoryOwner[];
  /** The tag of answers about one owner's part of the history, e.g. `ride@station:101`. */
  of(owner: EntityDefinition, key: KeyInput): Tag;
}

/** An entity that rows of a history belong to. */
export interface HistoryOwner {
  readonly entity: EntityDefinition;
  /** For each property of the entity's key, the property of the history's row that holds it. */
  readonly properties: Readonly<Record<string, string>>;
}

/** The columns of a table, from its type. */
type Columns<Table extends PgTable> = Table['_']['columns'];
export type ColumnOf<Table extends PgTable> = Columns<Table>[keyof Columns<Table>];

/** A row to insert. */
export type InsertOf<Table extends PgTable> = Table['$inferInsert'];

type KeyColumns<Table extends PgTable> = ColumnOf<Table> | readonly [ColumnOf<Table>, ...ColumnOf<Table>[]];
type KeyProperty<Table extends PgTable, Key> = Key extends readonly (infer Column)[]
  ? PropertyOf<Table, Column>
  : PropertyOf<Table, Key>;

type ValueOf<Table extends PgTable, Property> = Property extends keyof Table['$inferSelect']
  ? Table['$inferSelect'][Property] & KeyPart
  : never;
/** Numbers may be given as text, as in a path. */
type PartInput<Value> = Value extends string ? string : Value | number | bigint | string;

/** A key in the form that this entity accepts. */
export type KeyOf<Table extends PgTable, Key> = Key extends readonly unknown[]
  ? { readonly [Property in KeyProperty<Table, Key>]: PartInput<ValueOf<Table, Property>> }
  : PartInput<ValueOf<Table, KeyProperty<Table, Key>>>;

type PropertiesOf<Declared> = Declared extends readonly (infer Property extends string)[] ? Property : never;

/** An entity of a known table. */
export interface Entity<
  Table extends PgTable,
  Key = unknown,
  Lists = Readonly<Record<string, ListDeclaration>>,
  Clocks = Readonly<Record<never, never>>,
  Searches = Readonly<Record<string, SearchDeclaration>>,
> extends EntityDefinition {
  readonly table: Table;
  readonly params: {
    readonly [Property in KeyProperty<Table, Key>]: z.ZodType<ValueOf<Table, Property>>;
  };
  row(key: Key extends KeyColumns<Table> ? KeyOf<Table, Key> : KeyInput): Tag;
  readonly lists: { readonly [Name in keyof Lists]: List<Table, Lists[Name]> };
  readonly clocks: { readonly [Clock in keyof Clocks]: ClockDefinition<PropertiesOf<Clocks[Clock]>> };
  readonly searches: { readonly [Name in keyof Searches]: Search };
}

/** The columns that an insert needs in addition to the key: those that are not nullable and have no default. */
type Body<Table extends PgTable, Key> = Omit<InsertOf<Table>, KeyProperty<Table, Key> | 'updatedAt'>;

/** A mistake in the body of a write, as an error message of the compiler. */
type CheckedBody<
  Table extends PgTable,
  Key,
  Schema extends z.ZodObject,
> = keyof z.output<Schema> extends keyof Body<Table, Key>
  ? z.output<Schema> extends Body<Table, Key>
    ? unknown
    : { readonly body: 'A field has another type than its column, or a column without a default is missing.' }
  : { readonly body: 'A field is not a column of the table, or is a part of its key.' };

/**
 * Declares an entity: its drizzle table, its key, the lists in which its rows are read and, if clients may write it,
 * the body of the write.
 *
 * @throws Error for key columns whose equality differs from the equality of their texts.
 */
export function entity<
  Table extends PgTable,
  const Key extends KeyColumns<Table>,
  Schema extends z.ZodObject = z.ZodObject,
  const Lists extends Readonly<Record<string, ListDeclaration>> = Record<never, never>,
  const Clocks extends ClocksOf<Table> = Record<never, never>,
  Searches extends Readonly<Record<string, SearchDeclaration>> = Record<never, never>,
>(declaration: {
  /** Lower case, unique. It is the prefix of the entity's tags. */
  name: string;
  /** Makes its features readable without a key. Without this declaration they require the key. */
  public?: boolean;
  /** Who answers for its writes, for the inventory of the API: a team, or an address. */
  owner?: string;
  table: Table;
  /** A column, or several in the order of the table's key. */
  key: Key;
  /** For a key of one text column: the values that clients may request. */
  keySchema?: z.ZodType<string>;
  /** For a key of several columns: the same by property, for its text columns. */
  keySchemas?: { readonly [Property in KeyProperty<Table, Key>]?: z.ZodType<string> };
  write?: Omit<EntityWrite, 'body'> & { readonly body: Schema } & CheckedBody<Table, Key, Schema>;
  /**
   * Limits features and predictions of its rows to the principals whose claim equals the key, or one `part` of it. A
   * principal without the claim may read none.
   */
  rows?: EntityRows<KeyProperty<Table, Key> & string>;
  lists?: Lists;
  /**
   * For columns that events write: the nullable timestamp column that holds the time of the last event that wrote them.
   * Late events then do not overwrite them. `{ statusAt: ['status', 'battery'] }`
   */
  clocks?: Clocks;
  searches?: Searches;
}): Entity<Table, Key, Lists, Clocks, Searches> {
  return defining<Entity<Table, Key, Lists, Clocks, Searches>>(
    { kind: 'entity', name: declaration.name },
    () => {
      const { name, table, write, lists = {} as Lists, keySchema, keySchemas, clocks } = declaration;
      const columns: readonly PgColumn[] = isSeveral(declaration.key) ? declaration.key : [declaration.key];
      const key = keyOf(name, table, columns, schemasOf(table, columns, keySchema, keySchemas));
      const row = (of: KeyInput) => tag(`${name}:${key.textOf(of)}`);
      const of = { table, key, row };
      const defined = Object.entries(lists).map(
        ([property, declared]) => [property, list(`${name}/${words(property)}`, of, declared)] as const,
      );
      const searched = Object.entries(declaration.searches ?? {}).map(
        ([property, declared]) =>
          [property, search(`${name}/search-${words(property)}`, of, declared)] as const,
      );
      const params = Object.fromEntries(key.columns.map((part) => [part.property, part.schema]));
      const definition: EntityDefinition = {
        kind: 'entity',
        name,
        isPublic: declaration.public === true,
        owner: declaration.owner,
        table,
        key,
        params,
        write: checkedWrite(write, key),
        rows: declaration.rows === undefined ? undefined : entityRows(declaration.rows, key),
        row,
        lists: Object.fromEntries(defined),
        clocks: clocksOf(table, key, (clocks ?? {}) as ClockDeclarations),
        searches: Object.fromEntries(searched),
      };
      // The definition has the types that the declaration gives it; the compiler cannot follow them through `entries`.
      return definition as Entity<Table, Key, Lists, Clocks, Searches>;
    },
  );
}

/** @throws DeclarationMistake for an announced end that is none, or that names a parameter which the key has not. */
function checkedWrite(write: EntityWrite | undefined, { columns }: KeyDefinition): EntityWrite | undefined {
  checkedDeprecation(write?.deprecated);
  const by = write?.deprecated?.by ?? '';
  const properties = columns.map(({ property }) => property);
  const unknown = parametersOf(by).find((parameter) => !properties.includes(parameter));
  if (unknown !== undefined)
    throw new DeclarationMistake(
      `Its writes are replaced by "${by}", and its key has no "${unknown}".`,
      `Use parameters of the key: ${properties.join(', ')}.`,
    );
  return write;
}

/** A property as tags spell it: `byUnitPrice` becomes `by-unit-price`. */
function words(property: string): string {
  return property.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

function isSeveral(key: unknown): key is readonly PgColumn[] {
  return Array.isArray(key);
}

function schemasOf(
  table: PgTable,
  columns: readonly PgColumn[],
  single: z.ZodType<string> | undefined,
  several: Readonly<Record<string, z.ZodType<string> | undefined>> = {},
): Readonly<Record<string, z.ZodType<string>>> {
  const schemas = Object.entries(several).flatMap(([property, schema]) =>
    schema === undefined ? [] : [[property, schema] as const],
  );
  if (single === undefined) return Object.fromEntries(schemas);
  const [property] =
    Object.entries(getTableColumns(table)).find(([, candidate]) => candidate === columns[0]) ?? [];
  return Object.fromEntries([...schemas, [property ?? '', single]]);
}

/** An owner, as a history of this table may declare it. */
interface OwnerDeclaration<Table extends PgTable, Owner extends EntityDefinition> {
  readonly entity: Owner;
  /** For an entity with a key of one column: the property of a row that holds it. */
  readonly property?: keyof Table['$inferSelect'] & string;
  /** For a key of several columns: for each of its properties, the property of a row that holds it. */
  readonly properties?: {
    readonly [Property in keyof Owner['params']]: keyof Table['$inferSelect'] & string;
  };
}

/** A history of a known table. */
export interface History<Table extends PgTable, Owner extends EntityDefinition = EntityDefinition>
  extends HistoryDefinition {
  readonly table: Table;
  of<Of extends Owner>(owner: Of, key: Parameters<Of['row']>[0]): Tag;
}

/**
 * Declares a history and the entities that its rows belong to.
 *
 * @throws Error if the row has no properties for an owner's key.
 */
export function history<
  Table extends PgTable,
  const Owners extends readonly EntityDefinition[],
>(declaration: {
  /** Lower case, unique. It is the prefix of the history's tags. */
  name: string;
  table: Table;
  owners: { readonly [Index in keyof Owners]: OwnerDeclaration<Table, Owners[Index]> };
}): History<Table, Owners[number]> {
  return defining<History<Table, Owners[number]>>({ kind: 'history', name: declaration.name }, () => {
    const { name, table } = declaration;
    const declared: readonly OwnerDeclaration<Table, EntityDefinition>[] = Object.values(declaration.owners);
    const owners = declared.map((owner) => ownerOf(table, owner));
    const of = (owner: EntityDefinition, key: KeyInput) => {
      if (!owners.some(({ entity: own }) => own === owner))
        throw new TypeError(
          `Rows of the history "${name}" do not belong to "${owner.name}": declare it as an owner.`,
        );
      return tag(`${name}@${owner.row(key)}`);
    };
    return { kind: 'history', name, table, owners, of };
  });
}

function ownerOf<Table extends PgTable>(
  table: Table,
  { entity: owner, property, properties }: OwnerDeclaration<Table, EntityDefinition>,
): HistoryOwner {
  const { columns } = owner.key;
  const [only] = columns;
  const mapped: Readonly<Record<string, string>> =
    properties ?? (only === undefined || property === undefined ? {} : { [only.property]: property });
  const known = getTableColumns(table);
  for (const { property: part } of columns) {
    const held = mapped[part];
    if (held === undefined || !(held in known) || Object.keys(mapped).length !== columns.length)
      throw new DeclarationMistake(
        `No property of a row holds "${part}" of its owner "${owner.name}".`,
        'Name it by `property`, or by `properties` for a key of several columns.',
      );
  }
  return { entity: owner, properties: mapped };
}

/** The owner's key in a row of a history; null if a part of it is null. */
export function ownerKey(
  { entity: owner, properties }: HistoryOwner,
  row: Readonly<Record<string, unknown>>,
): Readonly<Record<string, KeyPart>> | null {
  const parts: Record<string, KeyPart> = {};
  for (const { property } of owner.key.columns) {
    const value = row[properties[property] ?? ''];
    if (value === null || value === undefined) return null;
    // `textOf` checks the value against the key's column.
    parts[property] = value as KeyPart;
  }
  return parts;
}

/** The tags that an appended row invalidates: for each owner in the row, that owner's part of the history. */
export function tagsOfAppend(definition: HistoryDefinition, row: Readonly<Record<string, unknown>>): Tag[] {
  return definition.owners.flatMap((owner) => {
    const key = ownerKey(owner, row);
    return key === null ? [] : [definition.of(owner.entity, key)];
  });
}
