import * as z from 'zod';
import { parseJson } from '../platform/json.ts';
import { parseTimestamp } from '../platform/timestamp.ts';
import { decodeUtf8 } from '../platform/utf8.ts';

/** Bounds of one event; the specification asks intermediaries to take at least 64 KB. */
export const EVENT_BYTES_MAX = 65_536;
export const BATCH_EVENTS_MAX = 1_000;
/** The most characters of an id and a source. Both together fit an entry of a Postgres index (2,704 bytes). */
export const ID_CHARACTERS_MAX = 256;
export const SOURCE_CHARACTERS_MAX = 512;

/** A string of CloudEvents 1.0.2, "Type System": it has no control characters and no unpaired surrogates. */
const Text = (max: number, min = 1) =>
  z
    .string()
    .min(min)
    .max(max)
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is refused here (CloudEvents 1.0.2, "String").
    .regex(/^[^\u0000-\u001f\u007f-\u009f]*$/, 'Control characters are not allowed.')
    .refine((text) => text.isWellFormed(), 'Unpaired surrogates are not allowed.');

/** A client's URL parser removes the path segments `.` and `..`, also percent-encoded (RFC 3986 §5.2.4). */
const addressable = (text: string) => text !== '.' && text !== '..';
const NOT_ADDRESSABLE = 'No path can contain "." or ".." as a segment, so the event would have no address.';

/** The characters of a URI reference (RFC 3986 §4.1); percent signs begin an encoded byte. */
const URI_REFERENCE = /^(?:[\w\-.~:/?#[\]@!$&'()*+,;=]|%[\da-f]{2})+$/i;

/** Whether a content type is JSON (JSON Event Format 1.0.2, §3.1): its subtype is `json` or ends in `+json`. */
export function isJson(contentType: string): boolean {
  return /^[\w!#$&^.+-]+\/(?:json|[\w!#$&^.+-]+\+json)\s*(?:;|$)/i.test(contentType.trim());
}

/**
 * A value of an extension attribute. Integers have 32 bits (CloudEvents 1.0.2, "Type System"). A text may be empty:
 * only `subject`, `dataschema` and the required attributes have to be non-empty.
 */
const Extension = z.union([Text(4_096, 0), z.boolean(), z.int32()]).nullable();

/**
 * The attributes of a CloudEvents 1.0.2 event in JSON. A null attribute counts as absent (JSON Event Format 1.0.2,
 * §2.2). `data_base64` has to be JSON as UTF-8.
 */
export const CloudEvent = z
  .object({
    specversion: z.literal('1.0'),
    id: Text(ID_CHARACTERS_MAX).refine(addressable, NOT_ADDRESSABLE),
    source: Text(SOURCE_CHARACTERS_MAX)
      .regex(URI_REFERENCE, 'Expected a URI reference: percent-encode other characters.')
      .refine(addressable, NOT_ADDRESSABLE),
    type: Text(256),
    subject: Text(512).nullish(),
    time: z
      .string()
      .refine((text) => parseTimestamp(text) !== undefined, 'Expected an RFC 3339 timestamp.')
      .nullish(),
    datacontenttype: z.string().max(128).refine(isJson, 'Only JSON data is taken.').nullish(),
    dataschema: Text(2_048).regex(URI_REFERENCE, 'Expected a URI.').nullish(),
    data: z.unknown().optional(),
    data_base64: z.base64().nullish(),
  })
  .catchall(Extension);
export type CloudEvent = z.output<typeof CloudEvent>;

/** Attribute names have lower-case letters and digits only (CloudEvents 1.0.2, "Naming conventions"). */
const NAME = /^[a-z\d]{1,64}$/;
const KNOWN = new Set(Object.keys(CloudEvent.shape));
const DATA_MEMBERS = new Set(['data', 'data_base64']);

/** The name of the first extension attribute that no event may have, or undefined. */
export function misnamedAttribute(event: CloudEvent): string | undefined {
  return Object.keys(event).find((name) => !KNOWN.has(name) && !NAME.test(name));
}

/**
 * Attributes beside those that Millrace reads itself, such as `traceparent`; undefined if there are none. An absent
 * `datacontenttype` means `application/json` (JSON Event Format 1.0.2, §3.1), so only another one is kept.
 */
export type Extensions = Readonly<Record<string, string | number | boolean>>;

export function extensionsOf(event: CloudEvent): Extensions | undefined {
  const isOtherJson = !/^application\/json\s*(?:;|$)/i.test((event.datacontenttype ?? '').trim());
  const kept = Object.entries(event).flatMap(([name, value]): [string, string | number | boolean][] => {
    const isKept = name === 'dataschema' || (name === 'datacontenttype' && isOtherJson) || !KNOWN.has(name);
    const isValue = typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean';
    return isKept && isValue ? [[name, value]] : [];
  });
  return kept.length === 0 ? undefined : Object.fromEntries(kept);
}

/** The data of an event in binary mode: JSON, a text, or bytes in base64; neither member for an event without data. */
export interface BinaryModeData {
  readonly data?: unknown;
  readonly data_base64?: string;
}

/**
 * An event in binary mode as one in JSON, which nothing has judged yet. A header whose name is that of no attribute
 * (`ce-my-attribute`) is found by `misnamedAttribute`, as it is in structured mode. The members of the JSON format that
 * carry data are no attributes, so their headers (`ce-data`) keep their full names and are found, too.
 *
 * @param prefix of the headers that carry attributes: `ce-` (HTTP binding) or `ce_` (Kafka binding).
 * @param headers with names in lower case and decoded values.
 */
export function fromBinaryMode(
  prefix: string,
  headers: Iterable<readonly [name: string, value: string]>,
  contentType: string | undefined,
  data: BinaryModeData,
): Record<string, unknown> {
  const attributes = [...headers].flatMap(([header, value]): [string, string][] => {
    if (!header.startsWith(prefix)) return [];
    const name = header.slice(prefix.length);
    return [[DATA_MEMBERS.has(name) ? header : name, value]];
  });
  return {
    ...Object.fromEntries(attributes),
    ...(contentType === undefined ? {} : { datacontenttype: contentType }),
    ...data,
  };
}

/** An event that Millrace has read, as a CloudEvent in JSON again: for the quarantine, or to be judged once more. */
export function asCloudEvent(event: {
  readonly source: string;
  readonly id: string;
  readonly type: string;
  readonly subject: string | null;
  readonly time: string;
  readonly extensions?: Extensions;
  readonly data: unknown;
}): Record<string, unknown> {
  const { source, id, type, subject, time, extensions, data } = event;
  return { specversion: '1.0', id, source, type, subject, time, ...extensions, data };
}

/** The data of an event, or the attribute that is at fault and why. */
export type EventData =
  | { readonly ok: true; readonly data: unknown }
  | { readonly ok: false; readonly pointer: string; readonly detail: string };

/** The data from `data` or from `data_base64` (JSON Event Format 1.0.2, §3.1.1); an event has one of them at most. */
export function dataOf({ data, data_base64: encoded }: CloudEvent): EventData {
  if (encoded === undefined || encoded === null) return { ok: true, data };
  const pointer = '/data_base64';
  if (data !== undefined)
    return { ok: false, pointer, detail: 'An event has data or data_base64, not both.' };
  try {
    const bytes = Uint8Array.from(atob(encoded), (character) => character.charCodeAt(0));
    return { ok: true, data: parseJson(decodeUtf8(bytes)) };
  } catch {
    return { ok: false, pointer, detail: 'Expected JSON as UTF-8 in base64.' };
  }
}
