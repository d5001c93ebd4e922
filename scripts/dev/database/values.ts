import { types } from '@electric-sql/pglite';

type Json = string | number | boolean | null | Json[] | { [key: string]: Json };

/** The types that Neon sends as JSON values; it sends every other type as text. */
const JSON_DECODERS: ReadonlyMap<number, (text: string) => Json> = new Map([
  [16, (text: string): Json => text === 't'], // bool
  [21, toNumber], // int2
  [23, toNumber], // int4
  [700, toNumber], // float4
  [701, toNumber], // float8
  [114, (text: string): Json => JSON.parse(text)], // json
  [3802, (text: string): Json => JSON.parse(text)], // jsonb
]);

/** Array type to element type, for the built-in types whose elements are separated by a comma. */
const ARRAY_ELEMENTS: ReadonlyMap<number, number> = new Map([
  [1000, 16], // bool
  [1005, 21], // int2
  [1007, 23], // int4
  [1016, 20], // int8
  [1021, 700], // float4
  [1022, 701], // float8
  [1231, 1700], // numeric
  [1009, 25], // text
  [1015, 1043], // varchar
  [1115, 1114], // timestamp
  [1185, 1184], // timestamptz
  [1182, 1082], // date
  [2951, 2950], // uuid
  [199, 114], // json
  [3807, 3802], // jsonb
]);

/**
 * A value as Neon sends it to clients that did not ask for raw text. Arrays of types outside the table (enums,
 * composites) stay text here, where Neon looks their element type up.
 */
export function decodeValue(text: string | null, dataTypeID: number): Json {
  if (text === null) return null;
  const element = ARRAY_ELEMENTS.get(dataTypeID);
  if (element !== undefined) {
    return types.arrayParser(text, (item: string) => decodeValue(item, element), dataTypeID);
  }
  const decode = JSON_DECODERS.get(dataTypeID);
  return decode === undefined ? text : decode(text);
}

/** JSON has no NaN and no infinity: those stay text. */
function toNumber(text: string): Json {
  const value = Number(text);
  return Number.isFinite(value) ? value : text;
}

/** A parameter of the request body in Postgres's text format. */
export function encodeParameter(value: unknown): string | null {
  if (value === null) return null;
  if (typeof value === 'string') return value;
  return Array.isArray(value) ? encodeArray(value) : JSON.stringify(value);
}

function encodeArray(items: readonly unknown[]): string {
  const encoded = items.map((item) => {
    if (item === null) return 'NULL';
    if (Array.isArray(item)) return encodeArray(item);
    const text = typeof item === 'string' ? item : JSON.stringify(item);
    return `"${text.replaceAll(/["\\]/g, '\\$&')}"`;
  });
  return `{${encoded.join(',')}}`;
}
