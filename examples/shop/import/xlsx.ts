import { type AsyncFlateStreamHandler, Unzip, type UnzipDecoder, UnzipInflate } from 'fflate';
import { type Columns, detectColumns } from './columns.ts';
import { ImportError } from './failure.ts';
import { type InvoiceLine, type LineField, parseLine } from './line.ts';
import {
  type Cell,
  type PartReader,
  serialToLocalTime,
  sharedStringsReader,
  workbookReader,
  worksheetReader,
} from './workbook.ts';

const SHARED_PARTS = /^xl\/(?:workbook|sharedStrings)\.xml$/;
const SHEET = /^xl\/worksheets\/[^/]+\.xml$/;

/** Chunks of the file from its start: called once for the shared strings and once for the sheets. */
type OpenFile = () => AsyncIterable<Uint8Array>;

interface SheetLines {
  /** Counts the sheets from 0. */
  readonly section: number;
  readonly lines: InvoiceLine[];
}

interface Workbook {
  readonly strings: string[];
  from1904: boolean;
}

/**
 * Reads the lines of every sheet of a workbook.
 *
 * The shared strings stand behind the sheets in the file, so they are read in a pass of their own; they are held
 * in memory (some thousands of descriptions), the sheets are not.
 */
export async function* readXlsx(open: OpenFile): AsyncGenerator<SheetLines> {
  const workbook = await readWorkbook(open);
  let section = -1;
  let ready: SheetLines[] = [];
  const sheet = (): PartReader => {
    section += 1;
    const current = section;
    return sheetReader(workbook, (line) => {
      const last = ready.at(-1);
      if (last?.section === current) last.lines.push(line);
      else ready.push({ section: current, lines: [line] });
    });
  };
  for await (const _ of readParts(open(), SHEET, sheet)) {
    yield* ready;
    ready = [];
  }
  yield* ready;
  if (section === -1)
    throw new ImportError('The file is a ZIP archive, but not a workbook: unpack it first.');
}

async function readWorkbook(open: OpenFile): Promise<Workbook> {
  const workbook: Workbook = { strings: [], from1904: false };
  const setFrom1904 = (): void => {
    workbook.from1904 = true;
  };
  const reader = (name: string): PartReader =>
    name.endsWith('/workbook.xml') ? workbookReader(setFrom1904) : sharedStringsReader(workbook.strings);
  for await (const _ of readParts(open(), SHARED_PARTS, reader));
  return workbook;
}

function sheetReader(workbook: Workbook, onLine: (line: InvoiceLine) => void): PartReader {
  let columns: Columns | null = null;
  return worksheetReader(workbook.strings, (cells) => {
    if (cells.every((cell) => cell.text === '')) return;
    if (columns === null) columns = detectColumns(cells.map((cell) => cell.text));
    else onLine(toLine(cells, columns, workbook.from1904));
  });
}

function toLine(cells: readonly Cell[], columns: Columns, from1904: boolean): InvoiceLine {
  const text = (field: LineField): string => cells[columns[field]]?.text ?? '';
  const date = cells[columns.occurredAt];
  const fromSerial = date?.kind === 'number' ? serialToLocalTime(Number(date.text), from1904) : null;
  return parseLine({
    invoice: text('invoice'),
    sku: text('sku'),
    description: text('description'),
    quantity: text('quantity'),
    occurredAt: fromSerial ?? text('occurredAt'),
    unitPrice: text('unitPrice'),
    customerId: text('customerId'),
    country: text('country'),
  });
}

/** Unpacks the wanted parts into their readers; yields after every chunk, which gives back-pressure. */
async function* readParts(
  chunks: AsyncIterable<Uint8Array>,
  wanted: RegExp,
  readerOf: (name: string) => PartReader,
): AsyncGenerator<void> {
  const unzip = new Unzip((entry) => {
    const name = partName(entry.name);
    const reader = wanted.test(name) ? readerOf(name) : null;
    const decoder = new TextDecoder();
    entry.ondata = (error, data, final) => {
      if (error !== null) throw error;
      reader?.write(decoder.decode(data, { stream: !final }));
    };
    entry.start();
  });
  unzip.register(inflateOnly(wanted));
  try {
    for await (const chunk of chunks) {
      unzip.push(chunk);
      yield;
    }
    unzip.push(new Uint8Array(0), true);
    yield;
  } catch (error) {
    if (error instanceof ImportError) throw error;
    const detail = error instanceof Error ? error.message : String(error);
    throw new ImportError(`The workbook is damaged or cut off: ${detail}`, { cause: error });
  }
}

/**
 * A decoder that unpacks the wanted parts and throws the others away: fflate would hold a part that is not
 * started, and unpacking a sheet only to ignore it takes seconds.
 */
function inflateOnly(wanted: RegExp) {
  return class implements UnzipDecoder {
    static readonly compression = 8;
    readonly #inflate: UnzipInflate | null;
    ondata: AsyncFlateStreamHandler = () => {};

    constructor(name: string) {
      this.#inflate = wanted.test(partName(name)) ? new UnzipInflate() : null;
      if (this.#inflate === null) return;
      this.#inflate.ondata = (error, data, final) => this.ondata(error, data, final);
    }

    push(data: Uint8Array, final: boolean): void {
      this.#inflate?.push(data, final);
    }
  };
}

function partName(entryName: string): string {
  return entryName.replace(/^\//, '');
}
