import { Ajv2020 } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { loadCatalog } from '../../../../scripts/project/catalog.ts';
import { openApiOf } from '../../../../scripts/project/openapi.ts';
import { defineCatalog } from '../../../../src/define/define-catalog.ts';
import { CATALOG_VERBS } from '../../../../src/gateway/contract/operation-id.ts';
import { FIXTURE } from '../../../support/node/fixture.ts';

/** The rules of the document, for every operation of the deployment's catalog, of the fixture's and of an empty one. */

const Schema = z.looseObject({});
type Schema = z.output<typeof Schema>;
const Content = z.record(
  z.string(),
  z.object({
    schema: Schema,
    example: z.unknown().optional(),
    examples: z.record(z.string(), z.object({ value: z.unknown() })).optional(),
  }),
);
const Response = z.union([
  z.strictObject({ $ref: z.string() }),
  z.object({
    description: z.string().min(1),
    headers: z.record(z.string(), z.object({ $ref: z.string() })).optional(),
    content: Content.optional(),
  }),
]);
const Operation = z.object({
  operationId: z.string(),
  summary: z.string().min(1),
  description: z.string().min(1),
  tags: z.array(z.string()).min(1),
  security: z.array(z.record(z.string(), z.array(z.string()))),
  parameters: z
    .array(z.object({ in: z.enum(['path', 'query', 'header']), name: z.string(), schema: Schema }))
    .default([]),
  requestBody: z.object({ required: z.boolean(), content: Content }).optional(),
  responses: z.record(z.string(), Response),
});
const Document = z.object({
  openapi: z.literal('3.1.0'),
  servers: z.array(z.object({ url: z.string(), description: z.string() })).min(1),
  tags: z.array(z.object({ name: z.string(), description: z.string().min(1) })),
  paths: z.record(z.string(), z.record(z.string(), Operation)),
  components: z.object({
    schemas: z.record(z.string(), Schema),
    responses: z.record(z.string(), Response),
    headers: z.record(z.string(), z.object({ description: z.string(), schema: Schema })),
  }),
});

const CATALOGS = [
  ['the catalog of this deployment', await openApiOf(await loadCatalog())],
  ["the fixture's catalog", await openApiOf(FIXTURE.catalog)],
  ['an empty catalog', await openApiOf(defineCatalog({}))],
] as const;

describe.each(CATALOGS)('the document of %s', (_name, json) => {
  const document = Document.parse(json);
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      named: `${method.toUpperCase()} ${path}`,
      method,
      path,
      ...operation,
    })),
  );
  const ajv = new Ajv2020({ strict: false, multipleOfPrecision: 6 });
  formats.default(ajv);
  ajv.addSchema({ $id: 'document', ...document });
  // Most operations have the same answers for a failure.
  const validators = new Map<string, ReturnType<typeof ajv.compile>>();
  const validatorOf = (schema: Schema) => {
    const text = JSON.stringify(schema);
    const validator = validators.get(text) ?? ajv.compile(inDocument(schema));
    validators.set(text, validator);
    return validator;
  };
  const resolved = (response: z.output<typeof Response>) => {
    if (!('$ref' in response)) return response;
    const found = document.components.responses[String(response.$ref).replace('#/components/responses/', '')];
    if (found === undefined || '$ref' in found) throw new Error(`${String(response.$ref)} leads nowhere.`);
    return found;
  };

  it('lets a body be left out only where an empty object would do', () => {
    for (const { named, requestBody } of operations) {
      if (requestBody === undefined || requestBody.required) continue;
      for (const { schema } of Object.values(requestBody.content))
        expect([named, ajv.validate({ ...schema, components: document.components }, {})]).toEqual([
          named,
          true,
        ]);
    }
  });

  it('names each operation once, in camel case', () => {
    const ids = operations.map(({ operationId }) => operationId);
    expect(ids.filter((id) => !/^[a-z][a-zA-Z0-9]*$/.test(id))).toEqual([]);
    expect(ids.filter((id, index) => ids.indexOf(id) !== index)).toEqual([]);
  });

  it('keeps the verbs of declarations for declarations', () => {
    const own = new RegExp(`^(${CATALOG_VERBS.join('|')})[A-Z]`);
    const declared = operations.filter(({ tags: [tag] }) =>
      ['views', 'writes', 'models'].includes(tag ?? ''),
    );
    const isDeclared = new Set(declared.map(({ operationId }) => operationId));
    const taken = operations.filter(
      ({ operationId }) => own.test(operationId) && !isDeclared.has(operationId),
    );
    expect(taken.map(({ operationId }) => operationId)).toEqual([]);
  });

  it('describes each tag that it uses, and no other', () => {
    const used = new Set(operations.flatMap(({ tags }) => tags));
    expect(new Set(document.tags.map(({ name }) => name))).toEqual(used);
  });

  it('has no two paths that differ in the name of a parameter alone', () => {
    const forms = Object.keys(document.paths).map((path) => path.replaceAll(/\{[^}]*\}/g, '{}'));
    expect(forms.filter((form, index) => forms.indexOf(form) !== index)).toEqual([]);
  });

  it('declares each parameter of a path', () => {
    for (const { named, path, parameters } of operations) {
      const inPath = [...path.matchAll(/\{([^}]*)\}/g)].map(([, name]) => name);
      const declared = parameters.flatMap((one) => (one.in === 'path' ? [one.name] : []));
      expect(new Set(declared), named).toEqual(new Set(inPath));
    }
  });

  it('has the schema of every answer that has a body', () => {
    for (const { named, responses } of operations)
      for (const [status, response] of Object.entries(responses)) {
        const { content } = resolved(response);
        const isEmpty = status === '204' || status === '304';
        expect(content === undefined, `${named} ${status}`).toBe(isEmpty);
        for (const { schema } of Object.values(content ?? {}))
          expect(Object.keys(schema).length, `${named} ${status}`).toBeGreaterThan(0);
      }
  });

  it('has every status that the kind of the operation gives', () => {
    for (const { named, security, requestBody, responses } of operations) {
      const statuses = Object.keys(responses);
      const isGuarded = security.length > 0 && security.every((one) => 'key' in one);
      const expected = [
        ...['400', '405', '429', '500'],
        ...(security.length > 0 ? ['401', '503'] : []),
        ...(isGuarded ? ['403'] : []),
        ...(requestBody === undefined ? [] : ['413', '415']),
      ];
      expect(statuses, named).toEqual(expect.arrayContaining(expected));
      expect(
        statuses.some((status) => /^2\d\d$/.test(status)),
        named,
      ).toBe(true);
      if (isGuarded) expect(security, named).toEqual([{ key: [expect.any(String)] }]);
    }
  });

  it('names the headers of its answers', () => {
    const needed: Readonly<Record<string, string>> = {
      401: 'WWW-Authenticate',
      403: 'WWW-Authenticate',
      405: 'Allow',
      429: 'Retry-After',
      304: 'ETag',
    };
    for (const { named, method, responses } of operations)
      for (const [status, response] of Object.entries(responses)) {
        const { headers = {} } = resolved(response);
        // A read by POST has no entity tag, whether a cache answers it or not.
        const isCached = method === 'get' && 'Cache-Status' in headers;
        const header = needed[status] ?? (isCached ? 'ETag' : 'X-Request-Id');
        expect(Object.keys(headers), `${named} ${status}`).toContain(header);
        for (const [name, { $ref }] of Object.entries(headers)) {
          expect($ref).toBe(`#/components/headers/${name}`);
          expect(document.components.headers[name], name).toBeDefined();
        }
      }
  });

  it('has no component that no operation leads to', () => {
    const text = JSON.stringify(json);
    const names = Object.entries(document.components).flatMap(([kind, named]) =>
      Object.keys(named).map((name) => `#/components/${kind}/${name}`),
    );
    expect(names.filter((name) => !text.includes(`"$ref":"${name}"`))).toEqual([]);
  });

  it('limits every text and every list that a client sends', () => {
    const unlimited: string[] = [];
    for (const { named, parameters, requestBody } of operations) {
      const sent = [
        // The headers of a request have one limit together.
        ...parameters.filter((one) => one.in !== 'header').map(({ name, schema }) => [name, schema] as const),
        ...Object.entries(requestBody?.content ?? {}).map(([type, { schema }]) => [type, schema] as const),
      ];
      for (const [place, schema] of sent)
        for (const { at, schema: inner } of schemasIn(schema, document.components.schemas)) {
          const types = [inner['type']].flat();
          const isBounded = ['maxLength', 'enum', 'const', 'format', 'pattern'].some(
            (limit) => limit in inner,
          );
          const isUnlimited =
            (types.includes('string') && !isBounded) || (types.includes('array') && !('maxItems' in inner));
          if (isUnlimited) unlimited.push(`${named} ${place} ${at}`);
        }
    }
    expect(unlimited).toEqual([]);
  });

  it('has patterns of ECMA-262 without flags', () => {
    for (const schema of [...allSchemas(json)]) {
      const { pattern } = schema;
      if (typeof pattern !== 'string') continue;
      expect(() => new RegExp(pattern), pattern).not.toThrow();
      expect(pattern).not.toMatch(/(^|[^\\])\/[a-z]+$|\\[pP]\{|\\u\{/);
    }
  });

  it('has examples that fit their schemas', () => {
    let examples = 0;
    const contents = operations.flatMap(({ named, requestBody, responses }) => [
      ...Object.values(requestBody?.content ?? {}).map((content) => [named, content] as const),
      ...Object.entries(responses).flatMap(([status, response]) =>
        Object.values(resolved(response).content ?? {}).map(
          (content) => [`${named} ${status}`, content] as const,
        ),
      ),
    ]);
    for (const [named, { schema, example, examples: several = {} }] of contents) {
      const given = [...(example === undefined ? [] : [{ value: example }]), ...Object.values(several)];
      if (given.length === 0) continue;
      const validate = validatorOf(schema);
      for (const { value } of given) {
        examples += 1;
        expect(validate(value), `${named}: ${ajv.errorsText(validate.errors)}`).toBe(true);
      }
    }
    expect(examples).toBeGreaterThan(50);
  });
});

/** A schema whose references lead into the document. */
function inDocument(schema: Schema): Schema {
  return JSON.parse(JSON.stringify(schema).replaceAll('"#/components', '"document#/components')) as Schema;
}

/** A schema and all that it is made of; each component once. */
function* schemasIn(
  schema: Schema,
  components: Readonly<Record<string, Schema>>,
  at = '',
  seen: Set<string> = new Set(),
): Generator<{ at: string; schema: Schema }> {
  const name = /^#\/components\/schemas\/(.+)$/.exec(String(schema['$ref']))?.[1];
  if (name !== undefined) {
    const component = components[name];
    if (seen.has(name) || component === undefined) return;
    seen.add(name);
    yield* schemasIn(component, components, `${at}#${name}`, seen);
    return;
  }
  yield { at, schema };
  const parts = [
    ...['anyOf', 'oneOf', 'allOf'].flatMap((word) => partsOf(schema[word])),
    ...partsOf(schema['properties']),
    ...partsOf({ items: schema['items'], other: schema['additionalProperties'] }),
  ];
  for (const [part, inner] of parts) yield* schemasIn(inner, components, `${at}.${part}`, seen);
}

function partsOf(value: unknown): [string, Schema][] {
  return Object.entries(Object(value)).flatMap(([part, inner]): [string, Schema][] =>
    typeof inner === 'object' && inner !== null ? [[part, inner as Schema]] : [],
  );
}

function* allSchemas(value: unknown): Generator<Readonly<Record<string, unknown>>> {
  if (typeof value !== 'object' || value === null) return;
  yield value as Readonly<Record<string, unknown>>;
  for (const [name, member] of Object.entries(value))
    if (!['example', 'examples'].includes(name)) yield* allSchemas(member);
}
