import { integer, pgTable, text } from 'drizzle-orm/pg-core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { earlierView } from '../../../src/define/earlier-view.ts';
import { NextCursor } from '../../../src/define/list-cursor.ts';
import { ANONYMOUS, type Principal } from '../../../src/define/principal.ts';
import { rowOrder } from '../../../src/define/row-order.ts';
import { type ViewDefinition, type ViewRequest, view } from '../../../src/define/view.ts';
import {
  cursorKey,
  placeOf,
  signCursors,
  verifyCursors,
  withoutSignatures,
} from '../../../src/gateway/cursors.ts';
import { Failure } from '../../../src/platform/failure.ts';

const rides = pgTable('rides', { id: integer('id').primaryKey(), bike: text('bike').notNull() });
const order = rowOrder(rides, rides.bike, rides.id);
const query = {
  after: order.cursor.optional(),
  limit: z.coerce.number().int().default(10),
  district: z.string().optional(),
};
const common = {
  description: 'Rides.',
  query,
  response: z.object({ rides: z.array(z.string()), next: NextCursor }),
  load: async () => ({ rides: [], next: null }),
  tags: () => [],
};
const open = view({ ...common, name: 'open', path: '/v1/open', public: true });
const other = view({ ...common, name: 'other', path: '/v1/other', public: true });
const earlier = earlierView(open, {
  name: 'open-v0',
  path: '/v0/open',
  deprecated: { since: '2026-01-01', sunset: '2027-01-01' },
  response: common.response,
  down: (answer) => answer,
});
const own = view({ ...common, name: 'own', path: '/v1/own', ownRows: 'rider' });
const mine = view({ ...common, name: 'mine', path: '/v1/mine', principal: true });
const VIEWS: readonly ViewDefinition[] = [open, other, earlier, own, mine];

const KEY = cursorKey({ deployment: 'aa', apiKeySha256: 'bb' });
const key = (id: string): Principal => ({ kind: 'key', id, scopes: new Set(['data:read']), claims: {} });

interface Reading extends Pick<ViewRequest, 'principal' | 'owner'> {
  readonly view: ViewDefinition;
  readonly input: { readonly limit: number; readonly district?: string | undefined; readonly after?: string };
}

const district = fc.constantFrom(undefined, 'north', 'south', 'north","limit":"1', '', 'null');
const reading: fc.Arbitrary<Reading> = fc
  .record({
    of: fc.constantFrom(...VIEWS),
    limit: fc.integer({ min: 1, max: 100 }),
    district,
    owner: fc.constantFrom(null, 'null', 'a', 'b'),
    principal: fc.constantFrom(ANONYMOUS, key('a'), key('b')),
  })
  .map(({ of, limit, district: where, owner, principal }) => ({
    view: of,
    input: where === undefined ? { limit } : { limit, district: where },
    principal: of === mine ? principal : undefined,
    owner: of === own ? owner : undefined,
  }));
const place = fc
  .tuple(fc.string({ maxLength: 12 }), fc.integer({ min: -9, max: 9 }))
  .map(([bike, id]) =>
    Buffer.from(`1,${bike.replaceAll('%', '%25').replaceAll(',', '%2C')},${id}`).toString('base64url'),
  );

/** The cursor that the reader of an answer gets. */
function given(by: Reading, next: string | null, signingKey = KEY): unknown {
  const loaded = { value: { rides: [], next }, tags: [], storable: true };
  const { value } = signCursors(signingKey, by.view, by, loaded);
  return (value as { next: unknown }).next;
}

/** What becomes of a cursor that a reader sends: its place, or the failure. */
function sent(by: Reading, cursor: unknown, verifyingKey = KEY): string {
  try {
    const { query: parameters, cursors } = withoutSignatures({ after: String(cursor) }, ['after']);
    const input = { ...by.input, after: parameters['after'] ?? '' };
    if (cursors === undefined) throw new Error('A cursor was sent.');
    // The second time it is known.
    for (let times = 0; times < 2; times += 1)
      verifyCursors(verifyingKey, by.view, { ...by, input }, cursors);
    return `place ${parameters['after']}`;
  } catch (error) {
    if (error instanceof Failure) return `${error.code} ${error.pointer}`;
    throw error;
  }
}
const REFUSED = 'invalid_cursor after';

/** What a cursor belongs to, without the code that is tested. */
function belongs({ view: { name }, input, principal, owner }: Reading): unknown {
  return [name, input.district, principal === undefined ? undefined : [principal.kind, principal], owner];
}
const isSame = (one: unknown, two: unknown) => {
  const plain = (value: unknown) =>
    JSON.stringify(value, (_, member: unknown) =>
      member === undefined ? '(none)' : member instanceof Set ? [...member] : member,
    );
  return plain(one) === plain(two);
};

describe('a signed cursor', () => {
  it('goes on where the page ended, whatever the size of the next page', () => {
    fc.assert(
      fc.property(reading, place, fc.integer({ min: 1, max: 100 }), (by, at, limit) => {
        const cursor = given(by, at);
        expect(cursor).toMatch(/^[\w-]+\.[\w-]{22}$/);
        expect(sent({ ...by, input: { ...by.input, limit } }, cursor)).toBe(`place ${at}`);
      }),
    );
  });

  it('is refused if a single character differs, is missing or is added', () => {
    const characters = fc.constantFrom(
      ...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=%, \n\0é',
    );
    const change = fc.constantFrom('replace', 'remove', 'insert');
    fc.assert(
      fc.property(reading, place, fc.nat(), characters, change, (by, at, index, character, how) => {
        const cursor = String(given(by, at));
        const position = index % cursor.length;
        const damaged =
          cursor.slice(0, position) +
          (how === 'remove' ? '' : character) +
          cursor.slice(how === 'insert' ? position : position + 1);
        fc.pre(damaged !== cursor);
        expect(sent(by, damaged)).toBe(REFUSED);
      }),
      { numRuns: 2_000 },
    );
  });

  it('is refused for another view, other parameters and another reader, and only then', () => {
    let refusals = 0;
    fc.assert(
      fc.property(reading, reading, place, (one, two, at) => {
        const isOwn = isSame(belongs(one), belongs(two));
        if (!isOwn) refusals += 1;
        expect(sent(two, given(one, at))).toBe(isOwn ? `place ${at}` : REFUSED);
      }),
      { numRuns: 2_000 },
    );
    expect(refusals).toBeGreaterThan(1_000);
    expect(refusals).toBeLessThan(2_000);
  });

  it('is refused once the secret or the deployment is another', () => {
    const text_ = fc.string({ maxLength: 4 });
    const config = fc.record({ deployment: text_, apiKeySha256: text_ });
    fc.assert(
      fc.property(reading, place, config, config, (by, at, one, two) => {
        const cursor = given(by, at, cursorKey(one));
        expect(sent(by, cursor, cursorKey(two))).toBe(isSame(one, two) ? `place ${at}` : REFUSED);
      }),
    );
  });

  it('that has no signature is refused, and so is an invented one', () => {
    fc.assert(
      fc.property(reading, place, fc.stringMatching(/^[\w-]{22}$/), (by, at, signature) => {
        expect(sent(by, at)).toBe(REFUSED);
        expect(sent(by, `${at}.`)).toBe(REFUSED);
        expect(sent(by, `${at}.${signature}`)).toBe(REFUSED);
      }),
    );
  });

  it('that was verified for one reader is verified again for the next, at an address that the isolate knows', () => {
    let refusals = 0;
    const readers = fc.array(fc.nat(7), { minLength: 2, maxLength: 6 });
    fc.assert(
      fc.property(fc.constantFrom(own, mine), place, readers, (of, at, asking) => {
        const input = { limit: 1, after: at };
        const by = (index: number): Reading => ({
          view: of,
          input,
          owner: of === own ? [null, 'null', 'a', 'b'][index % 4] : undefined,
          principal: of === mine ? [ANONYMOUS, key('a'), key('b'), key('A')][index % 4] : undefined,
        });
        // The address, and so the cursor, is that of the first reader.
        const first = by(asking[0] ?? 0);
        const { cursors } = withoutSignatures({ after: String(given(first, at)) }, ['after']);
        if (cursors === undefined) throw new Error('A cursor was sent.');
        for (const index of asking) {
          const reader = by(index);
          const verify = () => verifyCursors(KEY, of, reader, cursors);
          if (isSame(belongs(reader), belongs(first))) verify();
          else {
            refusals += 1;
            expect(verify).toThrow(/another reader/);
          }
        }
      }),
    );
    expect(refusals).toBeGreaterThan(50);
  });

  it('names the same place in an address of an operator, with and without its signature', () => {
    fc.assert(
      fc.property(reading, place, (by, at) => {
        expect([placeOf(String(given(by, at))), placeOf(at)]).toEqual([at, at]);
      }),
    );
  });
});

it('the last page has no cursor, and neither has an answer of a view without lists', () => {
  const by: Reading = { view: open, input: { limit: 1 }, principal: undefined, owner: undefined };
  expect(given(by, null)).toBeNull();
  const plain = view({
    name: 'plain',
    path: '/v1/plain',
    description: 'No list.',
    response: z.object({ next: z.string() }),
    load: async () => ({ next: 'MSwx' }),
    tags: () => [],
  });
  expect(given({ ...by, view: plain }, 'MSwx')).toBe('MSwx');
  const missing = { value: null, tags: [], storable: true };
  expect(signCursors(KEY, open, by, missing)).toBe(missing);
});
