import { isTooDeep } from '../../platform/json-depth.ts';
import type { KafkaRecord } from '../../storage/kafka.ts';

/** The Kafka Protocol Binding of CloudEvents 1.0.2, as far as messages of the REST protocol carry it. */

/** An event as JSON that nothing has judged yet, or why the record is none. */
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

const STRUCTURED = 'application/cloudevents+json';
const ATTRIBUTE_PREFIX = 'ce_';
const ATTRIBUTE_NAME = /^[a-z0-9]{1,64}$/;
/** Characters that are kept of a record that is no event. */
const KEPT_CHARACTERS_MAX = 8_192;

/**
 * The event of a record: structured (a JSON value of that content type, or with a `specversion` where there is none)
 * or binary (attributes as `ce_` headers, the value is the data and has to be JSON).
 */
export function eventOf(record: KafkaRecord): ReadRecord {
  const headers = new Map(record.headers.map(({ key, value }) => [key.toLowerCase(), value]));
  const contentType = headers.get('content-type')?.toLowerCase() ?? '';
  const isBinary = headers.has(`${ATTRIBUTE_PREFIX}specversion`);
  if (record.value === null && !isBinary)
    return refuse(record, 'not_a_cloud_event', 'The record has no value.');
  const parsed = record.value === null ? { json: undefined } : parse(record.value);
  if (parsed === undefined)
    return refuse(record, 'malformed_json', 'The value of the record is not JSON, or nested too deep.');
  const { json } = parsed;
  if (isBinary) return { raw: binaryEvent(headers, json) };
  if (contentType.startsWith(STRUCTURED) || (contentType === '' && saysItIsOne(json))) return { raw: json };
  const detail = 'The record is a CloudEvent in neither structured nor binary mode.';
  return refuse(record, 'not_a_cloud_event', detail);
}

function binaryEvent(headers: ReadonlyMap<string, string>, data: unknown): unknown {
  const attributes: [string, string][] = [];
  for (const [header, value] of headers) {
    const name = header.slice(ATTRIBUTE_PREFIX.length);
    if (header.startsWith(ATTRIBUTE_PREFIX) && ATTRIBUTE_NAME.test(name)) attributes.push([name, value]);
  }
  const contentType = headers.get('content-type');
  // Of entries and not by assignment, so that an attribute of any name is nothing but an attribute.
  return {
    ...Object.fromEntries(attributes),
    ...(contentType === undefined ? {} : { datacontenttype: contentType }),
    data,
  };
}

function saysItIsOne(json: unknown): boolean {
  return typeof json === 'object' && json !== null && 'specversion' in json;
}

function parse(text: string): { json: unknown } | undefined {
  if (isTooDeep(text)) return undefined;
  try {
    return { json: JSON.parse(text) };
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
