import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { expect, it } from 'vitest';
import * as z from 'zod';
import { RESERVED_PATHS } from '../../../src/define/reserved-paths.ts';
import { createApp } from '../../../src/gateway/app.ts';
import { catalog } from '../../support/catalog/index.ts';
import { blocksOf, pages, ROOT } from './blocks.ts';

const Operation = z.object({
  security: z.array(z.looseObject({})).optional(),
  responses: z.record(z.string(), z.unknown()),
});
const Document = z.object({
  paths: z.record(z.string(), z.record(z.string(), z.unknown())),
  components: z.object({ schemas: z.record(z.string(), z.unknown()) }),
});

/** No request is made: the document needs no ports. */
function noPorts(): never {
  throw new Error('The document needs no ports.');
}
const info = { title: 'Millrace', version: '1' };
const document = Document.parse(
  JSON.parse(
    JSON.stringify(
      createApp({
        catalog,
        viewsOf: noPorts,
        portsOf: noPorts,
        countRequest: () => undefined,
      }).getOpenAPI31Document({
        openapi: '3.1.0',
        info,
      }),
    ),
  ),
);
const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({
    method: method.toUpperCase(),
    path,
    operation: Operation.parse(operation),
  })),
);
const operationOf = (method: string, path: string) =>
  operations.find(
    (of) =>
      of.method === method &&
      new RegExp(`^${of.path.replaceAll('.', '\\.').replaceAll(/\{\w+\}/g, '[^/]+')}$`).test(path),
  );

/** A security requirement without a scheme means that the operation also answers without a key. */
function needsKey(security: readonly object[] = []): boolean {
  return security.length > 0 && security.every((one) => 'key' in one);
}

const requests = pages()
  .flatMap(blocksOf)
  .filter(({ language }) => language === 'sh')
  .flatMap(({ page, text }) =>
    text
      .replaceAll(/\\\n\s*/g, '')
      .split('\n')
      .filter((line) => line.startsWith('curl '))
      .map((line) => {
        const body = / -d '(.*)'/.exec(line)?.[1];
        const method = / -X (\w+)/.exec(line)?.[1] ?? (body === undefined ? 'GET' : 'POST');
        const path = /"\$URL([^"?]*)/.exec(line)?.[1] ?? '';
        return { page, line, method, path, body, hasKey: line.includes('Authorization: Bearer $KEY') };
      }),
  );

it('has routes for all requests, with the key where they ask for it', () => {
  expect(requests.length).toBeGreaterThan(8);
  for (const { page, line, method, path, body, hasKey } of requests) {
    const found = operationOf(method, path);
    expect(found, `${page}: ${line}`).toBeDefined();
    expect(Object.keys(found?.operation.responses ?? {}).some((status) => /^2/.test(status))).toBe(true);
    expect(hasKey, `${page}: ${line}`).toBe(needsKey(found?.operation.security));
    if (body !== undefined) expect(() => JSON.parse(body), line).not.toThrow();
  }
});

/** The schema of each answer that a page shows, in the order of the page. */
const ANSWERS: Readonly<Record<string, readonly string[]>> = {
  'README.md': ['Features', 'ranker.Ranking', 'Lineage'],
  'docs/inference-protocol.md': ['InferResponse'],
  'docs/models.md': ['expected-spend.Prediction', 'expected-spend.Prediction'],
};

it('shows answers that match the schemas', () => {
  const answers = pages()
    .flatMap(blocksOf)
    .filter(({ language }) => language === 'json');
  const ajv = new Ajv2020({ strict: false, validateFormats: false });
  ajv.addSchema({ $id: 'document', ...document });
  const byPage = Map.groupBy(answers, ({ page }) => page);
  const counts = [...byPage].map(([page, ofPage]) => [page, ofPage.length]);
  expect(Object.fromEntries(counts)).toEqual(
    Object.fromEntries(Object.entries(ANSWERS).map(([page, schemas]) => [page, schemas.length])),
  );
  for (const [page, schemas] of Object.entries(ANSWERS))
    for (const [index, schema] of schemas.entries()) {
      const text = byPage.get(page)?.[index]?.text ?? '';
      // The fixture's model has an output beside those of the page's.
      const answer =
        schema === 'expected-spend.Prediction' ? { doubled: 0, ...JSON.parse(text) } : JSON.parse(text);
      const isKept = ajv.validate({ $ref: `document#/components/schemas/${schema}` }, answer);
      expect(ajv.errors ?? [], text).toEqual([]);
      expect(isKept).toBe(true);
    }
});

interface Listed {
  readonly route: string;
  readonly hasKey: boolean;
}

/** Millrace's own routes in the table of the README: `POST …/release` continues the path before it. */
function ownRoutesOfReadme(): Listed[] {
  const text = readFileSync(join(ROOT, 'README.md'), 'utf8');
  const [, table = ''] = /\| route \| what \|\n(.*?)\n\n/s.exec(text) ?? [];
  let before = '';
  return table.split('\n').flatMap((row) =>
    [...(row.split(' | ')[0] ?? '').matchAll(/`(?:([A-Z]+),? )?([^` ]+)`/g)].flatMap(
      ([, method = 'GET', given = '']) => {
        const path = given.replace(/^…/, before);
        if (given.startsWith('/')) before = given;
        return isOwn(path) ? [{ route: `${method} ${generic(path)}`, hasKey: row.includes('(`key`)') }] : [];
      },
    ),
  );
}

function isOwn(path: string): boolean {
  const feast = ['/get-online-features', '/push', '/write-to-online-store'];
  const own = [...RESERVED_PATHS, ...feast, '/health', '/metrics', '/openapi.json', '/v2'];
  return own.some((prefix) => path === prefix || path.startsWith(`${prefix}/`));
}

it('lists the routes of Millrace in the README, and no others, with those that ask for the key', () => {
  const listed = ownRoutesOfReadme();
  const served = operations.filter(({ path }) => isOwn(path));
  const routes = served.map(({ method, path }) => `${method} ${generic(path)}`);
  expect(new Set(listed.map(({ route }) => route))).toEqual(new Set(routes));
  const keyed = served.filter(({ operation }) => needsKey(operation.security));
  const asking = new Set(keyed.map(({ method, path }) => `${method} ${generic(path)}`));
  expect(listed.filter(({ route, hasKey }) => hasKey !== asking.has(route))).toEqual([]);
});

/** Each model has a route for its predictions. */
function generic(path: string): string {
  return path.replace(/^\/v1\/predictions\/[^/]+$/, '/v1/predictions/{model}');
}
