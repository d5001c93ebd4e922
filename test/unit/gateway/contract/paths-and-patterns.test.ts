import { OpenAPIHono, z } from '@hono/zod-openapi';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { AppEnv } from '../../../../src/gateway/context.ts';
import { completeRegistry, documentOf } from '../../../../src/gateway/contract/document.ts';
import { registerCatalogPath } from '../../../../src/gateway/contract/operations.ts';
import { ecmaPattern } from '../../../../src/gateway/contract/pattern.ts';
import { json } from '../../../../src/gateway/openapi.ts';

describe('a pattern', () => {
  /** As the generator writes an expression. */
  const generated = (expression: RegExp) => expression.toString().replace(/^\/|\/$/g, '');

  it('has no flags', () => {
    expect(ecmaPattern(generated(/^[a-z]+$/))).toBe('^[a-z]+$');
    expect(ecmaPattern(generated(/^[a-z]+$/u))).toBe('^[a-z]+$');
    expect(ecmaPattern(generated(/^[a-z]+$/gy))).toBe('^[a-z]+$');
    expect(ecmaPattern(generated(/^a\/u$/))).toBe('^a\\/u$');
    expect(ecmaPattern(generated(/^a\/u/v))).toBe('^a\\/u');
    expect(ecmaPattern(generated(/^x[/g]$/))).toBe('^x[/g]$');
  });

  it('means the same in other languages', () => {
    expect(ecmaPattern(generated(/^\d\.[\w-]+\\d$/))).toBe('^[0-9]\\.[A-Za-z0-9_-]+\\\\d$');
  });

  it('is left out if it would say something else without its flags', () => {
    for (const expression of [/^[a-z]+$/i, /^a.b$/s, /^a$/m, /^\p{Lu}*$/u, /^[\P{Cc}x]$/u, /^\u{1f600}$/u])
      expect(ecmaPattern(generated(expression))).toBeUndefined();
  });

  it('accepts the same texts as its expression', () => {
    const expressions = [/^[\w-]+$/u, /^\d{1,3}(\.\d+)?$/g, /^[^/]+\/g$/, /^[A-Z ]*$/v, /^\P{Cc}{0,9}$/u];
    fc.assert(
      fc.property(fc.constantFrom(...expressions), fc.string(), (expression, text) => {
        const pattern = ecmaPattern(generated(expression));
        expression.lastIndex = 0;
        expect(new RegExp(pattern ?? '').test(text)).toBe(expression.test(text));
      }),
    );
  });
});

it('two paths that differ in the names of parameters alone are one path of the document', () => {
  const app = new OpenAPIHono<AppEnv>();
  const register = (method: 'get' | 'put', path: string, params: z.ZodObject) => {
    const facts = { phase: 'cache', cost: 'read', scope: null, declaredBy: 'view thing' } as const;
    registerCatalogPath(
      app.openAPIRegistry,
      { ...facts, owner: undefined, replaced: undefined, policy: undefined, takesPrincipal: false },
      {
        method,
        path,
        operationId: `${method}Thing`,
        summary: 'A thing',
        tags: ['views'],
        request: { params },
        responses: { 200: json('The thing.', z.object({})) },
      },
    );
  };
  register('get', '/v1/shelves/{shelf}/{thing}', z.object({ shelf: z.string(), thing: z.string().max(3) }));
  register('put', '/v1/shelves/{id}/{number}', z.object({ number: z.string().max(4), id: z.string() }));
  const { paths } = JSON.parse(documentOf(app, completeRegistry(app.openAPIRegistry)));
  expect(Object.keys(paths)).toEqual(['/v1/shelves/{shelf}/{thing}']);
  const { parameters } = paths['/v1/shelves/{shelf}/{thing}'].put;
  expect(parameters.slice(0, 2)).toMatchObject([
    { in: 'path', name: 'shelf' },
    { in: 'path', name: 'thing', schema: { maxLength: 4 } },
  ]);
});
