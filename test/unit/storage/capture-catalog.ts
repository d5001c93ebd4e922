import { bigint, boolean, integer, numeric, pgTable, text } from 'drizzle-orm/pg-core';
import fc from 'fast-check';
import * as z from 'zod';
import { type EntityDefinition, entity, history, tagsOfAppend } from '../../../src/define/entity.ts';
import { captureStatements } from '../../../src/storage/postgres/capture.ts';

/** The catalog that capture is tested on, rows of it at random, and the tags that the catalog has for their changes. */

/** A table that is an entity and a history at once, with names that need quoting and columns named as SQL's words. */
const things = pgTable("thing's", {
  id: text('id').primaryKey(),
  group: text('group'),
  shelf: integer('shelf').notNull(),
  open: boolean('changed').notNull(),
  price: numeric('price "net"', { precision: 12, scale: 4, mode: 'number' }).notNull(),
  note: text('prior'),
});
export const thing = entity({
  name: "thing's",
  table: things,
  key: things.id,
  keySchema: z.string(),
  lists: {
    byId: { orderBy: things.id },
    byGroup: { orderBy: things.price, filter: [things.group], digits: 16 },
    byShelf: { orderBy: things.shelf, filter: [things.open] },
  },
});
const group: EntityDefinition = entity({
  name: 'group',
  table: things,
  key: things.id,
  keySchema: z.string(),
});
const groupHistory = history({
  name: 'in-group',
  table: things,
  owners: [{ entity: group, property: 'group' }],
});
const visits = pgTable('visits', {
  at: bigint('at', { mode: 'number' }).primaryKey(),
  thingId: text('thing id').notNull(),
  group: text('group'),
});
const visitHistory = history({
  name: 'visit',
  table: visits,
  owners: [
    { entity: thing, property: 'thingId' },
    { entity: group, property: 'group' },
  ],
});
export const CAPTURED = captureStatements({
  entities: [thing],
  histories: [groupHistory, visitHistory],
  everything: 'all',
});

const shortText = fc
  .string({ unit: 'binary', maxLength: 6 })
  .filter((value) => !value.includes('\u0000') && value.isWellFormed());
const fields = {
  group: fc.option(fc.oneof(shortText, fc.constantFrom('a', 'b'))),
  shelf: fc.integer({ min: -3, max: 40 }),
  open: fc.boolean(),
  price: fc.integer({ min: -(10 ** 12) + 1, max: 10 ** 12 - 1 }).map((scaled) => scaled / 10_000),
  note: fc.option(fc.constantFrom('x', 'y')),
};
export type Thing = {
  id: string;
  group: string | null;
  shelf: number;
  open: boolean;
  price: number;
  note: string | null;
};
export const anyThings: fc.Arbitrary<Thing[]> = fc.uniqueArray(fc.record({ id: shortText, ...fields }), {
  maxLength: 12,
  selector: ({ id }) => id,
});
/** What becomes of a row: it stays, goes, gets another key, or other values. */
export const anyFate = fc.oneof(
  fc.constant({}),
  fc.constant(null),
  fc.record({ id: shortText }),
  fc.record(fields, { requiredKeys: [] }),
);

const lists = Object.values(thing.lists);
const COLUMNS = ['id', 'group', 'shelf', 'open', 'price', 'note'] as const;

export function inserted(row: Thing): string[] {
  return [
    thing.row(row.id),
    ...lists.flatMap((list) => list.entering(row)),
    ...tagsOfAppend(groupHistory, row),
  ];
}
export function deleted(row: Thing): string[] {
  return [
    thing.row(row.id),
    ...lists.flatMap((list) => list.leaving(row)),
    ...tagsOfAppend(groupHistory, row),
  ];
}
export function updated(prior: Thing, changed: Thing): string[] {
  if (COLUMNS.every((column) => prior[column] === changed[column])) return [];
  const moved = lists.filter((list) =>
    [...list.filter, ...list.orderBy].some(
      ({ property }) => prior[property as keyof Thing] !== changed[property as keyof Thing],
    ),
  );
  return [
    thing.row(changed.id),
    ...moved.flatMap((list) => [...list.leaving(prior), ...list.entering(changed)]),
    ...[prior, changed].flatMap((row) => tagsOfAppend(groupHistory, row)),
  ];
}

export const unique = (tags: readonly string[]) => [...new Set(tags)].sort();
