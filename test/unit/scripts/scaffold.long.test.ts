import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { trialsOf } from '../../../scripts/dev/trials.ts';
import { emptyCatalog } from '../../../scripts/scaffold/catalog.ts';
import type { Catalog } from '../../../src/define/catalog.ts';

const ROOT = join(import.meta.dirname, '../../..');
const SCAFFOLD = join(ROOT, 'scripts/scaffold.ts');
const NODE = join(ROOT, 'node_modules/.bin/node');

/** A checkout with what the command reads and writes, below this one so that it finds the dependencies. */
let checkout: string;
beforeEach(() => {
  mkdirSync(join(ROOT, 'dist'), { recursive: true });
  checkout = mkdtempSync(join(ROOT, 'dist', 'scaffold-'));
  for (const folder of ['scripts/scaffold', 'src/define', 'src/platform'])
    cpSync(join(ROOT, folder), join(checkout, folder), { recursive: true });
  for (const example of ['one', 'two']) {
    mkdirSync(join(checkout, 'examples', example, 'catalog'), { recursive: true });
    writeFileSync(join(checkout, 'examples', example, 'catalog', 'index.ts'), 'export const catalog = {};\n');
    writeFileSync(join(checkout, 'examples', example, 'project.ts'), 'export const project = {};\n');
  }
});
afterEach(() => rmSync(checkout, { recursive: true, force: true }));

const scaffold = (...args: string[]) =>
  execFileSync(NODE, [SCAFFOLD, ...args], { cwd: checkout, encoding: 'utf8' });
const refused = (...args: string[]) =>
  spawnSync(NODE, [SCAFFOLD, ...args], { cwd: checkout, encoding: 'utf8' });
const read = (name: string) => readFileSync(join(checkout, 'src/catalog', name), 'utf8');
const files = () => readdirSync(join(checkout, 'src/catalog')).sort();

async function load(): Promise<Catalog> {
  // Another URL each time: modules are kept by theirs.
  const { catalog } = await import(pathToFileURL(join(checkout, 'src/catalog/index.ts')).href);
  return catalog;
}

describe('npm run scaffold', () => {
  it('writes an empty catalog that loads', async () => {
    expect(scaffold()).toContain('src/catalog/ is an empty catalog now');
    expect(files()).toEqual([...emptyCatalog(ROOT).keys()].sort());
    const { entities, events, views, features, models } = await load();
    expect([entities, events, views, features, models]).toEqual([[], [], [], [], []]);
  });

  it('shows in its comments declarations that compile into a catalog, with lines to try', async () => {
    scaffold();
    for (const name of files()) {
      const shown = commentedCode(read(name));
      if (shown !== '') writeFileSync(join(checkout, 'src/catalog', name), shown);
    }
    const catalog = await load();
    expect(catalog.entities.map(({ name }) => name)).toEqual(['station']);
    expect(catalog.histories.map(({ name }) => name)).toEqual(['report']);
    expect(catalog.features.map(({ name }) => name)).toEqual(['reports', 'station_name']);
    expect(trialsOf(catalog, Date.UTC(2026, 0, 1)).map(({ note: _, ...trial }) => trial)).toEqual([
      { send: { type: 'bikes.report.v1', data: { stationId: 'S1' } } },
      { get: '/v1/stations/S1/reports' },
      { send: { type: 'bikes.report.v1', data: { stationId: 'S1' } } },
      { get: '/v1/stations/S1/reports' },
    ]);
  });

  it('changes between an empty catalog and the examples, there and back', () => {
    scaffold('--example', 'one');
    expect(files()).toEqual(['index.ts', 'project.ts']);
    expect(read('index.ts')).toContain("export { catalog } from '../../examples/one/catalog/index.ts'");
    scaffold('--example', 'two');
    expect(read('project.ts')).toBe("export { project } from '../../examples/two/project.ts';\n");
    scaffold();
    expect(files()).toContain('tables.ts');
    expect(scaffold('--example', 'one')).toContain('removed: entities.ts');
  });

  it('replaces a catalog that points to an example which is gone', () => {
    scaffold('--example', 'one');
    rmSync(join(checkout, 'examples/one'), { recursive: true });
    expect(scaffold('--example', 'two')).toContain('src/catalog/ serves examples/two now');
  });

  it('deletes declarations of one’s own with --force only', () => {
    scaffold();
    const own = "import { pgTable } from 'drizzle-orm/pg-core';\nexport const own = pgTable('own', {});\n";
    writeFileSync(join(checkout, 'src/catalog/tables.ts'), own);
    const { status, stderr } = refused('--example', 'one');
    expect(status).toBe(1);
    expect(stderr).toContain('has declarations of its own');
    expect(stderr).toContain('Nothing was changed');
    expect(read('tables.ts')).toBe(own);
    scaffold('--example', 'one', '--force');
    expect(files()).toEqual(['index.ts', 'project.ts']);
  });

  it('names the examples that there are', () => {
    scaffold();
    const { status, stderr } = refused('--example', 'shoe-shop');
    expect(status).toBe(2);
    expect(stderr).toBe('There is no example "shoe-shop". examples/ has one, two.\n');
    expect(files()).toContain('tables.ts');
  });
});

/** The code that a skeleton shows: the lines of its comment that are indented by three spaces. */
function commentedCode(text: string): string {
  const comment = /\/\*\*([\s\S]*?)\*\//.exec(text)?.[1] ?? '';
  if (!comment.includes('   import ')) return '';
  const lines = comment.split('\n').flatMap((line) => (line.startsWith(' *   ') ? [line.slice(5)] : []));
  return `${lines.join('\n')}\n`;
}
