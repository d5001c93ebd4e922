import { integer, pgTable, primaryKey, text } from 'drizzle-orm/pg-core';
import { describe, expect, expectTypeOf, it } from 'vitest';
import * as z from 'zod';
import { assemble } from '../../../src/define/catalog.ts';
import { entity } from '../../../src/define/entity.ts';
import { type Claims, type Principal, tokenHolder } from '../../../src/define/principal.ts';
import { isLimited, ownerFor } from '../../../src/define/rows.ts';
import { tag } from '../../../src/define/tag.ts';
import { validateCatalog } from '../../../src/define/validate.ts';
import { view } from '../../../src/define/view.ts';
import { assertOwnRow } from '../../../src/gateway/principals/row-access.ts';
import { mistakeOf } from '../../support/catalog-mistakes.ts';

const key = (claims: Claims, id = 'k') =>
  ({ kind: 'key', id, scopes: new Set(), claims }) as const satisfies Principal;
const token = (claims: Claims) => tokenHolder('issuer#subject', [], claims);

describe('the owner for a principal', () => {
  it.each([
    [key({ tenant: 'a' }), 'a'],
    [key({ tenant: '*' }), null],
    [key({ account: 'a' }), undefined],
    [key({}, 'bootstrap'), null],
    [token({ tenant: 'a' }), 'a'],
    // Whoever chooses the name of a tenant at the issuer must not be admitted to all.
    [token({ tenant: '*' }), '*'],
    [token({}), undefined],
    [{ kind: 'anonymous' } as const, undefined],
  ])('%j is %j', (principal, owner) => {
    expect(ownerFor(principal, 'tenant')).toBe(owner);
    expect(ownerFor(principal, 'toString')).toBe(
      principal.kind === 'key' && principal.id === 'bootstrap' ? null : undefined,
    );
  });

  it('a claim that admits to all rows limits nothing', () => {
    expect(
      [key({}), key({ a: '*' }), key({ a: '*', b: '1' }), token({}), token({ a: '*' })].map(isLimited),
    ).toEqual([false, false, true, false, true]);
  });
});

const cells = pgTable(
  'cells',
  { tenant: text('tenant').notNull(), number: integer('number').notNull() },
  (table) => [primaryKey({ columns: [table.tenant, table.number] })],
);
const rooms = pgTable('rooms', { id: integer('id').primaryKey() });

describe('rows of an entity', () => {
  const code = (run: () => void) => {
    try {
      run();
      return 'admitted';
    } catch (error) {
      return Reflect.get(Object(error), 'code');
    }
  };
  const cell = entity({
    name: 'cell',
    table: cells,
    key: [cells.tenant, cells.number],
    rows: { claim: 'tenant', part: 'tenant' },
  });
  const room = entity({ name: 'room', table: rooms, key: rooms.id, rows: { claim: 'room' } });

  it('belong to the part of the key that is named', () => {
    const text = cell.key.textOf({ tenant: 'a,%', number: 7 });
    expect(code(() => assertOwnRow(key({ tenant: 'a,%' }), cell, text, ''))).toBe('admitted');
    expect(code(() => assertOwnRow(key({ tenant: 'a' }), cell, text, ''))).toBe('outside_rows');
    expect(code(() => assertOwnRow(key({ other: 'a' }), cell, text, ''))).toBe('claim_missing');
    expect(code(() => assertOwnRow(key({ tenant: '*' }), cell, text, ''))).toBe('admitted');
  });

  it('belong to the canonical text of the key', () => {
    expect(code(() => assertOwnRow(key({ room: '7' }), room, room.key.textOf('007'), ''))).toBe('admitted');
    expect(code(() => assertOwnRow(key({ room: '007' }), room, '7', ''))).toBe('outside_rows');
  });

  it('are refused to a principal with claims where they declare nothing', () => {
    const open = entity({ name: 'room', table: rooms, key: rooms.id });
    expect(code(() => assertOwnRow(key({ room: '7' }), open, '7', ''))).toBe('rows_not_limited');
    expect(code(() => assertOwnRow(key({}), open, '7', ''))).toBe('admitted');
  });
});

describe('a view with ownRows', () => {
  const common = { description: 'd', response: z.object({ id: z.string() }) };
  const own = view({
    ...common,
    name: 'own',
    path: '/v1/own',
    ownRows: 'tenant',
    load: async (_db, _input, { owner }) => {
      expectTypeOf(owner).toEqualTypeOf<string | null>();
      return { id: owner ?? 'all' };
    },
    tags: () => [tag('own')],
  });

  it('is not loaded without an owner', async () => {
    const request = { input: {}, variant: {}, principal: undefined, now: 0, features: {} };
    const load = async (more: object) => (await own.load({} as never, { ...request, ...more })).value;
    expect(await load({ owner: 'a' })).toEqual({ id: 'a' });
    expect(await load({ owner: null })).toEqual({ id: 'all' });
    await expect(load({})).rejects.toThrow('without an owner');
  });
});

describe('a mistake', () => {
  const common = { name: 'own', path: '/v1/own', description: 'd', response: z.object({}) } as const;
  const read = { load: async () => ({}), tags: () => [] };

  it('is a public view or entity whose rows are limited', () => {
    const own = view({ ...common, ...read, public: true, ownRows: 'tenant' });
    const room = entity({ name: 'room', table: rooms, key: rooms.id, public: true, rows: { claim: 'room' } });
    const problems = validateCatalog(assemble({ things: { own, room } })).map(({ problem }) => problem);
    expect(problems).toEqual(
      expect.arrayContaining([
        expect.stringContaining('public, so readers'),
        expect.stringContaining('features of its rows'),
      ]),
    );
  });

  it('is a view with both declarations, and a key of several columns without the part', () => {
    const both = view({ ...common, ...read, rows: { claim: 'a', of: () => 'a' }, ownRows: 'a' });
    expect(mistakeOf(both)).toContain('both');
    const cell = entity({
      name: 'cell',
      table: cells,
      key: [cells.tenant, cells.number],
      rows: { claim: 'a' },
    });
    expect(mistakeOf(cell)).toContain('tenant, number');
  });
});
