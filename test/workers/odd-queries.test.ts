import { createExecutionContext } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { Isolate } from '../../src/composition/isolate.ts';
import { appOf } from '../../src/composition/worker.ts';
import { catalog } from '../support/catalog/index.ts';

/** Odd inputs for every parameter of every query of the document. None of them reaches the database. */

const KEY = { authorization: 'Bearer test-key' };
const app = appOf(new Isolate(catalog));

async function get(path: string) {
  const response = await app.request(path, { headers: KEY }, env, createExecutionContext());
  const text = await response.text();
  const json: Record<string, unknown> = text.startsWith('{') ? JSON.parse(text) : {};
  return { status: response.status, pointer: json['pointer'], code: json['code'], detail: json['detail'] };
}

const Parameter = z.object({
  name: z.string(),
  in: z.string(),
  schema: z.looseObject({ type: z.union([z.string(), z.array(z.string())]).optional() }),
});
const Document = z.object({
  paths: z.record(
    z.string(),
    z.object({ get: z.looseObject({ parameters: z.array(Parameter).default([]) }).optional() }),
  ),
});
const { paths } = Document.parse(
  await (await app.request('/openapi.json', {}, env, createExecutionContext())).json(),
);
const routes = Object.entries(paths).flatMap(([path, { get: operation }]) => {
  if (operation === undefined) return [];
  const queries = operation.parameters.filter(({ in: place }) => place === 'query');
  return [{ path: path.replaceAll(/\{\w+\}/g, '1'), queries }];
});
const parameters = routes.flatMap(({ path, queries }) => queries.map((query) => ({ path, ...query })));
const numeric = parameters.filter(({ schema }) => schema.type === 'integer' || schema.type === 'number');
/** Parameters of which hardly any text is valid. Others may be any text, and so reach the database, which is not there. */
const narrow = parameters.filter(
  ({ name, schema }) =>
    ['integer', 'number'].includes(String(schema.type)) ||
    'enum' in schema ||
    'pattern' in schema ||
    /^(before|after)$/.test(name),
);

/** Texts that `Number` takes, or reads as another number than a person does. */
const NOT_NUMBERS = [
  ...['', ' ', '+1', ' 1', '1 ', '1\n', '0x10', '0b1', '0o7', '01', '1_0', '1,0', '.5', '5.', '-', '-0x1'],
  ...['NaN', 'Infinity', '١', '１', 'null', 'true', '1\u0000', '[1]'],
];
/** Numbers, but not the text of an integer. */
const NOT_INTEGERS = [...NOT_NUMBERS, '1e2', '1E2', '1.0', '-0', '10.'];

describe('a query', () => {
  it('has numbers, texts and repeated parameters among those of the document', () => {
    expect(numeric.length).toBeGreaterThan(8);
    expect(parameters.length).toBeGreaterThan(numeric.length + 5);
    expect(parameters.some(({ schema }) => schema.type === 'array')).toBe(true);
  });

  it.each(numeric)('of $path refuses odd texts for the number $name', async ({ path, name, schema }) => {
    for (const text of schema.type === 'integer' ? NOT_INTEGERS : NOT_NUMBERS) {
      const answer = await get(`${path}?${name}=${encodeURIComponent(text)}`);
      expect({ text, ...answer }).toMatchObject({ status: 400, code: 'invalid_request', pointer: name });
    }
  });

  it.each(parameters)(
    'of $path refuses $name twice, unless the document says that it is a list',
    async ({ path, name, schema }) => {
      if (schema.type === 'array') return;
      for (const query of [`${name}=1&${name}=1`, `${name}=1&${name}=2`, `${name}&${name}=`])
        expect(await get(`${path}?${query}`)).toMatchObject({
          status: 400,
          code: 'invalid_request',
          pointer: name,
        });
    },
  );

  it.each(routes)('of $path refuses parameters that the document does not have', async ({ path }) => {
    // Failures of the Open Inference Protocol have a body of their own, without a pointer.
    for (const name of ['unknown', 'Limit', '__proto__', 'constructor', 'limit[]', ''])
      expect(await get(`${path}?${encodeURIComponent(name)}=1`)).toMatchObject(
        path.startsWith('/v2') ? { status: 400 } : { status: 400, code: 'invalid_request', pointer: name },
      );
  });

  it('never makes an error of the server of an odd text', async () => {
    const odd = fc.oneof(
      fc.string({ maxLength: 40 }),
      fc.string({ unit: 'grapheme', maxLength: 20 }),
      fc.string({ unit: 'binary', maxLength: 20 }),
      fc.constantFrom('%', '%00', '%c3%28', '\u0000', '\ud800', '../', "' or 1=1--", 'a'.repeat(3_000)),
    );
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...narrow), odd, async ({ path, name }, text) => {
        let value = text;
        try {
          value = encodeURIComponent(text);
        } catch {
          // A lone surrogate is sent as it is.
        }
        const { status, code } = await get(`${path}?${name}=${value}`);
        // 503 `database_unavailable`: the text is a valid value, and this test has no database.
        expect([status, code]).not.toContain(500);
        expect(code).not.toBe('internal');
      }),
      { numRuns: 100, seed: 15 },
    );
  });
});
