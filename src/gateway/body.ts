import { Failure } from '../platform/failure.ts';
import { isTooDeep, JSON_DEPTH_MAX } from '../platform/json-depth.ts';

/**
 * Reads a JSON body. The limit applies to the body as it is sent and, where it is gzipped, to the unpacked body too.
 *
 * @throws Failure `unsupported_media_type`, `unsupported_encoding`, `malformed_encoding`, `body_too_large`,
 *   `malformed_json`.
 */
export async function readJson(
  request: Request,
  options: { readonly bytesMax: number; readonly types: readonly string[] | 'any' },
): Promise<unknown> {
  const type = mediaType(request);
  if (options.types !== 'any' && !options.types.includes(type)) {
    await request.body?.cancel();
    throw new Failure(
      'unsupported_media_type',
      `Send ${options.types.join(' or ')}, not ${type || 'nothing'}.`,
      {
        pointer: 'Content-Type',
      },
    );
  }
  const text = decode(await readBytes(request, options.bytesMax));
  return parseJson(text);
}

function parseJson(text: string): unknown {
  if (isTooDeep(text))
    throw new Failure('malformed_json', `The body is nested deeper than ${JSON_DEPTH_MAX}.`);
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Failure('malformed_json', error instanceof Error ? error.message : 'The body is not JSON.');
  }
}

/** The media type of a request without its parameters, lower case. */
export function mediaType(request: Request): string {
  return (request.headers.get('content-type') ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '';
}

async function readBytes(request: Request, bytesMax: number): Promise<Uint8Array> {
  const encoding = (request.headers.get('content-encoding') ?? 'identity').trim().toLowerCase();
  if (encoding !== 'identity' && encoding !== 'gzip') {
    await request.body?.cancel();
    throw new Failure('unsupported_encoding', 'Send the body as it is, or gzipped.', {
      pointer: 'Content-Encoding',
    });
  }
  const sent = await readSent(request, bytesMax);
  return encoding === 'gzip' ? await unzip(sent, bytesMax) : sent;
}

/** Stops unpacking at the limit: a few kilobytes can unpack to gigabytes. */
async function unzip(sent: Uint8Array<ArrayBuffer>, bytesMax: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  try {
    for await (const chunk of new Blob([sent]).stream().pipeThrough(new DecompressionStream('gzip'))) {
      bytes += chunk.byteLength;
      if (bytes > bytesMax) break;
      chunks.push(chunk);
    }
  } catch {
    throw new Failure('malformed_encoding', 'The body is not gzip, or not all of it.');
  }
  if (bytes > bytesMax)
    throw new Failure('body_too_large', `Unpacked, the body has more than ${bytesMax} bytes.`);
  return joined(chunks, bytes);
}

async function readSent(request: Request, bytesMax: number): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  // A body that is too large is read to its end and discarded: a proxy whose upload is cut off may break other
  // requests.
  for await (const chunk of request.body ?? []) {
    bytes += chunk.byteLength;
    if (bytes <= bytesMax) chunks.push(chunk);
  }
  if (bytes > bytesMax) {
    throw new Failure('body_too_large', `The body has ${bytes} bytes; ${bytesMax} are the most.`);
  }
  return joined(chunks, bytes);
}

function joined(chunks: readonly Uint8Array[], bytes: number): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(bytes);
  let offset = 0;
  for (const chunk of chunks) {
    whole.set(chunk, offset);
    offset += chunk.byteLength;
  }
  return whole;
}

function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: false }).decode(bytes);
  } catch {
    throw new Failure('malformed_json', 'The body is not UTF-8.');
  }
}
