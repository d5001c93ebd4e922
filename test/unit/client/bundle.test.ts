import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { bundledClient } from '../../../scripts/client/build.ts';
import { typesOfCatalog } from '../../../scripts/client/write-types.ts';
import { defineCatalog } from '../../../src/define/define-catalog.ts';

const ROOT = join(import.meta.dirname, '../../..');
const FOLDER = 'src/client';

async function gzippedBytes(text: string): Promise<number> {
  return gzipSync(await bundledClient({ text }, { minify: true }), { level: 9 }).length;
}

describe('the client', () => {
  it('stays small: docs/client.md states its size', async () => {
    const all = await gzippedBytes(`export * from './${FOLDER}/index.ts'`);
    const calls = await gzippedBytes(`export { createClient } from './${FOLDER}/index.ts'`);
    expect(all).toBeLessThan(5_120);
    expect(calls).toBeLessThan(3_584);
    const page = readFileSync(join(ROOT, 'docs/client.md'), 'utf8');
    expect(page).toContain('5 KB gzipped');
    expect(page).toContain('3.5 KB');
  });

  it('imports nothing of the server but types, and no package', () => {
    const imports = readdirSync(join(ROOT, FOLDER)).flatMap((file) =>
      [
        ...readFileSync(join(ROOT, FOLDER, file), 'utf8').matchAll(
          /^(?:import|export) (.*?) from '([^']+)'/gms,
        ),
      ].map(([, what = '', from = '']) => ({ file, what, from })),
    );
    expect(imports.length).toBeGreaterThan(10);
    const strangers = imports.filter(
      ({ what, from }) => !(from.startsWith('./') || (from.startsWith('../') && what.startsWith('type '))),
    );
    expect(strangers).toEqual([]);
  });

  it('has the types of the routes as they are; `npm run client:types -- --millrace` writes them', async () => {
    expect(readFileSync(join(ROOT, FOLDER, 'routes.ts'), 'utf8')).toBe(
      await typesOfCatalog(defineCatalog({})),
    );
  });
});
