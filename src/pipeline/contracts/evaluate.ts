import { canonicalValue, type JsonSchema, type Kind, keywordsOf, resolve } from './json-schema.ts';

/** `undecided` if the result depends on a keyword that is not interpreted. */
export type Evaluation = 'valid' | 'invalid' | 'undecided';

/** The deepest nesting of schemas: deeper than any contract. It ends circular references. */
const DEPTH_MAX = 64;

/** Whether one value is valid under a schema: for the values that an `enum` or `const` lists. */
export function evaluate(schema: JsonSchema, value: unknown, root: JsonSchema, depth = 0): Evaluation {
  if (depth > DEPTH_MAX) return 'undecided';
  const keywords = keywordsOf(schema);
  // Such a keyword may change the meaning of the keywords beside it.
  if (keywords.unknown.length > 0) return 'undecided';
  const inner = (sub: JsonSchema, part: unknown = value) => evaluate(sub, part, root, depth + 1);
  const { $ref, not, allOf = [], anyOf, oneOf } = keywords;
  const parts: Evaluation[] = [...scalarParts(keywords, value), ...allOf.map((sub) => inner(sub))];
  if ($ref !== undefined) {
    const target = resolve(root, $ref);
    parts.push(target === undefined ? 'undecided' : inner(target));
  }
  if (not !== undefined) parts.push(negated(inner(not)));
  if (anyOf !== undefined) parts.push(any(anyOf.map((sub) => inner(sub))));
  if (oneOf !== undefined) parts.push(exactlyOne(oneOf.map((sub) => inner(sub))));
  if (Array.isArray(value)) parts.push(...arrayParts(keywords, value, inner));
  else if (typeof value === 'object' && value !== null) parts.push(...objectParts(keywords, value, inner));
  return all(parts);
}

/** The kind of a JSON value. */
export function kindOf(value: unknown): Kind {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  const kind = typeof value;
  return kind === 'boolean' || kind === 'number' || kind === 'string' ? kind : 'object';
}

type Keywords = ReturnType<typeof keywordsOf>;
type Inner = (schema: JsonSchema, value: unknown) => Evaluation;

const when = (holds: boolean): Evaluation => (holds ? 'valid' : 'invalid');

function scalarParts(keywords: Keywords, value: unknown): Evaluation[] {
  const { type, values } = keywords;
  const parts: Evaluation[] = [];
  if (type !== undefined)
    parts.push(when(type.has(kindOf(value)) || (type.has('integer') && Number.isInteger(value))));
  if (values !== undefined) {
    const text = canonicalValue(value);
    parts.push(when(values.some((candidate) => canonicalValue(candidate) === text)));
  }
  if (typeof value === 'number') parts.push(...numberParts(keywords, value));
  if (typeof value === 'string') parts.push(...stringParts(keywords, value));
  return parts;
}

function numberParts(keywords: Keywords, value: number): Evaluation[] {
  const { minimum, maximum, exclusiveMinimum, exclusiveMaximum, multipleOf } = keywords;
  const parts = [
    when(minimum === undefined || value >= minimum),
    when(maximum === undefined || value <= maximum),
    when(exclusiveMinimum === undefined || value > exclusiveMinimum),
    when(exclusiveMaximum === undefined || value < exclusiveMaximum),
  ];
  if (multipleOf !== undefined && value !== 0) {
    // The remainder of fractions is inexact, and validators differ.
    const isExact = Number.isSafeInteger(value) && Number.isSafeInteger(multipleOf);
    parts.push(isExact ? when(value % multipleOf === 0) : 'undecided');
  }
  return parts;
}

function stringParts(keywords: Keywords, value: string): Evaluation[] {
  const { minLength, maxLength, pattern, format, contentEncoding } = keywords;
  const characters = [...value].length;
  const parts = [
    when(minLength === undefined || characters >= minLength),
    when(maxLength === undefined || characters <= maxLength),
  ];
  if (pattern !== undefined) parts.push(matches(pattern, value));
  if (format !== undefined || contentEncoding !== undefined) parts.push('undecided');
  return parts;
}

function matches(pattern: string, value: string): Evaluation {
  try {
    return when(new RegExp(pattern, 'u').test(value));
  } catch {
    return 'undecided';
  }
}

function arrayParts(keywords: Keywords, value: readonly unknown[], inner: Inner): Evaluation[] {
  const {
    minItems = 0,
    maxItems = Number.POSITIVE_INFINITY,
    prefixItems = [],
    items,
    uniqueItems,
  } = keywords;
  const distinct = new Set(value.map(canonicalValue)).size;
  return [
    when(value.length >= minItems && value.length <= maxItems),
    when(uniqueItems !== true || distinct === value.length),
    ...value.map((item, index) => inner(prefixItems[index] ?? items ?? true, item)),
  ];
}

function objectParts(keywords: Keywords, value: object, inner: Inner): Evaluation[] {
  const { required = [], properties = {}, additionalProperties = true, propertyNames = true } = keywords;
  const { minProperties = 0, maxProperties = Number.POSITIVE_INFINITY } = keywords;
  const members = Object.entries(value);
  return [
    when(members.length >= minProperties && members.length <= maxProperties),
    ...required.map((name) => when(Object.hasOwn(value, name))),
    ...members.map(([name]) => inner(propertyNames, name)),
    ...members.map(([name, member]) =>
      inner((Object.hasOwn(properties, name) ? properties[name] : undefined) ?? additionalProperties, member),
    ),
  ];
}

function all(parts: readonly Evaluation[]): Evaluation {
  if (parts.includes('invalid')) return 'invalid';
  return parts.includes('undecided') ? 'undecided' : 'valid';
}

function any(parts: readonly Evaluation[]): Evaluation {
  if (parts.includes('valid')) return 'valid';
  return parts.includes('undecided') ? 'undecided' : 'invalid';
}

function exactlyOne(parts: readonly Evaluation[]): Evaluation {
  const valid = parts.filter((part) => part === 'valid').length;
  if (valid > 1) return 'invalid';
  if (parts.includes('undecided')) return 'undecided';
  return when(valid === 1);
}

function negated(part: Evaluation): Evaluation {
  if (part === 'undecided') return part;
  return part === 'valid' ? 'invalid' : 'valid';
}
