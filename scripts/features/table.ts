import { createReadStream } from 'node:fs';
import { createGunzip } from 'node:zlib';
import { parse } from 'csv-parse';
import { UsageError } from '../command-line/options.ts';

/** The rows of a file: texts of a CSV, or any JSON values of JSON lines. */
export interface Table {
  readonly format: 'csv' | 'jsonl';
  /** In the order of the first row; JSON lines may have others later. */
  readonly columns: readonly string[];
  readonly rows: readonly TableRow[];
}

export interface TableRow {
  /** Where it is in the file, from 1. */
  readonly line: number;
  readonly values: Readonly<Record<string, unknown>>;
}

/** A quote that is never closed would make the rest of the file one record. */
const RECORD_CHARACTERS_MAX = 1_048_576;

/**
 * Reads a CSV with a header, or JSON lines if the name ends in `.jsonl`; either may be gzipped (`.gz`).
 *
 * @throws Error that names the line.
 */
export async function readTable(file: string): Promise<Table> {
  const raw = createReadStream(file);
  const bytes = file.endsWith('.gz') ? raw.pipe(createGunzip()) : raw;
  raw.on('error', (error) => bytes.destroy(error));
  try {
    return /\.jsonl(\.gz)?$/.test(file) ? await readJsonLines(bytes) : await readCsv(bytes);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    const isMissing = 'code' in error && (error.code === 'ENOENT' || error.code === 'EISDIR');
    if (isMissing)
      throw new UsageError(`The file ${file} cannot be read: ${String(Reflect.get(error, 'code'))}.`);
    throw new Error(`${file}: ${error.message}`, { cause: error });
  }
}

async function readCsv(bytes: NodeJS.ReadableStream): Promise<Table> {
  const records = bytes.pipe(
    parse({
      bom: true,
      columns: true,
      info: true,
      skip_empty_lines: true,
      max_record_size: RECORD_CHARACTERS_MAX,
    }),
  );
  // A stream that fails does not end the stream that it is piped into.
  bytes.on('error', (error) => records.destroy(error));
  const rows: TableRow[] = [];
  for await (const { record, info } of records) rows.push({ line: info.lines, values: record });
  return { format: 'csv', columns: Object.keys(rows[0]?.values ?? {}), rows };
}

async function readJsonLines(bytes: NodeJS.ReadableStream): Promise<Table> {
  const rows: TableRow[] = [];
  let line = 0;
  for await (const text of linesOf(bytes)) {
    line += 1;
    if (text.trim() === '') continue;
    rows.push({ line, values: objectOf(text, line) });
  }
  return { format: 'jsonl', columns: Object.keys(rows[0]?.values ?? {}), rows };
}

/** Unlike `readline`, it passes on an error of the stream. */
async function* linesOf(bytes: NodeJS.ReadableStream): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of bytes) {
    const text = typeof chunk === 'string' ? chunk : decoder.decode(chunk, { stream: true });
    const parts = (rest + text).split('\n');
    rest = parts.pop() ?? '';
    yield* parts;
  }
  yield rest + decoder.decode();
}

function objectOf(text: string, line: number): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new Error(`line ${line} is no JSON.`, { cause: error });
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Error(`line ${line} is no JSON object.`);
  return value as Readonly<Record<string, unknown>>;
}

/** One row as text, without the end of the line. In a CSV, null is empty and a list is its JSON. */
export function rowText(
  format: Table['format'],
  columns: readonly string[],
  values: Readonly<Record<string, unknown>>,
): string {
  return format === 'jsonl'
    ? JSON.stringify(values)
    : columns.map((column) => field(values[column])).join(',');
}

/** A field of a CSV (RFC 4180). */
function field(value: unknown): string {
  const text =
    value === null || value === undefined
      ? ''
      : typeof value === 'object'
        ? JSON.stringify(value)
        : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
