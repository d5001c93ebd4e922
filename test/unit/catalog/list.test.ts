import type { PgColumn } from 'drizzle-orm/pg-core';
import { integer, numeric, pgTable, text, timestamp } from 'drizzle-orm/pg-core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { entity } from '../../../src/define/entity.ts';
import type { ListDefinition } from '../../../src/define/list-types.ts';
import { product } from '../../support/catalog/entities.ts';
import { products } from '../../support/catalog/tables.ts';
import { mistakeOf } from '../../support/catalog-mistakes.ts';

const things = pgTable('things', {
  id: text('id').primaryKey(),
  name: text('name').notNull(),
  group: text('group'),
  rank: integer('rank').notNull(),
  price: numeric('price', { precision: 8, scale: 2, mode: 'number' }).notNull(),
  exact: numeric('exact').notNull(),
  at: timestamp('at').notNull(),
});
const declared = { name: 'thing', table: things, key: things.id, keySchema: z.string() };
const { lists } = entity({
  ...declared,
  lists: {
    byId: { orderBy: things.id, digits: 8 },
    byName: { orderBy: things.name, digits: 10 },
    byPrice: { orderBy: things.price, digits: 10 },
    byRank: { orderBy: things.rank, filter: [things.group] },
  },
});

const storableText = fc.string({ unit: 'binary', maxLength: 5 }).filter((value) => !value.includes('\u0000'));
const row = fc.record({
  id: fc.oneof(storableText, fc.string({ unit: fc.constantFrom('a', 'b', '\u0001'), maxLength: 4 })),
  name: fc.oneof(storableText, fc.constantFrom('', 'a', 'ab', 'a\u0001')),
  group: fc.constantFrom<string>('x', 'y'),
  rank: fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
  price: fc
    .oneof(fc.integer({ min: -99_999_999, max: 99_999_999 }), fc.integer({ min: 0, max: 3 }))
    .map((minor) => minor / 100),
});
type Row = typeof row extends fc.Arbitrary<infer Value> ? Value : never;

const bytes = (value: string) => Buffer.from(value, 'utf8');
const orders: Record<string, (a: Row, b: Row) => number> = {
  byId: (a, b) => bytes(a.id).compare(bytes(b.id)),
  byName: (a, b) => bytes(a.name).compare(bytes(b.name)) || bytes(a.id).compare(bytes(b.id)),
  byPrice: (a, b) => a.price - b.price || bytes(a.id).compare(bytes(b.id)),
  byRank: (a, b) => a.rank - b.rank || bytes(a.id).compare(bytes(b.id)),
};

describe.each(Object.entries<ListDefinition>(lists))('the list %s', (name, list) => {
  const order = orders[name] as (a: Row, b: Row) => number;
  const meets = (page: readonly string[], of: Row) => list.entering(of).some((tag) => page.includes(tag));
  const rows = fc.uniqueArray(row, { minLength: 1, maxLength: 8, selector: ({ id }) => id });

  it('has a page that depends on every row that could enter it', () => {
    fc.assert(
      fc.property(rows, row, fc.nat(3), fc.nat(3), (all, other, from, count) => {
        const inGroup = [...all].map((one) => ({ ...one, group: 'x' })).sort(order);
        const after = from === 0 ? undefined : inGroup[from - 1];
        const shown = inGroup.slice(from, from + count);
        const full = shown.length === count && count > 0;
        const page = list.page({ filter: { group: 'x' }, after, rows: shown, full });
        const last = shown.at(-1);
        const isAfter = after === undefined || order(other, after) > 0;
        const isBefore = !full || last === undefined || order(other, last) <= 0;
        const listed = list.filter.length === 0 || other.group === 'x';
        if (isAfter && isBefore && listed) expect(meets(page, other)).toBe(true);
        for (const one of shown) expect(page).toContain(`thing:${one.id}`);
        if (!listed) expect(meets(page, other)).toBe(false);
        expect(list.entering(other).includes(list.whole({ group: 'x' }))).toBe(listed);
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('a page', () => {
  const page = (after: string | undefined, rows: readonly string[], full: boolean) =>
    new Set(
      product.lists.bySku.page({
        after: after === undefined ? undefined : { sku: after },
        rows: rows.map((sku) => ({ sku })),
        full,
      }),
    );
  const enters = (tags: ReadonlySet<string>, sku: string) =>
    product.lists.bySku.entering({ sku }).some((tag) => tags.has(tag));

  it('depends on rows that could enter it, and not on rows far from its ends', () => {
    const pages = {
      first: page(undefined, ['10002', '10135'], true),
      second: page('10135', ['15034', '17003'], true),
      late: page('84029E', ['84406B', '84978'], true),
      last: page('84978', ['85123A', 'POST'], false),
    };
    const entered = (sku: string) =>
      Object.entries(pages).flatMap(([name, tags]) => (enters(tags, sku) ? [name] : []));
    expect(['0', '10000', '10200', '12000', '21000', '30000', '84500', '90000', 'é'].map(entered)).toEqual([
      ['first'],
      // The second page's range begins in the same thousand: its end is cut no finer than the bound allows.
      ['first', 'second'],
      ['second'],
      ['second'],
      [],
      [],
      ['late', 'last'],
      ['last'],
      ['last'],
    ]);
  });

  it('does not change with rows after its last one, if it is full', () => {
    expect(enters(page('90001', ['90002'], true), '90003')).toBe(false);
    expect(enters(page('90001', ['90002'], false), '90003')).toBe(true);
  });

  it('of an unsorted or impossible answer is refused', () => {
    expect(() => page('90002', ['90001'], true)).toThrow(RangeError);
    expect(() =>
      product.lists.byPrice.page({ rows: [{ sku: 'a', unitPrice: 0.00001 }], full: true }),
    ).toThrow(/not a value/);
    expect(() => product.lists.bySku.page({ rows: [{ sku: 'a\u0000' }], full: true })).toThrow(/not a value/);
    const byRank: ListDefinition = lists.byRank;
    expect(() => byRank.page({ rows: [], full: false })).toThrow(/"group"/);
  });
});

describe('a declaration', () => {
  const declare = (orderBy: PgColumn, more: object = {}) =>
    entity({ ...declared, lists: { broken: { orderBy, ...more } } });

  it('is refused if JavaScript cannot reproduce the order or equality of the database', () => {
    expect(mistakeOf(declare(things.group))).toMatch(/may be null/);
    expect(mistakeOf(declare(things.exact))).toMatch(/cannot be ordered/);
    expect(mistakeOf(declare(things.id, { filter: [things.price] }))).toMatch(/cannot be filtered/);
    const five = Array.from({ length: 5 }, () => things.name);
    expect(mistakeOf(declare(things.id, { filter: five }))).toMatch(/filters/);
    expect(mistakeOf(declare(things.id, { digits: 0 }))).toMatch(/digits/);
    expect(mistakeOf(declare(products.sku))).toMatch(/another table/);
  });

  it('leaves a row without a value for its filter out of every list', () => {
    const row = { id: 'a', rank: 1, group: null };
    expect([lists.byRank.entering(row), lists.byRank.leaving(row)]).toEqual([[], []]);
  });
});
