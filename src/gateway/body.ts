import type { z } from '@hono/zod-openapi';
import { Failure, jsonPointer } from '../platform/failure.ts';
import { parseJson, UNSTORABLE, unstorableAt } from '../platform/json.ts';
import { decodeJsonText } from '../platform/utf8.ts';
import { gunzip } from './gunzip.ts';

/** The most bytes of a body, and the media types that the route takes. */
export interface BodyOptions {
  readonly bytesMax: number;
  readonly types: readonly string[] | 'any';
}

/**
 * Reads a JSON body whose texts and numbers can all be stored as they were sent (I-JSON, RFC 7493, without NUL). Every
 * route but the one for events uses it, so no other code has to check a text of a body for that.
 *
 * @throws Failure as `readRawJson` does; `invalid_request` with the JSON Pointer of a value that cannot be stored.
 */
export async function readJson(request: Request, options: BodyOptions): Promise<unknown> {
  return storable(await readRawJson(request, options));
}

/** As `readJson`, for a route whose body has no member that it requires: no body at all is an empty object. */
export async function readOptionalJson(request: Request, options: BodyOptions): Promise<unknown> {
  return storable((await readRawJson(request, { ...options, isOptional: true })) ?? {});
}

function storable(body: unknown): unknown {
  const pointer = unstorableAt(body);
  if (pointer !== undefined) throw new Failure('invalid_request', UNSTORABLE, { pointer });
  return body;
}

/**
 * Reads a JSON body, whatever its values are: events are judged one by one, and kept in quarantine as they came. The
 * limit applies to the body as it is sent and, where it is gzipped, to the unpacked body too.
 *
 * @returns undefined for an empty body, where `isOptional`. A request without a body needs no media type then.
 * @throws Failure `unsupported_media_type`, `unsupported_encoding`, `malformed_encoding`, `body_too_large`,
 *   `malformed_json`.
 */
export async function readRawJson(
  request: Request,
  options: BodyOptions & { readonly isOptional?: boolean },
): Promise<unknown> {
  const type = mediaType(request);
  const isTaken = options.types === 'any' || options.types.includes(type);
  // Clients send no media type where they send no body.
  if (!isTaken && (type !== '' || options.isOptional !== true)) {
    await request.body?.cancel();
    throw unsupported(options, type);
  }
  const text = decode(await readBytes(request, options.bytesMax));
  if (text === '' && options.isOptional === true) return undefined;
  if (!isTaken) throw unsupported(options, type);
  try {
    return parseJson(text);
  } catch (error) {
    throw new Failure('malformed_json', error instanceof Error ? error.message : 'The body is not JSON.');
  }
}

function unsupported({ types }: BodyOptions, type: string): Failure {
  const taken = types === 'any' ? 'a media type' : types.join(' or ');
  return new Failure('unsupported_media_type', `Send ${taken}, not ${type || 'nothing'}.`, {
    pointer: 'Content-Type',
  });
}

/**
 * A value of a request in the form of a schema.
 *
 * @throws Failure `invalid_request` with the JSON Pointer of the first mistake.
 */
export function parsed<Schema extends z.ZodType>(schema: Schema, value: unknown): z.output<Schema> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  throw new Failure('invalid_request', issue?.message ?? 'Not valid.', {
    pointer: jsonPointer(issue?.path ?? []),
  });
}

/** The media type of a request without its parameters, lower case. */
export function mediaType(request: Request): string {
  return (request.headers.get('content-type') ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '';
}

/** `x-gzip` is the same coding as `gzip` (RFC 9110 §8.4.1.3). */
const GZIP = new Set(['gzip', 'x-gzip']);

/**
 * The bytes of a body, unpacked.
 *
 * @throws Failure `unsupported_encoding`, `malformed_encoding`, `body_too_large`.
 */
export async function readBytes(request: Request, bytesMax: number): Promise<Uint8Array> {
  const encoding = (request.headers.get('content-encoding') ?? 'identity').trim().toLowerCase();
  if (encoding !== 'identity' && !GZIP.has(encoding)) {
    await request.body?.cancel();
    throw new Failure('unsupported_encoding', 'Send the body without a content encoding, or gzipped.', {
      pointer: 'Content-Encoding',
    });
  }
  const sent = await readSent(request, bytesMax);
  if (encoding === 'identity') return sent;
  const unpacked = gunzip(sent, bytesMax);
  if (unpacked === 'too_large')
    throw new Failure(
      'body_too_large',
      `The decompressed body has more than ${bytesMax} bytes. Send less in one request.`,
    );
  if (unpacked === 'malformed')
    throw new Failure('malformed_encoding', 'The body is not gzip, or is truncated.');
  return unpacked;
}

/** The bytes of a body as it was sent. @throws Failure `body_too_large`, `incomplete_body` */
export async function readSent(request: Request, bytesMax: number): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  // A body that is too large is read to its end and discarded: a proxy whose upload is cut off may break other
  // requests.
  try {
    for await (const chunk of request.body ?? []) {
      bytes += chunk.byteLength;
      if (bytes <= bytesMax) chunks.push(chunk);
    }
  } catch {
    throw incompleteBody();
  }
  if (bytes > bytesMax) {
    throw new Failure(
      'body_too_large',
      `The body has ${bytes} bytes; at most ${bytesMax} are allowed. Send less in one request.`,
    );
  }
  return joined(chunks, bytes);
}

/**
 * The failure of a request whose client has ended the connection within the body. It is no error of the worker, so it has
 * no cause that would be logged, and nobody is there to read the answer.
 */
export function incompleteBody(): Failure {
  return new Failure('incomplete_body', 'The connection ended before the body did. Send the request again.');
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

function decode(bytes: Uint8Array): string {
  try {
    return decodeJsonText(bytes);
  } catch {
    throw new Failure('malformed_json', 'The body is not UTF-8.');
  }
}
