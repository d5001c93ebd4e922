import { BATCH_EVENTS_MAX } from '../pipeline/cloud-event.ts';
import { Failure } from '../platform/failure.ts';
import { mediaType, readRawJson } from './body.ts';

/** The content modes of the HTTP binding (CloudEvents HTTP Protocol Binding 1.0.2, §3). */
export const STRUCTURED = 'application/cloudevents+json';
export const BATCHED = 'application/cloudevents-batch+json';

/** A full batch of events of an ordinary size. */
const BODY_BYTES_MAX = 4 * 1024 * 1024;
const ATTRIBUTE_PREFIX = 'ce-';
/** Attribute names are of lower-case letters and digits (CloudEvents 1.0.2, "Naming conventions"). */
const ATTRIBUTE_NAME = /^[a-z0-9]{1,64}$/;

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
  const attributes: [string, string][] = [];
  for (const [header, value] of request.headers) {
    const name = header.slice(ATTRIBUTE_PREFIX.length);
    if (header.startsWith(ATTRIBUTE_PREFIX) && ATTRIBUTE_NAME.test(name))
      attributes.push([name, decoded(header, value)]);
  }
  const contentType = request.headers.get('content-type');
  const data = await readRawJson(request, { bytesMax: BODY_BYTES_MAX, types: 'any', isOptional: true });
  // Created from entries, so that an attribute named `__proto__` is an ordinary attribute.
  return {
    ...Object.fromEntries(attributes),
    ...(contentType === null ? {} : { datacontenttype: contentType }),
    ...(data === undefined ? {} : { data }),
  };
}

function decoded(header: string, value: string): string {
  const text = /^"(.*)"$/.exec(value)?.[1]?.replaceAll(/\\(.)/g, '$1') ?? value;
  try {
    return decodeURIComponent(text);
  } catch {
    throw new Failure('invalid_event', 'The header is not percent-encoded UTF-8.', { pointer: header });
  }
}
