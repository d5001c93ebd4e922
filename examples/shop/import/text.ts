import { isUtf8 } from 'node:buffer';
import { ImportError } from './failure.ts';

/** A line end comes within this many bytes, or the file is not text: bounds what is held while looking for it. */
const LINE_BYTES_MAX = 4 * 1024 * 1024;
const LINE_FEED = 0x0a;

const latin1 = new TextDecoder('windows-1252');

/**
 * Decodes bytes to text, cut at line ends.
 *
 * A line that is valid UTF-8 is read as UTF-8 and any other as Windows-1252, the superset of Latin-1 that
 * spreadsheets write. Deciding per line makes the result independent of how the bytes were cut into chunks, so
 * that a resumed import reads the same text. A byte-order mark is dropped.
 */
export async function* decodeLines(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  let pending = Buffer.alloc(0);
  let first = true;
  for await (const chunk of chunks) {
    const joined = Buffer.concat([pending, chunk]);
    const end = joined.lastIndexOf(LINE_FEED) + 1;
    pending = joined.subarray(end);
    if (pending.length > LINE_BYTES_MAX) throw new ImportError('The file is not text: a line has no end.');
    if (end === 0) continue;
    yield decode(first ? withoutMark(joined.subarray(0, end)) : joined.subarray(0, end));
    first = false;
  }
  if (pending.length > 0) yield decode(first ? withoutMark(pending) : pending);
}

function decode(bytes: Buffer): string {
  if (isUtf8(bytes)) return bytes.toString('utf8');
  let text = '';
  for (let start = 0; start < bytes.length; ) {
    const lineFeed = bytes.indexOf(LINE_FEED, start);
    const end = lineFeed === -1 ? bytes.length : lineFeed + 1;
    const line = bytes.subarray(start, end);
    text += isUtf8(line) ? line.toString('utf8') : latin1.decode(line);
    start = end;
  }
  return text;
}

function withoutMark(bytes: Buffer): Buffer {
  const [first, second, third] = bytes;
  if ((first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff)) {
    throw new ImportError('The file is UTF-16; save it as UTF-8 (in a spreadsheet: "CSV UTF-8").');
  }
  return first === 0xef && second === 0xbb && third === 0xbf ? bytes.subarray(3) : bytes;
}
