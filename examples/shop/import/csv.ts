import { pipeline, type Readable, type Transform } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { type CsvError, parse } from 'csv-parse';
import { type Columns, detectColumns } from './columns.ts';
import { ImportError } from './failure.ts';
import { type InvoiceLine, type LineField, parseLine } from './line.ts';
import { decodeLines } from './text.ts';

/** Lines handed on at once: enough to make the hand-over cheap, few enough to hold. */
const CHUNK_LINES = 500;
/** A record has eight short fields; a longer one comes from a quote that is never closed. */
const RECORD_CHARACTERS_MAX = 256 * 1024;

/** Reads the lines of a CSV file, gzipped or not, in chunks. */
export async function* readCsv(file: Readable, gzipped: boolean): AsyncGenerator<InvoiceLine[]> {
  const records = parseRecords(file, gzipped);
  let columns: Columns | null = null;
  let lines: InvoiceLine[] = [];
  try {
    for await (const record of records as AsyncIterable<string[]>) {
      if (columns === null) {
        columns = detectColumns(record);
        continue;
      }
      lines.push(toLine(record, columns));
      if (lines.length < CHUNK_LINES) continue;
      yield lines;
      lines = [];
    }
  } catch (error) {
    throw readable(error);
  }
  if (columns === null) throw new ImportError('The file is empty.');
  if (lines.length > 0) yield lines;
}

function parseRecords(file: Readable, gzipped: boolean): Transform {
  const parser = parse({
    relax_column_count: true,
    relax_quotes: true,
    skip_empty_lines: true,
    max_record_size: RECORD_CHARACTERS_MAX,
  });
  // The parser is destroyed with the error of any stream before it, where the loop over its records sees it.
  const seenByTheLoop = (): void => {};
  if (gzipped) pipeline(file, createGunzip(), decodeLines, parser, seenByTheLoop);
  else pipeline(file, decodeLines, parser, seenByTheLoop);
  return parser;
}

function toLine(record: readonly string[], columns: Columns): InvoiceLine {
  const text = (field: LineField): string => record[columns[field]] ?? '';
  return parseLine({
    invoice: text('invoice'),
    sku: text('sku'),
    description: text('description'),
    quantity: text('quantity'),
    occurredAt: text('occurredAt'),
    unitPrice: text('unitPrice'),
    customerId: text('customerId'),
    country: text('country'),
  });
}

function readable(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const code = (error as NodeJS.ErrnoException | CsvError).code ?? '';
  if (code.startsWith('CSV_')) return new ImportError(`The CSV cannot be read: ${error.message}`);
  if (code.startsWith('Z_')) return new ImportError(`The gzip file is damaged or cut off: ${error.message}`);
  return error;
}
