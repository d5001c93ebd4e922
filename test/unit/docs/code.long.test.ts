import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { typesOfCatalog } from '../../../scripts/client/write-types.ts';
import { catalog } from '../../support/catalog/index.ts';
import { type Block, blocksOf, pages, ROOT } from './blocks.ts';

const execute = promisify(execFile);

/** Where blocks of other languages are run, or why they are not. */
const OTHERS: Readonly<Record<string, string>> = {
  'docs/catalog.md sql': 'grants for a role that owns nothing: test/unit/storage/adopted.long.test.ts',
  'docs/models.md py':
    'needs scikit-learn; test/support/onnx/scikit-learn/mood.py wrote what the tests publish',
  'docs/features.md yaml': 'configures Feast: test/e2e/feast/python/client.py has the same values',
  'docs/operations.md yaml': 'configures Prometheus',
  'README.md ': 'a drawing',
  'docs/pipeline.md ': 'lines of the live feed',
  'docs/tracing.md ': 'a tree of spans: test/e2e/tracing.long.test.ts has its paths',
  'docs/alerts.md text': 'configures targets: test/unit/operations/alerts/notices.test.ts parses such ones',
  'docs/logs.md text':
    'a line of the log: test/e2e/logs.long.test.ts and test/unit/platform/logger.test.ts have its fields',
};
/** These have tests of their own beside this one. */
const ELSEWHERE = ['sh', 'json'];

/** What the TypeScript of a page takes for granted: declarations of the fixture catalog. */
const PRELUDES: Readonly<Record<string, string>> = {
  'README.md': '',
  'docs/gateway.md': '',
  'docs/training.md': '',
  'docs/features.md': [
    "import * as z from 'zod';",
    "import { customer } from './entities.ts';",
    "import { purchase } from './events.ts';",
  ].join('\n'),
  'docs/models.md': [
    "import * as z from 'zod';",
    "import { customer } from './entities.ts';",
    "import { lastPurchase, purchases } from './features.ts';",
  ].join('\n'),
};

/** Each block of these pages is a module of its own. The others have one module for each page. */
const MODULES = ['docs/client.md'];

let folder = '';
beforeAll(async () => {
  await mkdir(join(ROOT, '.millrace'), { recursive: true });
  folder = await mkdtemp(join(ROOT, '.millrace/docs-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const blocks = pages().flatMap(blocksOf);

it('compiles the TypeScript of all other pages', async () => {
  const typescript = blocks.filter(({ page, language }) => language === 'ts' && page !== 'docs/catalog.md');
  const [modules, others] = [true, false].map((isModule) =>
    typescript.filter(({ page }) => MODULES.includes(page) === isModule),
  );
  for (const block of modules ?? [])
    await writeFile(join(folder, `${block.page.replaceAll('/', '-')}-${block.line}.ts`), moduleOf(block));
  await writeFile(join(folder, 'millrace-routes.ts'), await typesOfCatalog(catalog));
  const byPage = Map.groupBy(others ?? [], ({ page }) => page);
  expect([...byPage.keys()].sort()).toEqual(Object.keys(PRELUDES).sort());
  for (const [page, ofPage] of byPage)
    await writeFile(join(folder, `${page.replaceAll('/', '-')}.ts`), sourceOf(page, ofPage));
  const config = join(folder, 'tsconfig.json');
  const extended = { extends: '../../tsconfig.json', include: ['*.ts'], exclude: [] };
  await writeFile(config, JSON.stringify(extended));
  const compiled = execute('node_modules/.bin/tsc', ['-p', relative(ROOT, config)], { cwd: ROOT });
  const { stdout } = await compiled.catch(({ stdout: errors }: { stdout: string }) => ({ stdout: errors }));
  expect(stdout).toBe('');
});

/** A block of client code, with the client of this repository. */
function moduleOf({ text }: Block): string {
  return text.replaceAll("'millrace/client'", "'../../src/client/index.ts'");
}

function sourceOf(page: string, ofPage: readonly Block[]): string {
  return [PRELUDES[page] ?? '', ...ofPage.map(({ text }) => text)]
    .join('\n\n')
    .replaceAll(/'(?:\.\.\/)+(?:src\/)?(define|platform|training)\//g, "'../../src/$1/")
    .replaceAll("'./", "'../../test/support/catalog/");
}

it('has an entry for each block of another language', () => {
  const others = blocks.filter(({ language }) => language !== 'ts' && !ELSEWHERE.includes(language));
  const kinds = new Set(others.map(({ page, language }) => `${page} ${language}`));
  expect([...kinds].filter((kind) => !(kind in OTHERS))).toEqual([]);
  expect(Object.keys(OTHERS).filter((kind) => !kinds.has(kind))).toEqual([]);
});
