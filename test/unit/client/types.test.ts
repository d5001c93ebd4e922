import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { typeOf } from '../../../scripts/client/schema-type.ts';
import { typesOfCatalog } from '../../../scripts/client/write-types.ts';
import { catalog } from '../../support/catalog/index.ts';

const execute = promisify(execFile);
const ROOT = join(import.meta.dirname, '../../..');

let folder = '';
beforeAll(async () => {
  await mkdir(join(ROOT, '.millrace'), { recursive: true });
  folder = await mkdtemp(join(ROOT, '.millrace/types-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const USE = `
import { createClient, type EventOf, sendEvents } from '../../src/client/index.ts';
import type { events, paths } from './routes.ts';

const client = createClient<paths>({ url: 'https://shop.example' });

export async function right(): Promise<void> {
  const { data, token } = await client.get('/v1/products/{sku}', { path: { sku: 'A1' }, consistency: 'strong' });
  const price: number | null = data.unitPrice;
  const page = await client.get('/v1/products', { query: { limit: 10 } });
  await client.get('/v1/products');
  const first: string | undefined = page.data.products[0]?.sku;
  await client.put('/v1/products/{sku}', { path: { sku: 'A1' }, body: { description: first ?? '', unitPrice: price } });
  const { data: read } = await client.post('/v1/features/read', { body: { entity: 'customer', keys: ['c1'], features: [] } });
  const keys: readonly string[] = ['c1'];
  await client.post('/v1/features/read', { body: { entity: 'customer', keys, features: undefined } });
  console.log(token, read.results.length);
}

export async function wrong(): Promise<void> {
  // @ts-expect-error: there is no such path.
  await client.get('/v1/nothing');
  // @ts-expect-error: the path has no such method.
  await client.delete('/v1/price-list');
  // @ts-expect-error: a parameter is missing.
  await client.get('/v1/products/{sku}');
  // @ts-expect-error: a parameter has another name.
  await client.get('/v1/products/{sku}', { path: { id: 'A1' } });
  // @ts-expect-error: the query has no such parameter.
  await client.get('/v1/products', { query: { nothing: 1 } });
  // @ts-expect-error: there is no such level.
  await client.get('/v1/products', { consistency: 'perfect' });
  // @ts-expect-error: the body is missing.
  await client.put('/v1/products/{sku}', { path: { sku: 'A1' } });
  const { data } = await client.get('/v1/products/{sku}', { path: { sku: 'A1' } });
  // @ts-expect-error: the answer has no such member.
  console.log(data.nothing);
}

export const sent: EventOf<events>[] = [];
// @ts-expect-error: the catalog has no event of this type.
void sendEvents<events>(client, [{ source: '/x', type: 'nothing.v1', data: {} }]);
`;

describe('the types of a catalog', () => {
  it('accept the calls that its routes take, and no others', async () => {
    await writeFile(join(folder, 'routes.ts'), await typesOfCatalog(catalog));
    await writeFile(join(folder, 'use.ts'), USE);
    const config = join(folder, 'tsconfig.json');
    const compilerOptions = { types: [], lib: ['ES2024', 'DOM', 'DOM.Iterable', 'DOM.AsyncIterable'] };
    await writeFile(
      config,
      JSON.stringify({ extends: '../../tsconfig.json', compilerOptions, include: ['*.ts'], exclude: [] }),
    );
    const compiled = execute('node_modules/.bin/tsc', ['-p', relative(ROOT, config)], { cwd: ROOT });
    const { stdout } = await compiled.catch(({ stdout: errors }: { stdout: string }) => ({ stdout: errors }));
    expect(stdout).toBe('');
  });
});

describe('typeOf', () => {
  it.each([
    [true, 'unknown'],
    [{}, 'unknown'],
    [{ type: 'integer', minimum: 1 }, 'number'],
    [{ type: ['string', 'null'] }, 'string | null'],
    [{ const: 'a|b' }, '"a|b"'],
    [{ enum: [1, 'x', null] }, '1 | "x" | null'],
    [{ type: 'array', items: { type: ['string', 'number'] } }, '(string | number)[]'],
    [{ type: 'array', items: { enum: ['a', 'b'] } }, '("a" | "b")[]'],
    [
      { type: 'array', prefixItems: [{ type: 'string' }], items: { type: 'number' } },
      '[string, ...number[]]',
    ],
    [
      { type: 'array', items: { anyOf: [{ type: 'object', properties: { a: true } }, { type: 'object' }] } },
      '({ "a"?: unknown; } | Record<string, unknown>)[]',
    ],
    [{ $ref: '#/components/schemas/a.B' }, 'components[\'schemas\']["a.B"]'],
    [{ anyOf: [{ type: 'string' }, { type: 'null' }] }, 'string | null'],
    [
      { type: 'object', properties: { a: { type: 'string' }, 'b-c': {} }, required: ['a'] },
      '{ "a": string; "b-c"?: unknown; }',
    ],
    [{ type: 'object', additionalProperties: { type: 'number' } }, 'Record<string, number>'],
    [
      { allOf: [{ $ref: '#/components/schemas/A' }, { type: 'object', properties: { a: true } }] },
      'components[\'schemas\']["A"] & { "a"?: unknown; }',
    ],
    [
      { properties: { a: { description: 'An */ end', type: 'string' } }, type: 'object' },
      '{ /** An * / end */ "a"?: string; }',
    ],
  ])('%j is %s', (schema, type) => {
    expect(typeOf(schema)).toBe(type);
  });

  it('refuses what it cannot follow', () => {
    expect(() => typeOf({ $ref: 'https://example.com/x' })).toThrow('not in the document');
    let deep: object = {};
    for (let n = 0; n < 100; n += 1) deep = { type: 'array', items: deep };
    expect(() => typeOf({ ...deep })).toThrow('more than 64 schemas');
  });
});
