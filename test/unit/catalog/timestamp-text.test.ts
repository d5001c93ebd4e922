import fc from 'fast-check';
import { expect, it } from 'vitest';
import { timestampText } from '../../../src/define/sort-time.ts';

it.each([
  ['infinity', 'infinity'],
  ['-infinity', '-infinity'],
  ['2026-11-01 10:00:00+00', '2026-11-01T10:00:00.000Z'],
  ['2026-11-01 10:00:00.123456+00', '2026-11-01T10:00:00.123456Z'],
  ['2026-11-01 10:00:00.12+05:30', '2026-11-01T04:30:00.120Z'],
  ['0099-01-01 00:00:00+00', '0099-01-01T00:00:00.000Z'],
  ['12026-05-06 07:08:09+00', '+012026-05-06T07:08:09.000Z'],
  ['0044-03-15 12:00:00+00 BC', '-000043-03-15T12:00:00.000Z'],
  ['0001-06-01 00:00:00+00 BC', '0000-06-01T00:00:00.000Z'],
])('%s is shown as %s', (stored, shown) => {
  expect(timestampText(stored)).toBe(shown);
});

it('equals the text of a Date, for every moment that a Date has exactly', () => {
  const moments = fc.date({
    min: new Date('0001-01-02Z'),
    max: new Date('+100000-01-01Z'),
    noInvalidDate: true,
  });
  fc.assert(
    fc.property(moments, (moment) => {
      const [, year = '', rest = ''] = /^\+?0*(\d{4,})-(.*)Z$/.exec(moment.toISOString()) ?? [];
      expect(timestampText(`${year}-${rest.replace('T', ' ')}+00`)).toBe(moment.toISOString());
    }),
  );
});

it('refuses text that is not a timestamp', () => {
  expect(() => timestampText('yesterday')).toThrow(RangeError);
});
