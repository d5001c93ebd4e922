import type { PgColumn, PgTable } from 'drizzle-orm/pg-core';
import type * as z from 'zod';
import { type ListDeclaration, type ListDefinition, list } from './list.ts';

/** What an API client may write: `PUT /v1/<path>/{key}` replaces these fields, `DELETE` removes the row. */
export interface EntityWrite {
  readonly path: string;
  /** The body of the `PUT`: property names are those of the drizzle table. */
  readonly body: z.ZodObject;
}

/** A thing with a key, one row each, that answers depend on. */
export interface EntityDefinition {
  readonly kind: 'entity';
  readonly name: string;
  /** Whether its features are read without a key. Views and models of it are public by their own declarations. */
  readonly isPublic: boolean;
  readonly table: PgTable;
  readonly key: PgColumn;
  readonly keySchema: z.ZodType<string>;
  readonly write: EntityWrite | undefined;
  /** What an answer about one row depends on, e.g. `product:85123A`. */
  row(key: string): string;
  /** The orders in which its rows are read, page by page. */
  readonly lists: Readonly<Record<string, ListDefinition>>;
}

/** A log of things that happened, appended to by events, read through the entities that it belongs to. */
export interface HistoryDefinition {
  readonly kind: 'history';
  readonly name: string;
  readonly table: PgTable;
  /** For each owning entity, the property of a row that holds its key. */
  readonly owners: readonly { readonly entity: EntityDefinition; readonly property: string }[];
  /** What an answer about one owner's part of the history depends on, e.g. `purchase@customer:17850`. */
  of(owner: EntityDefinition, key: string): string;
}

/**
 * Declares an entity: its drizzle table, its key, the lists that its rows are read in and, where clients may write
 * it, the body of the write.
 */
export function entity<
  Lists extends Readonly<Record<string, ListDeclaration>> = Record<never, never>,
>(declaration: {
  name: string;
  /** Has its features answered without a key. Everything is closed that does not say so. */
  public?: boolean;
  table: PgTable;
  key: PgColumn;
  keySchema: z.ZodType<string>;
  write?: EntityWrite;
  lists?: Lists;
}): EntityDefinition & { readonly lists: { readonly [Name in keyof Lists]: ListDefinition } } {
  const { name, table, key, lists = {} as Lists } = declaration;
  const row = (of: string) => `${name}:${of}`;
  const defined = Object.entries(lists).map(([property, declared]) => [
    property,
    list(
      `${name}/${property.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`,
      { table, key, row },
      declared,
    ),
  ]);
  return {
    kind: 'entity',
    ...declaration,
    isPublic: declaration.public === true,
    write: declaration.write,
    row,
    lists: Object.fromEntries(defined) as { [Name in keyof Lists]: ListDefinition },
  };
}

/** Declares a history and whom its rows belong to. */
export function history(declaration: {
  name: string;
  table: PgTable;
  owners: readonly { entity: EntityDefinition; property: string }[];
}): HistoryDefinition {
  const { name } = declaration;
  return { kind: 'history', ...declaration, of: (owner, key) => `${name}@${owner.row(key)}` };
}

/** The tags that one appended row invalidates: its part of the history for each owner that it names. */
export function tagsOfAppend(
  definition: HistoryDefinition,
  row: Readonly<Record<string, unknown>>,
): string[] {
  return definition.owners.flatMap(({ entity: owner, property }) => {
    const key = row[property];
    return typeof key === 'string' ? [definition.of(owner, key)] : [];
  });
}
