import { BATCH_EVENTS_MAX, type BinaryModeData, fromBinaryMode, isJson } from '../pipeline/cloud-event.ts';
import { Failure } from '../platform/failure.ts';
import { decodeUtf8 } from '../platform/utf8.ts';
import { mediaType, readBytes, readRawJson } from './body.ts';

/** The content modes of the HTTP binding (CloudEvents HTTP Protocol Binding 1.0.2, §3). */
export const STRUCTURED = 'application/cloudevents+json';
export const BATCHED = 'application/cloudevents-batch+json';

/** A full batch of events of an ordinary size. */
const BODY_BYTES_MAX = 4 * 1024 * 1024;
const ATTRIBUTE_PREFIX = 'ce-';

export interface ReceivedEvents {
  /** As JSON, in the order of the request, not validated yet. */
  readonly raw: readonly unknown[];
  /** Whether the request is one event and not a batch. A single event succeeds or fails as a whole. */
  readonly single: boolean;
}

/**
 * The events of a request in structured, batched or binary mode. In binary mode the body is the event's data and
 * has to be JSON; its attributes are `ce-` headers.
 *
 * @throws Failure as `readJson` does; `invalid_request` or `too_many_events` for a body that is no batch; `invalid_event`
 *   for a header that is not percent-encoded as the binding asks.
 */
export async function receiveEvents(request: Request): Promise<ReceivedEvents> {
  if (request.headers.has('ce-specversion') && !mediaType(request).startsWith('application/cloudevents'))
    return { raw: [await binaryEvent(request)], single: true };
  const single = mediaType(request) === STRUCTURED;
  const body = await readRawJson(request, { bytesMax: BODY_BYTES_MAX, types: [STRUCTURED, BATCHED] });
  return { raw: single ? [body] : batchOf(body), single };
}

function batchOf(body: unknown): unknown[] {
  if (!Array.isArray(body)) {
    throw new Failure('invalid_request', `${BATCHED} is a JSON array of events.`, { pointer: '' });
  }
  if (body.length > BATCH_EVENTS_MAX) {
    throw new Failure(
      'too_many_events',
      `A batch has at most ${BATCH_EVENTS_MAX} events, not ${body.length}.`,
    );
  }
  return body;
}

async function binaryEvent(request: Request): Promise<unknown> {
  const headers = [...request.headers].flatMap(([header, value]): [string, string][] =>
    header.startsWith(ATTRIBUTE_PREFIX) ? [[header, decoded(header, value)]] : [],
  );
  const contentType = request.headers.get('content-type') ?? undefined;
  return fromBinaryMode(ATTRIBUTE_PREFIX, headers, contentType, await binaryData(request, contentType));
}

/**
 * The data of an event in binary mode. Data of another content type than JSON is read too, although no contract takes
 * it: the event is then refused like any other, and kept in quarantine as it came.
 */
async function binaryData(request: Request, contentType: string | undefined): Promise<BinaryModeData> {
  if (contentType === undefined || isJson(contentType)) {
    const options = { bytesMax: BODY_BYTES_MAX, types: 'any', isOptional: true } as const;
    const data = await readRawJson(request, options);
    return data === undefined ? {} : { data };
  }
  const bytes = await readBytes(request, BODY_BYTES_MAX);
  if (bytes.byteLength === 0) return {};
  try {
    return { data: decodeUtf8(bytes) };
  } catch {
    return { data_base64: base64(bytes) };
  }
}

/** Bytes per call of `fromCharCode`, whose arguments are on the stack. */
const CHUNK_BYTES = 32_768;

function base64(bytes: Uint8Array): string {
  const chunks: string[] = [];
  for (let start = 0; start < bytes.length; start += CHUNK_BYTES)
    chunks.push(String.fromCharCode(...bytes.subarray(start, start + CHUNK_BYTES)));
  return btoa(chunks.join(''));
}

/**
 * The value of an attribute from its header (HTTP binding §3.1.3.2). UTF-8 that is not percent-encoded is read, because
 * the SDKs of Go and Java send it. The runtime replaces other bytes by U+FFFD, so that different values would become
 * equal; a value with U+FFFD is therefore taken only if it is percent-encoded.
 */
function decoded(header: string, value: string): string {
  const text = /^"(.*)"$/.exec(value)?.[1]?.replaceAll(/\\(.)/g, '$1') ?? value;
  try {
    if (!text.includes('\ufffd')) return decodeURIComponent(text);
  } catch {
    // A percent sign that begins no encoded byte, or bytes that are not UTF-8: refused below.
  }
  throw new Failure(
    'invalid_event',
    'The header is not percent-encoded UTF-8. Encode it, percent signs too, or send the event in structured mode.',
    { pointer: header },
  );
}
