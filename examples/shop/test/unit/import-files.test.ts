import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { LineIdentity, toCloudEvent } from '../../import/event.ts';
import { type InvoiceLine, parseNumber, parseTime } from '../../import/line.ts';
import { decodeLines } from '../../import/text.ts';
import { HEADER_I, HEADER_II, linesOf, xlsxOf } from './import-fixtures.ts';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'millrace-import-'));
});
afterEach(() => rm(directory, { recursive: true }));

async function write(name: string, content: string | Uint8Array): Promise<string> {
  const path = join(directory, name);
  await writeFile(path, content);
  return path;
}

function idsOf(lines: readonly InvoiceLine[]): string[] {
  const identity = new LineIdentity();
  return lines.map((line) => identity.idOf(line));
}

const LINE: InvoiceLine = {
  invoice: '537434',
  sku: '85123A',
  description: 'WHITE CUP, 7" "GOOD"',
  quantity: 12,
  occurredAt: Date.UTC(2010, 11, 6, 8, 26),
  unitPrice: 2.55,
  customerId: '13085',
  country: 'EIRE',
};
const ROW_II = '537434,85123A," WHITE CUP, 7"" ""GOOD"" ",12,2010-12-06 08:26:00,2.55,13085,EIRE';
const ROW_I = '537434,85123A,"WHITE CUP, 7"" ""GOOD""",12,12/6/2010 8:26,2.550,13085.0,EIRE';

describe('CSV', () => {
  test('both editions give the same line', async () => {
    const second = await linesOf(await write('ii.csv', `${HEADER_II}\r\n${ROW_II}\r\n`));
    const first = await linesOf(await write('i.csv', `${HEADER_I}\n${ROW_I}`));
    expect(second).toEqual([LINE]);
    expect(first).toEqual([LINE]);
  });

  test('recognises gzip by its bytes, not by its name', async () => {
    expect(await linesOf(await write('x.csv', gzipSync(`${HEADER_II}\n${ROW_II}\n`)))).toEqual([LINE]);
  });

  test('a gzip file that is cut off is a clear failure', async () => {
    const packed = gzipSync(`${HEADER_II}\n${`${ROW_II}\n`.repeat(200)}`);
    const path = await write('x.csv.gz', packed.subarray(0, packed.length - 20));
    await expect(linesOf(path)).rejects.toThrow(/damaged or cut off/);
  });

  test('Latin-1 behind a byte-order mark, and UTF-8 beside it', async () => {
    const latin1 = Buffer.from('1,gift,Voucher £5 ÅÄÖ,1,2010-12-06 08:26:00,5,,EIRE\n', 'latin1');
    const utf8 = Buffer.from('2,gift,Voucher £5 ÅÄÖ,1,2010-12-06 08:26:00,5,,EIRE\n', 'utf8');
    const path = await write('x.csv', Buffer.concat([Buffer.from(`\ufeff${HEADER_II}\n`), latin1, utf8]));
    const lines = await linesOf(path);
    expect(lines.map((line) => line.description)).toEqual(['Voucher £5 ÅÄÖ', 'Voucher £5 ÅÄÖ']);
    expect(lines[0]?.customerId).toBeNull();
  });

  test('an unknown header is named', async () => {
    const path = await write('x.csv', 'id,sku,Quantity\n1,2,3\n');
    await expect(linesOf(path)).rejects.toThrow(/found: +"id", "sku", "Quantity"\n.*missing: +invoice, sku/s);
  });

  test('keeps a value unchanged that it cannot read', async () => {
    const rows = ['1,2,,twelve,2010-02-30 10:00:00,"1,50",,EIRE', '7,8'];
    const [line, short] = await linesOf(await write('x.csv', [HEADER_II, ...rows].join('\n')));
    expect(line).toMatchObject({ quantity: 'twelve', occurredAt: '2010-02-30 10:00:00', unitPrice: '1,50' });
    expect(line?.description).toBeNull();
    expect(short).toMatchObject({ invoice: '7', sku: '8', quantity: '', occurredAt: '' });
  });

  test('an empty file, a UTF-16 file and a missing one fail clearly', async () => {
    await expect(linesOf(await write('x.csv', ''))).rejects.toThrow('The file is empty.');
    await expect(
      linesOf(await write('y.csv', Buffer.from(`\ufeff${HEADER_II}\n`, 'utf16le'))),
    ).rejects.toThrow('UTF-16');
    await expect(linesOf(join(directory, 'none.csv'))).rejects.toThrow('ENOENT');
  });

  test('decoding does not depend on where the chunks are cut', async () => {
    const line = fc.oneof(
      fc.string({ unit: 'grapheme' }).map((text) => Buffer.from(text)),
      fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes)),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(line), fc.array(fc.nat(300)), async (lines, cuts) => {
        const bytes = Buffer.concat(lines.flatMap((part) => [part, Buffer.from('\n')]));
        const text = async (at: number[]): Promise<string> => {
          const edges = [0, ...at.toSorted((a, b) => a - b), bytes.length];
          async function* chunks() {
            for (const [index, edge] of edges.entries()) yield bytes.subarray(edge, edges[index + 1]);
          }
          let joined = '';
          for await (const piece of decodeLines(chunks())) joined += piece;
          return joined;
        };
        expect(await text(cuts.filter((cut) => cut < bytes.length))).toBe(await text([]));
      }),
    );
  });
});

describe('XLSX', () => {
  const header = HEADER_II.split(',');
  // 2010-12-06 08:26 as Excel keeps it: a binary fraction of a day.
  const serial = 40518 + (8 * 60 + 26) / 1440;
  const row = [
    '537434',
    '85123A',
    ' WHITE CUP, 7" "GOOD" ',
    12,
    serial,
    'raw:2.5499999999999998',
    13085,
    'EIRE',
  ];

  test('two sheets, shared and inline strings, serial dates, missing cells', async () => {
    const plain = ['raw:5.37435E5', 'raw:22041.0', 'inline:A & B', -1, serial + 1, 0, null, 'inline:EIRE'];
    const lines = await linesOf(
      await write(
        'x.xlsx',
        xlsxOf([
          [header, row],
          [header, plain, [null]],
        ]),
      ),
    );
    const other = {
      ...LINE,
      invoice: '537435',
      sku: '22041',
      description: 'A & B',
      quantity: -1,
      unitPrice: 0,
    };
    expect(lines).toEqual([LINE, { ...other, customerId: null, occurredAt: Date.UTC(2010, 11, 7, 8, 26) }]);
  });

  test('a workbook that counts from 1904', async () => {
    const early = row.with(4, serial - 1462);
    expect(await linesOf(await write('x.xlsx', xlsxOf([[header, early]], 'date1904="1"')))).toEqual([LINE]);
  });

  test('an unknown sheet, another archive and a cut file fail clearly', async () => {
    await expect(linesOf(await write('x.xlsx', xlsxOf([[['a', 'b']]])))).rejects.toThrow(/found: +"a", "b"/);
    await expect(linesOf(await write('y.xlsx', xlsxOf([])))).rejects.toThrow('not a workbook');
    const whole = xlsxOf([[header, ...Array.from({ length: 99 }, () => row)]]);
    await expect(linesOf(await write('z.xlsx', whole.subarray(0, 500)))).rejects.toThrow(
      /damaged or cut off/,
    );
  });
});

describe('ids', () => {
  test('are equal over the editions and over CSV and XLSX', async () => {
    const cells = ['537434', '85123A', 'WHITE CUP, 7" "GOOD"', 12, 40518 + 506 / 1440, 2.55, 13085, 'EIRE'];
    const files = [
      await write('ii.csv', `${HEADER_II}\n${ROW_II}\n`),
      await write('i.csv', `${HEADER_I}\n${ROW_I}\n`),
      await write('x.xlsx', xlsxOf([[HEADER_I.split(','), cells]])),
    ];
    const ids = await Promise.all(files.map(async (file) => idsOf(await linesOf(file))[0]));
    expect(new Set(ids).size).toBe(1);
    expect(ids[0]).toMatch(/^537434-85123A-[0-9a-f]{12}-0$/);
  });

  test('equal lines are two lines, though others stand between them', () => {
    const between = { ...LINE, invoice: '537433' };
    const ids = idsOf([LINE, between, LINE]);
    expect(new Set(ids).size).toBe(3);
    expect(ids[2]).toMatch(/-1$/);
  });

  test('a second edition after the first repeats the ids of the days that both have', () => {
    const days = (from: number, to: number): InvoiceLine[] =>
      Array.from({ length: to - from }, (_, day) => ({
        ...LINE,
        occurredAt: Date.UTC(2010, 11, from + day),
      }));
    const merged = idsOf([...days(1, 10), ...days(1, 20)]);
    expect(merged.slice(9, 18)).toEqual(merged.slice(0, 9));
    expect(new Set(merged).size).toBe(19);
  });

  test('any lines within a day get ids of their own, the same in every run', () => {
    const line = fc.record<InvoiceLine>({
      invoice: fc.constantFrom('1', 'C1', '1-2'),
      sku: fc.constantFrom('2', '2-3', 'POST'),
      description: fc.option(fc.constantFrom('a', 'b')),
      quantity: fc.oneof(fc.constantFrom(1, -1), fc.constant('x')),
      occurredAt: fc.oneof(fc.constantFrom(0, 60_000), fc.constant('never')),
      unitPrice: fc.constantFrom(0, 1),
      customerId: fc.option(fc.constant('9')),
      country: fc.constantFrom('EIRE', 'USA'),
    });
    fc.assert(
      fc.property(fc.array(line, { maxLength: 60 }), (lines) => {
        const ids = idsOf(lines);
        expect(new Set(ids).size).toBe(lines.length);
        expect(idsOf(lines)).toEqual(ids);
        // The set of ids is that of the contents: their order within the day does not matter.
        expect(idsOf(lines.toReversed()).toSorted()).toEqual(ids.toSorted());
      }),
    );
  });
});

describe('events', () => {
  test('a purchase', () => {
    const { occurredAt: _, ...data } = LINE;
    expect(toCloudEvent(LINE, { source: '/seed', id: 'x' })).toEqual({
      specversion: '1.0',
      id: 'x',
      source: '/seed',
      type: 'shop.purchase.v1',
      time: '2010-12-06T08:26:00.000Z',
      subject: '85123A',
      datacontenttype: 'application/json',
      data,
    });
  });

  test('a cancelled line is a return of a positive quantity, and raw text stays', () => {
    const context = { source: '/seed', id: 'x', shiftMs: 60_000 };
    const cancelled = toCloudEvent({ ...LINE, invoice: 'C537434', quantity: -12 }, context);
    expect(cancelled).toMatchObject({ type: 'shop.return.v1', data: { quantity: 12 } });
    expect(cancelled.time).toBe('2010-12-06T08:27:00.000Z');
    const broken = toCloudEvent({ ...LINE, invoice: 'C1', quantity: 'x', occurredAt: 'y', sku: '' }, context);
    expect(broken).toMatchObject({ time: 'y', data: { quantity: 'x', sku: '' } });
    expect('subject' in broken).toBe(false);
  });
});

describe('numbers and times', () => {
  test('every instant of a second survives both notations', () => {
    const instant = fc.integer({ min: 0, max: 4_000_000_000 }).map((seconds) => seconds * 1000);
    fc.assert(
      fc.property(instant, (at) => {
        const iso = new Date(at).toISOString();
        const [year, month, day] = [iso.slice(0, 4), Number(iso.slice(5, 7)), Number(iso.slice(8, 10))];
        expect(parseTime(iso.slice(0, 19).replace('T', ' '))).toBe(at);
        expect(parseTime(`${month}/${day}/${year} ${Number(iso.slice(11, 13))}:${iso.slice(14, 19)}`)).toBe(
          at,
        );
      }),
    );
  });

  test.each(['13/12/2010 8:26', '2010-12-06', '2010-12-06 24:00:00', '', '2010-02-29 10:00:00'])(
    'no time: %j',
    (text) => {
      expect(parseTime(text)).toBe(text);
    },
  );

  test.each([' 12 ', '-53594.36', '1e3', '.5', '-0'])('a number: %j', (text) => {
    expect(parseNumber(text)).toBe(Number(text) + 0);
  });

  test.each(['', ' ', '1,000', '0x10', 'Infinity', '1e999', '12 pcs'])('no number: %j', (text) => {
    expect(parseNumber(text)).toBe(text);
  });
});
