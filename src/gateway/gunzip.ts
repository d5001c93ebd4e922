/**
 * Unpacks gzip data of one or more members (RFC 1952 §2.2). The platform's decompressor takes a single member, and
 * verifies its checksum and its end. So the data are split where a member may begin: where the bytes up to there do not
 * decompress, no member begins there, and the next place is tried.
 */

/** Bytes that are tried, for each byte of the data. It bounds the work on data that look like many members. */
const TRIED_FACTOR_MAX = 8;
/** The first bytes of a member: its identification and the one compression method, deflate. */
const MAGIC = [0x1f, 0x8b, 0x08] as const;

/** @returns the bytes, `too_large` for more than `bytesMax` of them, or `malformed` for data that are not gzip. */
export async function gunzip(
  data: Uint8Array<ArrayBuffer>,
  bytesMax: number,
): Promise<Uint8Array<ArrayBuffer> | 'malformed' | 'too_large'> {
  if (data.length === 0) return 'malformed';
  const whole = await inflate(data, bytesMax);
  if (whole !== undefined) return whole;
  const chunks: Uint8Array[] = [];
  let unpackedBytes = 0;
  let triedBytes = data.length;
  for (let start = 0; start < data.length; ) {
    let member: Uint8Array<ArrayBuffer> | undefined;
    for (const end of endsOf(data, start)) {
      triedBytes += end - start;
      if (triedBytes > TRIED_FACTOR_MAX * data.length) return 'malformed';
      const unpacked = await inflate(data.subarray(start, end), bytesMax - unpackedBytes);
      if (unpacked === 'too_large') return unpacked;
      if (unpacked === undefined) continue;
      member = unpacked;
      start = end;
      break;
    }
    if (member === undefined) return 'malformed';
    chunks.push(member);
    unpackedBytes += member.length;
  }
  return joined(chunks, unpackedBytes);
}

/** The places where the member that begins at `start` may end, in order: where another may begin, and the end. */
function* endsOf(data: Uint8Array, start: number): Generator<number> {
  for (let at = data.indexOf(MAGIC[0], start + 1); at !== -1; at = data.indexOf(MAGIC[0], at + 1))
    if (data[at + 1] === MAGIC[1] && data[at + 2] === MAGIC[2]) yield at;
  yield data.length;
}

/**
 * Unpacks one member, and stops at the limit: a few kilobytes can unpack to gigabytes.
 *
 * @returns undefined for data that are not exactly one member.
 */
async function inflate(
  member: Uint8Array<ArrayBuffer>,
  bytesMax: number,
): Promise<Uint8Array<ArrayBuffer> | 'too_large' | undefined> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  try {
    for await (const chunk of new Blob([member]).stream().pipeThrough(new DecompressionStream('gzip'))) {
      bytes += chunk.byteLength;
      if (bytes > bytesMax) return 'too_large';
      chunks.push(chunk);
    }
  } catch {
    return undefined;
  }
  return joined(chunks, bytes);
}

/** The chunks as one array of this many bytes. */
export function joined(chunks: readonly Uint8Array[], bytes: number): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(bytes);
  let offset = 0;
  for (const chunk of chunks) {
    whole.set(chunk, offset);
    offset += chunk.byteLength;
  }
  return whole;
}
