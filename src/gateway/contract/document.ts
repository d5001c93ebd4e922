import type { OpenAPIHono } from '@hono/zod-openapi';
import type { Catalog } from '../../define/catalog.ts';
import type { AppEnv } from '../context.ts';
import { type Registry, registerHeaders } from './headers.ts';
import { completeOperations, type Operation, operationsOf } from './operations.ts';
import { ecmaPattern } from './pattern.ts';
import { registerAnswers } from './responses.ts';
import { TAGS } from './tags.ts';
import { addExamples } from './true-examples.ts';

/** The members of the document that do not come from routes. */
const HEAD = {
  openapi: '3.1.0',
  info: {
    title: 'Millrace',
    version: '1',
    summary: 'A Postgres database and ONNX models at the edge.',
    description:
      'Failures are problem documents (RFC 9457); branch on their `code`. Reads of the cache take `Millrace-Consistency` and `Millrace-Token`, so that a client chooses how fresh an answer has to be.',
    license: { name: 'Apache License 2.0', identifier: 'Apache-2.0' },
  },
  servers: [{ url: '/', description: 'The deployment that serves this document.' }],
};

/** Adds the components that operations share, and completes the operations. @throws Error as `operationsOf` does. */
export function completeRegistry(
  registry: Registry,
  catalog: Pick<Catalog, 'examples' | 'models'> = { examples: {}, models: [] },
): Operation[] {
  registry.registerComponent('securitySchemes', 'key', {
    type: 'http',
    scheme: 'bearer',
    description: 'An API key. `security` of each operation names the scope that the key needs.',
  });
  registerHeaders(registry);
  registerAnswers(registry);
  const operations = operationsOf(registry);
  completeOperations(operations);
  addExamples(operations, catalog);
  return operations;
}

/** The OpenAPI document as JSON. Make it once: it takes some milliseconds. */
export function documentOf(app: OpenAPIHono<AppEnv>, operations: readonly Operation[]): string {
  const used = new Set(operations.flatMap(({ route }) => route.tags ?? []));
  const tags = TAGS.filter(({ name }) => used.has(name));
  const document = app.getOpenAPI31Document({ ...HEAD, tags });
  clean(document);
  dropUnused(document.paths, document.components ?? {});
  return JSON.stringify(document);
}

/** Removes the components that no path leads to, such as an answer that no operation of this catalog gives. In place. */
function dropUnused(paths: unknown, components: object): void {
  const used = new Set<string>();
  const visit = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) return;
    for (const member of Object.values(value)) visit(member);
    const { $ref }: { readonly $ref?: unknown } = value;
    if (typeof $ref !== 'string' || used.has($ref)) return;
    used.add($ref);
    const [, , kind = '', name = ''] = $ref.split('/');
    visit(Object(Reflect.get(components, kind))[name]);
  };
  visit(paths);
  for (const [kind, named] of Object.entries(components)) {
    if (kind === 'securitySchemes') continue; // operations name these without a reference
    for (const name of Object.keys(Object(named)))
      if (!used.has(`#/components/${kind}/${name}`)) Reflect.deleteProperty(Object(named), name);
  }
}

/** Members with values of clients' data, in which a `pattern` is no keyword of a schema. */
const DATA = new Set(['const', 'default', 'enum', 'example', 'examples']);

/** Completes the schemas of a value, in place: patterns without flags, and the limits of integers. */
function clean(value: unknown): void {
  if (typeof value !== 'object' || value === null) return;
  for (const [name, member] of Object.entries(value)) if (!DATA.has(name)) clean(member);
  const { type, pattern, minimum, exclusiveMinimum, maximum }: Schema = value;
  if (typeof pattern === 'string') Reflect.set(value, 'pattern', ecmaPattern(pattern));
  // `z.int()` takes no other integers, and the generator leaves that out.
  if (type !== 'integer' && !(Array.isArray(type) && type.includes('integer'))) return;
  if (minimum === undefined && exclusiveMinimum === undefined)
    Reflect.set(value, 'minimum', Number.MIN_SAFE_INTEGER);
  if (maximum === undefined) Reflect.set(value, 'maximum', Number.MAX_SAFE_INTEGER);
}

interface Schema {
  readonly type?: unknown;
  readonly pattern?: unknown;
  readonly minimum?: unknown;
  readonly exclusiveMinimum?: unknown;
  readonly maximum?: unknown;
}
