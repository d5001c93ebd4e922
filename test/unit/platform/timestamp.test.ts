import fc from 'fast-check';
import { expect, it } from 'vitest';
import { parseTimestamp } from '../../../src/platform/timestamp.ts';

it('is parsed to its moment, with any offset and in either case', () => {
  const moment = fc.date({
    min: new Date('0001-01-02T00:00:00Z'),
    max: new Date('9998-12-31T00:00:00Z'),
    noInvalidDate: true,
  });
  const offset = fc.integer({ min: -1_439, max: 1_439 });
  fc.assert(
    fc.property(moment, offset, fc.boolean(), fc.stringMatching(/^\d{0,9}$/), (at, minutes, lower, more) => {
      const local = new Date(at.getTime() + minutes * 60_000).toISOString().slice(0, -1);
      const pad = (value: number) => String(value).padStart(2, '0');
      const away = Math.abs(minutes);
      const text = `${local}${more}${minutes < 0 ? '-' : '+'}${pad(Math.floor(away / 60))}:${pad(away % 60)}`;
      expect(parseTimestamp(lower ? text.toLowerCase() : text)).toBe(at.getTime());
    }),
  );
});

it.each([
  ['2016-12-31T23:59:60Z', '2017-01-01T00:00:00.000Z'],
  ['2016-12-31t18:59:60.5-05:00', '2017-01-01T00:00:00.000Z'],
  ['2024-02-29T00:00:00Z', '2024-02-29T00:00:00.000Z'],
  ['0099-06-01T00:00:00z', '0099-06-01T00:00:00.000Z'],
])('%s is %s', (text, expected) => {
  expect(new Date(parseTimestamp(text) ?? Number.NaN).toISOString()).toBe(expected);
});

it.each([
  '2026-11-20T10:00:60Z',
  '2026-02-29T00:00:00Z',
  '2026-11-20T24:00:00Z',
  '2026-11-20T10:00Z',
  '2026-11-20T10:00:00',
  '2026-11-20 10:00:00Z',
  '+12026-11-20T10:00:00Z',
  '2026-11-20T10:00:00+24:00',
  '2026-11-20T10:00:00,5Z',
  '',
])('%s is not a timestamp of RFC 3339', (text) => {
  expect(parseTimestamp(text)).toBeUndefined();
});
