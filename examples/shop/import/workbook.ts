import { SaxesParser } from 'saxes';

/** A cell as the sheet holds it. `number` cells carry dates too: only the column tells. */
export interface Cell {
  readonly text: string;
  readonly kind: 'text' | 'number';
}

/** Takes the XML of one part of a workbook in pieces of any size. */
export interface PartReader {
  write(text: string): void;
}

const MILLISECONDS_PER_DAY = 86_400_000;
/** The serial number of 1970-01-01 in workbooks that count from 1900, and from 1904. */
const UNIX_EPOCH_SERIAL_1900 = 25_569;
const UNIX_EPOCH_SERIAL_1904 = 24_107;

/**
 * The local time that a date's serial number means, as ISO 8601 text with a blank. Serials are binary fractions
 * of a day, so the nearest second is what was typed.
 */
export function serialToLocalTime(serial: number, from1904: boolean): string | null {
  const days = serial - (from1904 ? UNIX_EPOCH_SERIAL_1904 : UNIX_EPOCH_SERIAL_1900);
  const date = new Date(Math.round((days * MILLISECONDS_PER_DAY) / 1000) * 1000);
  return Number.isNaN(date.getTime()) ? null : date.toISOString().slice(0, 19).replace('T', ' ');
}

/** Reads `xl/sharedStrings.xml` (ECMA-376 part 1, 18.4): the texts that cells refer to by position. */
export function sharedStringsReader(strings: string[]): PartReader {
  let text = '';
  let inText = false;
  let inPhonetic = false;
  return part({
    open: (name) => {
      if (name === 'si') text = '';
      else if (name === 'rPh') inPhonetic = true;
      else if (name === 't') inText = !inPhonetic;
    },
    text: (piece) => {
      if (inText) text += piece;
    },
    close: (name) => {
      if (name === 't') inText = false;
      else if (name === 'rPh') inPhonetic = false;
      else if (name === 'si') strings.push(text);
    },
  });
}

/** Reads the one property of `xl/workbook.xml` that changes what a date's number means. */
export function workbookReader(onDate1904: () => void): PartReader {
  return part({
    open: (name, attributes) => {
      const flag = name === 'workbookPr' ? attributes['date1904'] : undefined;
      if (flag === '1' || flag === 'true') onDate1904();
    },
    text: () => {},
    close: () => {},
  });
}

/** Reads the rows of a worksheet (ECMA-376 part 1, 18.3.1). Cells that are absent are empty texts. */
export function worksheetReader(strings: readonly string[], onRow: (cells: Cell[]) => void): PartReader {
  let row: Cell[] = [];
  let column = 0;
  let type = 'n';
  let text = '';
  let collecting = false;
  return part({
    open: (name, attributes) => {
      if (name === 'row') {
        row = [];
        column = 0;
      } else if (name === 'c') {
        column = columnOf(attributes['r']) ?? column;
        type = attributes['t'] ?? 'n';
        text = '';
      } else if (name === 'v' || name === 't') {
        collecting = true;
      }
    },
    text: (piece) => {
      if (collecting) text += piece;
    },
    close: (name) => {
      if (name === 'v' || name === 't') {
        collecting = false;
      } else if (name === 'c') {
        while (row.length < column) row.push({ text: '', kind: 'text' });
        row[column] = cellOf(type, text, strings);
        column += 1;
      } else if (name === 'row') {
        onRow(row);
      }
    },
  });
}

function cellOf(type: string, text: string, strings: readonly string[]): Cell {
  if (type === 's') return { text: strings[Number(text)] ?? text, kind: 'text' };
  const number = Number(text);
  if (type !== 'n' || text.trim() === '' || !Number.isFinite(number)) return { text, kind: 'text' };
  // A spreadsheet may write 2.55 as 2.5499999999999998: the shortest text of the same number is meant.
  return { text: String(number), kind: 'number' };
}

/** The position that the letters of a cell's reference name: A is 0, AB is 27. */
function columnOf(reference: string | undefined): number | null {
  const letters = /^[A-Z]{1,3}/.exec(reference ?? '')?.[0];
  if (letters === undefined) return null;
  let position = 0;
  for (const letter of letters) position = position * 26 + letter.charCodeAt(0) - 64;
  return position - 1;
}

interface PartHandlers {
  readonly open: (name: string, attributes: Record<string, string>) => void;
  readonly text: (piece: string) => void;
  readonly close: (name: string) => void;
}

function part(handlers: PartHandlers): PartReader {
  const parser = new SaxesParser({ xmlns: false, position: false });
  parser.on('opentag', (tag) => handlers.open(localName(tag.name), tag.attributes));
  parser.on('text', handlers.text);
  parser.on('closetag', (tag) => handlers.close(localName(tag.name)));
  return { write: (text) => void parser.write(text) };
}

function localName(name: string): string {
  const colon = name.indexOf(':');
  return colon === -1 ? name : name.slice(colon + 1);
}
