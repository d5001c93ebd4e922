import { gunzipSync } from 'node:zlib';

/**
 * Unpacks gzip data of one or more members (RFC 1952 §2.2), with their checksums, and stops at the limit.
 *
 * `DecompressionStream` of the runtime unpacks whatever it has been given before its reader takes the first bytes, so a
 * body of 1.5 MB that unpacks to 1.6 GB would end the isolate. It takes a single member, too.
 *
 * @returns the bytes, `too_large` for more than `bytesMax` of them, or `malformed` for data that are not gzip.
 */
export function gunzip(data: Uint8Array, bytesMax: number): Uint8Array | 'malformed' | 'too_large' {
  if (data.length === 0) return 'malformed';
  try {
    return gunzipSync(data, { maxOutputLength: bytesMax });
  } catch (error) {
    return error instanceof RangeError ? 'too_large' : 'malformed';
  }
}
