import { asRecord, asSchema, commentOf, typeOf } from './schema-type.ts';

/** The operations of a path in OpenAPI 3.1. */
const METHODS = ['get', 'put', 'post', 'delete', 'patch'] as const;

/**
 * The types of the routes of an OpenAPI 3.1 document, in the form that `openapi-typescript` has: `paths` and
 * `components`. Failures are left out, because the client throws them as `ProblemError`.
 *
 * @param events the JSON Schema of the data of each event type that may be sent.
 */
export function routesModule(
  document: Readonly<Record<string, unknown>>,
  events: ReadonlyMap<string, unknown>,
): string {
  const { schemas = {} } = asRecord(document['components'] ?? {});
  const routes = Object.entries(asRecord(document['paths'])).map(
    ([path, item]) => `${JSON.stringify(path)}: { ${operationsOf(asRecord(item))} };`,
  );
  const components = Object.entries(asRecord(schemas)).map(
    ([name, schema]) => `${JSON.stringify(name)}: ${typeOf(asSchema(schema))};`,
  );
  const data = [...events].map(([type, schema]) => `${JSON.stringify(type)}: ${typeOf(asSchema(schema))};`);
  return [
    '/** Written by `npm run client:types`; do not edit. */',
    `export interface paths {\n${routes.join('\n')}\n}`,
    `export interface components { schemas: {\n${components.join('\n')}\n} }`,
    `/** The data of each event type. */\nexport interface events {\n${data.join('\n')}\n}`,
    '',
  ].join('\n\n');
}

function operationsOf(item: Readonly<Record<string, unknown>>): string {
  return METHODS.flatMap((method) => {
    if (item[method] === undefined) return [];
    const operation = asRecord(item[method]);
    const parameters = [item['parameters'], operation['parameters']].flatMap((list) =>
      Array.isArray(list) ? list.map(asRecord) : [],
    );
    const parts = [
      `parameters: { ${parametersOf(parameters, 'path')} ${parametersOf(parameters, 'query')} };`,
      ...(operation['requestBody'] === undefined ? [] : [bodyOf(asRecord(operation['requestBody']))]),
      `responses: { ${responsesOf(asRecord(operation['responses']))} };`,
    ];
    return [`${commentOf(operation, 'summary')}${method}: { ${parts.join(' ')} };`];
  }).join(' ');
}

/** Headers are left out: the client sets those of Millrace by its options. */
function parametersOf(
  parameters: readonly Readonly<Record<string, unknown>>[],
  place: 'path' | 'query',
): string {
  const members = parameters
    .filter((parameter) => parameter['in'] === place)
    .map((parameter) => {
      const { name, required, schema = {} } = parameter;
      const type = typeOf(asSchema(schema));
      const isNeeded = place === 'path' || required === true;
      // The query of an address is text: a number is accepted for what parses as one, and an array repeats the name.
      return `${commentOf(parameter)}${JSON.stringify(name)}${isNeeded ? '' : '?'}: ${inAddress(type, place)};`;
    });
  if (members.length === 0) return `${place}?: never;`;
  const isOptional =
    place === 'query' && members.every((member) => /^(\/\*\*.*?\*\/ )?"[^"]+"\?:/.test(member));
  return `${place}${isOptional ? '?' : ''}: { ${members.join(' ')} };`;
}

/** The texts and numbers that an address has as one. */
function inAddress(type: string, place: 'path' | 'query'): string {
  if (type === 'unknown') return 'string | number | boolean';
  if (type === 'string')
    return place === 'query' ? 'string | number | readonly (string | number)[]' : 'string | number';
  return type;
}

function bodyOf(body: Readonly<Record<string, unknown>>): string {
  return `requestBody${body['required'] === true ? '' : '?'}: { content: { ${contentOf(body)} } };`;
}

function responsesOf(responses: Readonly<Record<string, unknown>>): string {
  return Object.entries(responses)
    .filter(([status]) => /^2/.test(status))
    .map(([status, response]) => {
      const content = contentOf(asRecord(response));
      const isEmpty = content === '';
      return `${status}: { ${isEmpty ? 'content?: never;' : `content: { ${content} };`} };`;
    })
    .join(' ');
}

function contentOf({ content = {} }: Readonly<Record<string, unknown>>): string {
  return Object.entries(asRecord(content))
    .map(([media, of]) => `${JSON.stringify(media)}: ${typeOf(asSchema(asRecord(of)['schema'] ?? true))};`)
    .join(' ');
}
