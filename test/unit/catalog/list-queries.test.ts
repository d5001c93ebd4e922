import { boolean, integer, PgDialect, pgTable, text, timestamp } from 'drizzle-orm/pg-core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { entity } from '../../../src/define/entity.ts';
import { descending } from '../../../src/define/list.ts';
import { CURSOR_CHARACTERS_MAX } from '../../../src/define/list-cursor.ts';
import { timeFromText, timeToText } from '../../../src/define/sort-time.ts';

const stations = pgTable('stations', {
  city: text('city').notNull(),
  number: integer('number').notNull(),
  name: text('name').notNull(),
  bikes: integer('bikes').notNull(),
  open: boolean('open').notNull(),
  owner: text('owner').notNull(),
  seenAt: timestamp('seen_at', { withTimezone: true }).notNull(),
  reportedAt: timestamp('reported_at', { withTimezone: true, mode: 'string' }).notNull(),
});
const { lists } = entity({
  name: 'station',
  table: stations,
  key: [stations.city, stations.number],
  lists: {
    most: { orderBy: [descending(stations.bikes), stations.name], range: stations.bikes },
    fewest: { orderBy: stations.bikes, range: stations.bikes },
    latest: { orderBy: descending(stations.reportedAt), range: stations.reportedAt },
    seen: { orderBy: stations.seenAt },
    of: { orderBy: stations.name, filter: [stations.city, stations.owner, stations.open] },
  },
});
const dialect = new PgDialect();
const place = { city: 'Bonn', number: 7, name: 'A, b%', bikes: 3 };

describe('the conditions of a list', () => {
  it('compare rows at once in one direction, and column by column in several', () => {
    expect(dialect.sqlToQuery(lists.fewest.after(place))).toMatchObject({
      sql: '("stations"."bikes", "stations"."city" collate "C", "stations"."number") > ($1::integer, $2::text, $3::integer)',
      params: ['3', 'Bonn', '7'],
    });
    const { sql } = dialect.sqlToQuery(lists.most.after(place));
    expect(sql).toMatch(
      /^\("stations"\."bikes" <= \$1::integer and \("stations"\."bikes" < \$2::integer or /,
    );
  });

  it('come from filter and range, or are empty', () => {
    expect(lists.most.where({})).toBeUndefined();
    const filter = { city: 'Bonn', owner: 'x', open: true };
    expect(dialect.sqlToQuery(lists.of.where({ filter }) ?? lists.of.after(place))).toMatchObject({
      sql: '("stations"."city" = $1 and "stations"."owner" = $2 and "stations"."open" = $3::boolean)',
      params: ['Bonn', 'x', 'true'],
    });
    const bounds = { gte: '2026-01-02T03:04:05.000006+01:00', lt: '2026-02-01' };
    expect(
      dialect.sqlToQuery(lists.latest.where({ range: bounds }) ?? lists.latest.after(place)).params,
    ).toEqual(['2026-01-02 02:04:05.000006+00', '2026-02-01 00:00:00.000000+00']);
  });

  it('follow from the table by their types', () => {
    const attempts = [
      // @ts-expect-error: the list has a filter.
      () => lists.of.where({}),
      // @ts-expect-error: a value of another type.
      () => lists.of.where({ filter: { city: 'Bonn', owner: 'x', open: 'true' } }),
      // @ts-expect-error: the range is of numbers.
      () => lists.most.where({ range: { gte: '3' } }),
      // @ts-expect-error: the list has no range.
      () => lists.seen.where({ range: { gte: 3 } }),
      // @ts-expect-error: no column of the table.
      () => lists.fewest.after({ bike: 3 }),
    ];
    for (const attempt of attempts) expect(attempt).toThrow(TypeError);
  });
});

describe('a cursor', () => {
  it('is unique to its row', () => {
    const cursor = lists.most.cursorOf(place);
    expect(Buffer.from(cursor, 'base64url').toString()).toBe('1,3,A%2C b%25,Bonn,7');
    expect(dialect.sqlToQuery(lists.most.after(cursor))).toEqual(dialect.sqlToQuery(lists.most.after(place)));
    expect(lists.most.cursor.parse(cursor)).toBe(cursor);
  });

  it('is refused by another list', () => {
    const isCursor = (text: string) => lists.most.cursor.safeParse(text).success;
    const written = (text: string) => Buffer.from(text).toString('base64url');
    expect(isCursor(written('1,3,A,Bonn,7'))).toBe(true);
    for (const text of [
      '2,3,A,Bonn,7',
      '1,3,A,Bonn',
      '1,3,A,Bonn,7,8',
      '1,03,A,Bonn,7',
      '1,x,A,Bonn,7',
      '1,3,%,Bonn,7',
    ])
      expect([text, isCursor(written(text))]).toEqual([text, false]);
    expect(isCursor(written('1,2147483648,A,Bonn,7'))).toBe(false);
    expect(isCursor(`${written('1,3,A,Bonn,7')}=`)).toBe(false);
    expect(isCursor(Buffer.from([0x31, 0x2c, 0xff]).toString('base64url'))).toBe(false);
    fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 40 }), (text) => !isCursor(text)));
    expect(() => lists.most.after('nonsense')).toThrow(/not a cursor of the list "station\/most"/);
  });

  it('has a bound, and is not made of a Date', () => {
    const long = { ...place, name: 'x'.repeat(CURSOR_CHARACTERS_MAX) };
    expect(() => lists.most.cursorOf(long)).toThrow(RangeError);
    expect(() => lists.seen.cursorOf({ ...place, seenAt: new Date(0) })).toThrow(/cursorColumn/);
  });
});

describe('a filter in tags', () => {
  it('has different texts for different values', () => {
    const value = fc.string({ unit: fc.constantFrom('a', ',', ']', '^', '%', '[', '2C'), maxLength: 6 });
    const values = fc.record({ city: value, owner: value, open: fc.boolean() });
    fc.assert(
      fc.property(values, values, (one, other) => {
        const isSame = JSON.stringify(one) === JSON.stringify(other);
        expect(lists.of.whole(one) === lists.of.whole(other)).toBe(isSame);
      }),
      { numRuns: 3_000 },
    );
  });

  it('is truncated if it is long, so that it always fits', () => {
    const long = { city: ','.repeat(5_000), owner: '😀'.repeat(5_000), open: true };
    expect(lists.of.whole(long).length).toBeLessThan(500);
  });
});

describe('a range of the first column', () => {
  const enters = (tags: readonly string[], bikes: number) =>
    lists.most.entering({ ...place, bikes }).some((tag) => tags.includes(tag));

  it('excludes changes outside its bounds from a page', () => {
    const tags = lists.most.page({ range: { gte: 5, lt: 40 }, rows: [], full: false });
    expect([3, 4, 5, 12, 39, 41, 200].map((bikes) => enters(tags, bikes))).toEqual([
      false,
      false,
      true,
      true,
      true,
      false,
      false,
    ]);
  });

  it('and a cursor and a last row narrow the page further', () => {
    const rows = [{ ...place, bikes: 20 }];
    const tags = lists.most.page({ range: { lte: 40 }, after: { ...place, bikes: 30 }, rows, full: true });
    expect([10, 19, 25, 31, 41].map((bikes) => enters(tags, bikes))).toEqual([
      false,
      false,
      true,
      false,
      false,
    ]);
  });

  it('has only the tag of the list if its bounds exclude each other', () => {
    expect(lists.most.page({ range: { gt: 9, lt: 3 }, rows: [], full: false })).toEqual(['station/most^']);
  });
});

describe('times', () => {
  it('have one text for one moment', () => {
    const micros = fc.bigInt({ min: -211_813_488_000_000_000n, max: 9_223_371_331_199_999_999n });
    fc.assert(
      fc.property(
        micros,
        (value) => timeFromText('timestamp', timeToText('timestamp', value), true) === value,
      ),
    );
    const days = fc.bigInt({ min: -2_451_545n, max: 2_145_031_948n });
    fc.assert(fc.property(days, (value) => timeFromText('date', timeToText('date', value), false) === value));
    expect(timeFromText('timestamp', '2000-01-01 01:00:00+01', true)).toBe(0n);
    expect(timeFromText('date', '1999-12-31', false)).toBe(-1n);
  });

  it('are refused for a day or hour that does not exist', () => {
    for (const text of ['2026-02-29', '2026-13-01', '0000-01-01', '2026-01-01 24:00:00', 'today', '']) {
      expect([text, timeFromText('timestamp', text, true)]).toEqual([text, undefined]);
    }
    expect(timeFromText('timestamp', '2026-01-01 00:00:00Z', false)).toBeUndefined();
  });
});
