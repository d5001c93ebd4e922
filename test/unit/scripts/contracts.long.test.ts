import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { runScriptOf } from '../../support/node/command-usage.ts';

const ROOT = join(import.meta.dirname, '../../..');

/** Each test runs two or three processes. */
vi.setConfig({ testTimeout: 120_000 });

/** A checkout with a catalog of its own, below this one so that it finds the dependencies. */
let checkout: string;
beforeAll(() => {
  mkdirSync(join(ROOT, 'dist'), { recursive: true });
  checkout = mkdtempSync(join(ROOT, 'dist', 'contracts-'));
  for (const folder of ['scripts', 'src/define', 'src/pipeline', 'src/platform'])
    cpSync(join(ROOT, folder), join(checkout, folder), { recursive: true });
  mkdirSync(join(checkout, 'src/catalog'));
});
afterAll(() => rmSync(checkout, { recursive: true, force: true }));

const catalogOf = (event: string, project = '') => {
  writeFileSync(
    join(checkout, 'src/catalog/index.ts'),
    `import * as z from 'zod';
import { defineCatalog } from '../define/define-catalog.ts';
import { event } from '../define/event.ts';
const ride = event({ type: 'ride', description: 'A ride.', data: z.object({ minutes: z.number() }), ${event} });
export const catalog = defineCatalog({ events: { ride } });
`,
  );
  writeFileSync(
    join(checkout, 'src/catalog/project.ts'),
    `import { defineProject } from '../define/project.ts';\n${project}\nexport const project = defineProject();\n`,
  );
};
const run = (script: string, ...args: string[]) => runScriptOf(script, args, { cwd: checkout });

it.each([
  [
    'a mistake that the validation finds',
    `version: 1, example: { minutes: 'many' }, stores: () => []`,
    /^The catalog has 1 mistake\(s\):\n {2}the event "ride.v1" \(events\.ts, ride\): Its example is refused: .*received string\. Correct the example: /,
  ],
  [
    'a mistake that a builder finds',
    'version: 0, stores: () => []',
    /^The catalog has 1 mistake\(s\):\n {2}the event "ride" \(events\.ts, ride\): .*version/,
  ],
  [
    'an error of its own code',
    `version: 1, stores: () => [], ...(() => { throw new Error('Not yet.'); })()`,
    /^The catalog cannot be loaded \(src\/catalog\/index\.ts, line 4\): Not yet\.$/,
  ],
  [
    'a function that throws for the example',
    `version: 1, example: { minutes: 1 }, stores: () => { throw new Error('Not yet.'); }`,
    /`stores` of its type failed \(Error: Not yet\.\)\. Correct `stores`, or the example\.$/,
  ],
  [
    'a contract that has no JSON Schema',
    'version: 1, data: z.object({ at: z.date() }), stores: () => []',
    /^The contract of ride\.v1 has no JSON Schema: Date cannot be represented in JSON Schema\. Use types/,
  ],
])('npm run contracts reports %s as npm run check:catalog does', async (_, event, report) => {
  catalogOf(event);
  const checked = await run('scripts/check-catalog.ts');
  expect(checked.stderr.trim()).toMatch(report);
  expect(checked.stderr).not.toMatch(/^ +at /m);
  expect(checked.code).toBe(1);
  expect(await run('scripts/contracts.ts')).toEqual(checked);
});

it('writes contracts with --release, and finds nothing that breaks afterwards', async () => {
  catalogOf('version: 1, stores: () => []');
  expect((await run('scripts/contracts.ts')).stdout).toMatch(
    /^ride\.v1: \w+\n.*1 contracts, 1 of them not released in this form/s,
  );
  expect((await run('scripts/contracts.ts', '--release')).stdout).toContain(
    '1 contracts released, 1 of them',
  );
  expect(await run('scripts/contracts.ts')).toEqual({
    code: 0,
    stdout: '1 contracts, 0 of them not released in this form. No change is breaking.\n',
    stderr: '',
  });
});

it('names src/catalog/project.ts where that cannot be loaded', async () => {
  catalogOf('version: 1, stores: () => []', `throw new Error('Not yet.');`);
  for (const [script, ...args] of [['scripts/contracts.ts'], ['scripts/command.ts', 'import']] as const)
    expect(await run(script, ...args)).toEqual({
      code: 1,
      stdout: '',
      stderr: 'src/catalog/project.ts cannot be loaded (src/catalog/project.ts, line 2): Not yet.\n',
    });
});
