import { parseJson } from '../../platform/json.ts';
import type { KafkaRecord } from '../../storage/kafka.ts';
import { fromBinaryMode, isJson } from '../cloud-event.ts';

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
/** The most characters that are kept of a record that is not an event. */
const KEPT_CHARACTERS_MAX = 8_192;

/**
 * The event of a record. The content type decides the mode (Kafka Protocol Binding 1.0.2, §3): structured for
 * `application/cloudevents+json`, else binary if there are `ce_` headers (the value is the data). Without either, a JSON value with a `specversion` is a structured event.
 *
 * A tombstone (a null value without `ce_` headers) removes a key from a compacted topic. It contains no event and
 * removes nothing from Millrace; it is kept in quarantine, so that its producer can send an event instead.
 */
export function eventOf(record: KafkaRecord): ReadRecord {
  const headers = new Map(record.headers.map(({ key, value }) => [key.toLowerCase(), value]));
  const contentType = headers.get('content-type')?.toLowerCase() ?? '';
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
  const parsed =
    record.value === null || isOpaque ? { json: record.value ?? undefined } : parse(record.value);
  if (parsed === undefined)
    return refuse(record, 'malformed_json', 'The value of the record is not JSON, or is nested too deep.');
  const { json } = parsed;
  if (isBinary) {
    const data = json === undefined ? {} : { data: json };
    return { raw: fromBinaryMode(ATTRIBUTE_PREFIX, headers, headers.get('content-type'), data) };
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

function refuse(
  { topic, partition, offset, key, value, headers }: KafkaRecord,
  reason: string,
  detail: string,
): ReadRecord {
  const kept = value?.slice(0, KEPT_CHARACTERS_MAX) ?? null;
  return {
    refused: {
      raw: { kafka: { topic, partition, offset, key, headers }, value: kept },
      reason,
      pointer: '',
      detail,
    },
  };
}
