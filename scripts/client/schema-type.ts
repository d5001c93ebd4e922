/** A JSON Schema of draft 2020-12, as OpenAPI 3.1 has them. */
export type Schema = Readonly<Record<string, unknown>> | boolean;

/** The most schemas inside each other. Schemas of declarations have some ten. */
const DEPTH_MAX = 64;

/**
 * A schema as a TypeScript type. Constraints of values (lengths, patterns, ranges) have no type, and are left out.
 *
 * @throws Error for a reference outside `#/components/schemas`, and for schemas that are nested too deeply.
 */
export function typeOf(schema: Schema, depth = 0): string {
  if (depth > DEPTH_MAX) throw new Error(`A schema has more than ${DEPTH_MAX} schemas inside each other.`);
  if (typeof schema === 'boolean') return schema ? 'unknown' : 'never';
  const inner = (value: unknown) => typeOf(asSchema(value), depth + 1);
  const { $ref, const: constant, enum: values, anyOf, oneOf, allOf, type } = schema;
  if (typeof $ref === 'string') return referenceOf($ref);
  if ('const' in schema) return literalOf(constant);
  if (Array.isArray(values)) return union(values.map(literalOf));
  const parts = [
    ...(Array.isArray(allOf) ? allOf.map(inner) : []),
    ...[anyOf, oneOf].flatMap((of) => (Array.isArray(of) ? [union(of.map(inner))] : [])),
  ];
  const own = Array.isArray(type)
    ? union(type.map((one) => plainTypeOf({ ...schema, type: one }, inner)))
    : plainTypeOf(schema, inner);
  if (own !== 'unknown') parts.push(own);
  const [first = 'unknown', ...rest] = parts;
  return rest.length === 0 ? first : parts.map(grouped).join(' & ');
}

function plainTypeOf(schema: Readonly<Record<string, unknown>>, inner: (value: unknown) => string): string {
  switch (schema['type']) {
    case 'string':
      return 'string';
    case 'integer':
    case 'number':
      return 'number';
    case 'boolean':
      return 'boolean';
    case 'null':
      return 'null';
    case 'array':
      return arrayOf(schema, inner);
    case 'object':
      return objectOf(schema, inner);
    default:
      return 'properties' in schema ? objectOf(schema, inner) : 'unknown';
  }
}

function arrayOf(
  { items, prefixItems }: Readonly<Record<string, unknown>>,
  inner: (value: unknown) => string,
): string {
  const rest = items === undefined ? 'unknown' : inner(items);
  if (!Array.isArray(prefixItems)) return `${grouped(rest)}[]`;
  const tail = items === false || items === undefined ? [] : [`...${grouped(rest)}[]`];
  return `[${[...prefixItems.map(inner), ...tail].join(', ')}]`;
}

function objectOf(
  { properties = {}, required, additionalProperties, propertyNames: _ }: Readonly<Record<string, unknown>>,
  inner: (value: unknown) => string,
): string {
  const needed: unknown[] = Array.isArray(required) ? required : [];
  const members = Object.entries(asRecord(properties)).map(
    ([name, value]) =>
      `${commentOf(value)}${JSON.stringify(name)}${needed.includes(name) ? '' : '?'}: ${inner(value)};`,
  );
  const hasOthers = additionalProperties !== undefined && additionalProperties !== false;
  if (members.length === 0)
    return `Record<string, ${hasOthers ? inner(additionalProperties) : additionalProperties === false ? 'never' : 'unknown'}>`;
  const others = hasOthers ? ' & Record<string, unknown>' : '';
  return `{ ${members.join(' ')} }${others}`;
}

/** The description of a schema or an operation, as editors show it. */
export function commentOf(value: unknown, name = 'description'): string {
  const text: unknown = typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
  if (typeof text !== 'string' || text === '') return '';
  return `/** ${text.replaceAll('*/', '* /').replaceAll(/\s+/g, ' ')} */ `;
}

function referenceOf(reference: string): string {
  const [, name] = /^#\/components\/schemas\/([^/]+)$/.exec(reference) ?? [];
  if (name === undefined) throw new Error(`The schema refers to ${reference}, which is not in the document.`);
  return `components['schemas'][${JSON.stringify(decodeURIComponent(name))}]`;
}

function literalOf(value: unknown): string {
  return typeof value === 'object' && value !== null ? 'unknown' : JSON.stringify(value);
}

function union(types: readonly string[]): string {
  const distinct = [...new Set(types)];
  return distinct.length === 0 ? 'never' : distinct.map(grouped).join(' | ');
}

/** A type that can stand beside an operator: one that has an operator itself is put into parentheses. */
function grouped(type: string): string {
  return /[|&]/.test(outermost(type)) ? `(${type})` : type;
}

/** The text outside of literals, comments and every kind of bracket. */
function outermost(type: string): string {
  let depth = 0;
  return type
    .replaceAll(/"(?:[^"\\]|\\.)*"|'[^']*'|\/\*.*?\*\//gs, '')
    .split('')
    .filter((character) => {
      if ('{[(<'.includes(character)) depth += 1;
      const isOutside = depth === 0;
      if ('}])>'.includes(character)) depth -= 1;
      return isOutside;
    })
    .join('');
}

export function asSchema(value: unknown): Schema {
  return typeof value === 'boolean' ? value : asRecord(value);
}

/** @throws Error for anything but an object. */
export function asRecord(value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value };
  throw new Error(`The document has ${JSON.stringify(value)} where an object belongs.`);
}
