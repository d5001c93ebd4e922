import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { readCsv } from './csv.ts';
import { ImportError } from './failure.ts';
import type { InvoiceLine } from './line.ts';
import { readXlsx } from './xlsx.ts';

export type FileFormat = 'csv' | 'csv.gz' | 'xlsx';

/** Bytes from the start of a file that tell its format and, hashed, tell files apart. */
const HEAD_BYTES = 64 * 1024;
/** Bytes read at once: a sheet unpacks to some ten times as much, which is then held as lines. */
const READ_BYTES = 64 * 1024;

export interface SourceFile {
  readonly path: string;
  readonly format: FileFormat;
  readonly sizeBytes: number;
  readonly head: Uint8Array;
}

export interface SourceChunk {
  /** Counts the sheets of a workbook from 0; always 0 in a CSV file. */
  readonly section: number;
  readonly lines: readonly InvoiceLine[];
  /** Bytes of the file, packed as it is, that were read so far. */
  readonly bytesRead: number;
}

/** Looks at the first bytes of a file; its name says nothing that these do not. */
export async function inspectFile(path: string): Promise<SourceFile> {
  const file = await open(path).catch((error: NodeJS.ErrnoException) => {
    throw new ImportError(`The file ${path} cannot be opened: ${error.code ?? error.message}`);
  });
  try {
    const stats = await file.stat();
    if (!stats.isFile()) throw new ImportError(`${path} is not a file.`);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(HEAD_BYTES), 0, HEAD_BYTES, 0);
    const head = buffer.subarray(0, bytesRead);
    return { path, format: formatOf(head), sizeBytes: stats.size, head };
  } finally {
    await file.close();
  }
}

function formatOf(head: Uint8Array): FileFormat {
  if (head[0] === 0x1f && head[1] === 0x8b) return 'csv.gz';
  if (head[0] === 0x50 && head[1] === 0x4b && head[2] === 0x03 && head[3] === 0x04) return 'xlsx';
  return 'csv';
}

/** Reads all lines of a file in the order in which they stand there, some thousands at once. */
export async function* readSource(file: SourceFile): AsyncGenerator<SourceChunk> {
  let bytesRead = 0;
  const openFile = (): Readable => {
    bytesRead = 0;
    const stream = createReadStream(file.path, { highWaterMark: READ_BYTES });
    stream.on('data', (chunk) => {
      bytesRead += chunk.length;
    });
    return stream.pause();
  };
  if (file.format === 'xlsx') {
    for await (const { section, lines } of readXlsx(openFile)) yield { section, lines, bytesRead };
    return;
  }
  for await (const lines of readCsv(openFile(), file.format === 'csv.gz'))
    yield { section: 0, lines, bytesRead };
}

/** Ends a source early, between two chunks, once the signal is aborted. */
export async function* untilAborted(
  chunks: AsyncIterable<SourceChunk>,
  signal: AbortSignal,
): AsyncGenerator<SourceChunk> {
  for await (const chunk of chunks) {
    if (signal.aborted) return;
    yield chunk;
  }
}

/** The latest time of any line in milliseconds since the Unix epoch, or null if no line has one. */
export async function latestTime(chunks: AsyncIterable<SourceChunk>): Promise<number | null> {
  let latest: number | null = null;
  for await (const { lines } of chunks) {
    for (const { occurredAt } of lines) {
      if (typeof occurredAt === 'number' && (latest === null || occurredAt > latest)) latest = occurredAt;
    }
  }
  return latest;
}
