import * as z from 'zod';

/** The part of JSON Schema 2020-12 that contracts use. All other keywords are kept and not interpreted. */
export type JsonSchema = boolean | { readonly [keyword: string]: unknown };

/** The kinds of JSON values. Integers are numbers. */
export const KINDS = ['null', 'boolean', 'number', 'string', 'array', 'object'] as const;
export type Kind = (typeof KINDS)[number];

const isSchema = (value: unknown): value is JsonSchema =>
  typeof value === 'boolean' || (typeof value === 'object' && value !== null && !Array.isArray(value));
const Schema = z.custom<JsonSchema>(isSchema);
const Schemas = z.array(Schema);
const NamedSchemas = z.custom<Readonly<Record<string, JsonSchema>>>(
  (value) => isSchema(value) && typeof value === 'object' && Object.values(value).every(isSchema),
);
const Type = z.enum(['null', 'boolean', 'integer', 'number', 'string', 'array', 'object']);
const Count = z.int().min(0);

const Keywords = z.object({
  $ref: z.string().optional(),
  type: z
    .union([Type, z.array(Type)])
    .transform((type) => new Set([type].flat()))
    .optional(),
  enum: z.array(z.unknown()).optional(),
  const: z.unknown().optional(),
  allOf: Schemas.optional(),
  anyOf: Schemas.optional(),
  oneOf: Schemas.optional(),
  not: Schema.optional(),
  minimum: z.number().optional(),
  maximum: z.number().optional(),
  exclusiveMinimum: z.number().optional(),
  exclusiveMaximum: z.number().optional(),
  multipleOf: z.number().positive().optional(),
  minLength: Count.optional(),
  maxLength: Count.optional(),
  pattern: z.string().optional(),
  format: z.string().optional(),
  contentEncoding: z.string().optional(),
  minItems: Count.optional(),
  maxItems: Count.optional(),
  uniqueItems: z.boolean().optional(),
  prefixItems: Schemas.optional(),
  items: Schema.optional(),
  minProperties: Count.optional(),
  maxProperties: Count.optional(),
  required: z.array(z.string()).optional(),
  properties: NamedSchemas.optional(),
  additionalProperties: Schema.optional(),
  propertyNames: Schema.optional(),
});
/** The interpreted keywords of one schema. */
export type Keywords = z.output<typeof Keywords> & {
  /** The keywords that are not interpreted. Nothing can be proved about a schema that has some. */
  readonly unknown: readonly string[];
  /** The only values, by `enum` or `const`. */
  readonly values: readonly unknown[] | undefined;
};

const DIALECT = 'https://json-schema.org/draft/2020-12/schema';
/** Keywords that refuse no instance. `$defs` is only read through `$ref`. */
const ANNOTATIONS = new Set([
  ...['$schema', '$comment', '$defs', 'title', 'description', 'default', 'examples', 'example'],
  ...['deprecated', 'readOnly', 'writeOnly'],
]);

const read = new WeakMap<object, Keywords>();

/** The keywords of a schema. One that is malformed counts as unknown. */
export function keywordsOf(schema: JsonSchema): Keywords {
  if (schema === true) return { unknown: [], values: undefined };
  if (schema === false) return { unknown: [], values: undefined, not: {} };
  const known = read.get(schema);
  if (known !== undefined) return known;
  const keywords = readKeywords(schema);
  read.set(schema, keywords);
  return keywords;
}

function readKeywords(schema: object): Keywords {
  const parsed = Keywords.safeParse(schema);
  if (!parsed.success)
    return { unknown: parsed.error.issues.map(({ path }) => String(path[0])), values: undefined };
  const isKnown = (name: string, value: unknown) =>
    name === '$schema' ? value === DIALECT : ANNOTATIONS.has(name) || Object.hasOwn(Keywords.shape, name);
  const unknown = Object.entries(schema).flatMap(([name, value]) => (isKnown(name, value) ? [] : [name]));
  const constant = Object.hasOwn(schema, 'const') ? [parsed.data.const] : undefined;
  const values = parsed.data.enum ?? constant;
  // With both keywords, a value must be in both.
  const both = parsed.data.enum !== undefined && constant !== undefined;
  return { ...parsed.data, unknown, values: both ? commonValues(parsed.data.enum, constant) : values };
}

function commonValues(some: readonly unknown[] = [], others: readonly unknown[] = []): unknown[] {
  const texts = new Set(others.map(canonicalValue));
  return some.filter((value) => texts.has(canonicalValue(value)));
}

/** Whether a schema obviously accepts no value. */
export function isNever(schema: JsonSchema): boolean {
  if (typeof schema === 'boolean') return !schema;
  const { not } = keywordsOf(schema);
  return not !== undefined && canonical(not) === '{}';
}

/** The schema that a reference within its own document names. */
export function resolve(root: JsonSchema, ref: string): JsonSchema | undefined {
  if (ref !== '#' && !ref.startsWith('#/')) return undefined;
  let at: unknown = root;
  for (const name of stepsOf(ref)) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, name)) return undefined;
    at = Reflect.get(at, name);
  }
  return isSchema(at) ? at : undefined;
}

/** The steps of a reference from the document's root. */
export function stepsOf(ref: string): string[] {
  const steps = ref.split('/').slice(1);
  return steps.map((step) => decodeURIComponent(step).replaceAll('~1', '/').replaceAll('~0', '~'));
}

/** The same text for schemas that differ only in annotations, spelling and the order of members. */
export function canonical(schema: JsonSchema): string {
  return JSON.stringify(strippedSchema(schema));
}

/** The same text for all spellings of a JSON value. */
export function canonicalValue(value: unknown): string {
  return JSON.stringify(orderedValue(value)) ?? 'null';
}

function strippedSchema(schema: unknown): unknown {
  if (schema === true) return {};
  if (schema === false) return { not: {} };
  if (Array.isArray(schema)) return schema.map(strippedSchema);
  if (typeof schema !== 'object' || schema === null) return schema;
  const kept = Object.entries(schema).filter(([name]) => !ANNOTATIONS.has(name));
  return ordered(Object.fromEntries(kept), strippedKeyword);
}

function strippedKeyword(value: unknown, keyword: string): unknown {
  if (keyword === 'type') return [value].flat().sort();
  if (keyword === 'required' && Array.isArray(value)) return value.toSorted();
  if (keyword === 'enum' || keyword === 'const') return orderedValue(value);
  if (keyword === 'properties') return ordered(value, strippedSchema);
  return strippedSchema(value);
}

/** The text of an object with sorted members, each written by `inner`. */
function ordered(value: unknown, inner: (member: unknown, name: string) => unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([name, member]) => [name, inner(member, name)]));
}

function orderedValue(value: unknown): unknown {
  return Array.isArray(value) ? value.map(orderedValue) : ordered(value, orderedValue);
}
