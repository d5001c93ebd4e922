import { parseJson } from '../../platform/json.ts';
import { utf8Length } from '../../platform/pack.ts';
import type { KafkaRecord } from '../../storage/kafka.ts';
import { EVENT_BYTES_MAX, fromBinaryMode, isJson } from '../cloud-event.ts';

/** The Kafka Protocol Binding of CloudEvents 1.0.2, as far as messages of the REST protocol carry it. */

/** An event as unchecked JSON, or the reason why the record is not an event. */
export type ReadRecord =
  | { readonly raw: unknown }
  | {
      readonly refused: {
        readonly raw: unknown;
        readonly reason: string;
        readonly pointer: string;
        readonly detail: string;
      };
    };

const STRUCTURED_PREFIX = 'application/cloudevents';
const STRUCTURED = `${STRUCTURED_PREFIX}+json`;
const ATTRIBUTE_PREFIX = 'ce_';
const CONTENT_TYPE = 'content-type';
const NOT_UTF8 = 'not_utf8';
/**
 * The most bytes, as JSON, that are kept of a record that is not an event: a value of the greatest size of an event in
 * base64, with some headers, which one message of the events queue holds.
 */
const KEPT_BYTES_MAX = 1.5 * EVENT_BYTES_MAX;
/** What is kept of a larger record, in characters: enough to find its producer. */
const EXCERPT_CHARACTERS = 8_192;

/**
 * The event of a record. The content type decides the mode (Kafka Protocol Binding 1.0.2, §3): structured for
 * `application/cloudevents+json`, else binary if there are `ce_` headers (the value is the data). Without either, a JSON value with a `specversion` is a structured event.
 *
 * A tombstone (a null value without `ce_` headers) removes a key from a compacted topic. It contains no event and
 * removes nothing from Millrace; it is kept in quarantine, so that its producer can send an event instead.
 *
 * Data of another content type than JSON may have bytes that are not UTF-8. In any other part of an event, such bytes
 * make the record invalid. The key and other headers may be any bytes, because nothing is read from them.
 */
export function eventOf(record: KafkaRecord): ReadRecord {
  const read = record.headers
    .filter(({ keyBase64 }) => keyBase64 === undefined)
    .map((header) => ({ ...header, name: header.key.toLowerCase() }))
    .filter(({ name }) => name === CONTENT_TYPE || name.startsWith(ATTRIBUTE_PREFIX));
  const unread = read.find(({ valueBase64 }) => valueBase64 !== undefined);
  if (unread !== undefined)
    return refuse(record, NOT_UTF8, `The value of the header "${unread.name}" is not UTF-8.`);
  const headers = new Map(read.map(({ name, value }) => [name, value]));
  const contentType = headers.get(CONTENT_TYPE)?.toLowerCase() ?? '';
  const isStructured = contentType.split(';', 1)[0]?.trim() === STRUCTURED;
  const isBinary =
    !contentType.startsWith(STRUCTURED_PREFIX) && headers.has(`${ATTRIBUTE_PREFIX}specversion`);
  if (record.value === null && !isBinary)
    return refuse(
      record,
      'tombstone',
      'The record is a tombstone, which contains no event. To remove a row, send an event whose type removes it.',
    );
  // Data of another content type is no JSON. The event is refused when it is judged, by its own source and id.
  const isOpaque = isBinary && contentType !== '' && !isJson(contentType);
  const { valueBase64: bytes } = record;
  if (isOpaque && bytes !== undefined)
    return {
      raw: fromBinaryMode(ATTRIBUTE_PREFIX, headers, headers.get(CONTENT_TYPE), { data_base64: bytes }),
    };
  if (bytes !== undefined) return refuse(record, NOT_UTF8, 'The value of the record is not UTF-8.');
  const parsed =
    record.value === null || isOpaque ? { json: record.value ?? undefined } : parse(record.value);
  if (parsed === undefined)
    return refuse(record, 'malformed_json', 'The value of the record is not JSON, or is nested too deep.');
  const { json } = parsed;
  if (isBinary) {
    const data = json === undefined ? {} : { data: json };
    return { raw: fromBinaryMode(ATTRIBUTE_PREFIX, headers, headers.get(CONTENT_TYPE), data) };
  }
  if (isStructured || (contentType === '' && hasSpecVersion(json))) return { raw: json };
  const detail = 'The record is a CloudEvent in neither structured nor binary mode.';
  return refuse(record, 'not_a_cloud_event', detail);
}

function hasSpecVersion(json: unknown): boolean {
  return typeof json === 'object' && json !== null && 'specversion' in json;
}

function parse(text: string): { json: unknown } | undefined {
  try {
    return { json: parseJson(text) };
  } catch {
    return undefined;
  }
}

function refuse(record: KafkaRecord, reason: string, detail: string): ReadRecord {
  return { refused: { raw: keptOf(record), reason, pointer: '', detail } };
}

/** What quarantine keeps: the record as it came, or the beginning of a large one. */
function keptOf({ topic, partition, offset, value, valueBase64, topicId: _, ...rest }: KafkaRecord): unknown {
  const content = valueBase64 === undefined ? { value } : { valueBase64 };
  const whole = { kafka: { topic, partition, offset, ...rest }, ...content };
  const text = JSON.stringify(whole);
  const bytes = utf8Length(text);
  if (bytes <= KEPT_BYTES_MAX) return whole;
  const excerpt = text.slice(0, EXCERPT_CHARACTERS).toWellFormed();
  return { kafka: { topic, partition, offset }, bytes, excerpt };
}
