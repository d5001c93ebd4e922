import { execFile } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openApiOf } from '../../../scripts/project/openapi.ts';
import { FIXTURE } from '../../support/node/fixture.ts';
import { IS_PART } from '../../support/node/part.ts';
import { KEY, type Stack, startStack } from '../../support/node/stack.ts';

/** What others make of the document: two linters, and clients of two generators that call the running worker. */

/** Folders with the packages of `tools/package.json` and of `tools/requirements.txt`; `.ci/run` brings them. */
const NODE_TOOLS = process.env['TEST_OPENAPI_NODE'];
const PYTHON_TOOLS = process.env['TEST_OPENAPI_PYTHON'];
const skipped = (name: string, folder: string | undefined) =>
  folder === undefined ? ` (skipped: ${name} is not set)` : '';

const TOOLS = join(import.meta.dirname, 'tools');
const NODE = join(import.meta.dirname, '../../../node_modules/.bin/node');
const TIMEOUT_MS = 300_000;
const execute = promisify(execFile);
const run = async (command: string, args: readonly string[], cwd: string) =>
  await execute(command, [...args], {
    cwd,
    timeout: TIMEOUT_MS,
    maxBuffer: 64 * 1024 * 1024,
    env: { ...process.env, PYTHONPATH: `${cwd}:${PYTHON_TOOLS ?? ''}` },
  });

let folder: string;
let stack: Stack;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-openapi-'));
  writeFileSync(join(folder, 'openapi.json'), JSON.stringify(await openApiOf(FIXTURE.catalog)));
  if (NODE_TOOLS !== undefined) symlinkSync(join(NODE_TOOLS, 'node_modules'), join(folder, 'node_modules'));
  if (NODE_TOOLS !== undefined || PYTHON_TOOLS !== undefined) stack = await startStack();
}, TIMEOUT_MS);
afterAll(async () => {
  rmSync(folder, { recursive: true });
  await stack?.[Symbol.asyncDispose]();
});

describe.skipIf(NODE_TOOLS === undefined)(`linters${skipped('TEST_OPENAPI_NODE', NODE_TOOLS)}`, () => {
  it(
    'redocly finds nothing by its recommended rules',
    async () => {
      const args = ['lint', 'openapi.json', '--extends', 'recommended', '--format', 'json'];
      const { stdout } = await run('node_modules/.bin/redocly', args, folder).catch((error) => error);
      expect(JSON.parse(stdout)).toMatchObject({ totals: { errors: 0, warnings: 0 }, problems: [] });
    },
    TIMEOUT_MS,
  );

  it(
    'spectral finds nothing by its rules for OpenAPI',
    async () => {
      const options = ['--ruleset', join(TOOLS, 'spectral.yaml'), '--fail-severity', 'hint'];
      const { stdout } = await run(
        'node_modules/.bin/spectral',
        ['lint', 'openapi.json', ...options],
        folder,
      );
      expect(stdout).toContain('No results');
    },
    TIMEOUT_MS,
  );
});

describe.skipIf(NODE_TOOLS === undefined)(
  `openapi-typescript${skipped('TEST_OPENAPI_NODE', NODE_TOOLS)}`,
  () => {
    it(
      'generates types with which a client compiles, writes and reads',
      async () => {
        await run('node_modules/.bin/openapi-typescript', ['openapi.json', '--output', 'api.ts'], folder);
        // As a text, so that only the generated types compile it.
        cpSync(join(TOOLS, 'client.ts.txt'), join(folder, 'client.ts'));
        writeFileSync(join(folder, 'package.json'), '{"type": "module"}');
        const options = ['--strict', '--noEmit', '--allowImportingTsExtensions', '--skipLibCheck'];
        const target = ['--target', 'es2023', '--module', 'nodenext', '--types', 'node'];
        const types = ['--typeRoots', join(import.meta.dirname, '../../../node_modules/@types')];
        await run('node_modules/.bin/tsc', [...options, ...target, ...types, 'client.ts'], folder);
        const { stdout } = await run(NODE, ['client.ts', stack.url.href.replace(/\/$/, ''), KEY], folder);
        expect(JSON.parse(stdout)).toEqual({ description: 'Typed by the document', unitPrice: 2.5 });
      },
      TIMEOUT_MS,
    );
  },
);

/**
 * Of the generator's own code: it tests a body's type with a generic, reads every answer with a schema as JSON, and casts
 * a list of any values to what it is.
 */
const GENERATED_FAULTS = [
  ...['generated/api/events/send_events.py', 'generated/api/events/stream_changes.py'],
  ...['generated/models/push_to_feast_body_df.py', 'generated/models/write_to_feast_body_df.py'],
];

async function checkTypes(): Promise<void> {
  const check = ['-m', 'mypy', '--strict', 'client.py', 'generated'];
  const { stdout: found } = await run('python3', check, folder).catch((error) => error);
  const places = [...String(found).matchAll(/^(\S+\.py):\d+: error/gm)].map(([, place]) => place);
  expect(places.toSorted(), found).toEqual(GENERATED_FAULTS);
}

describe.skipIf(PYTHON_TOOLS === undefined)(
  `openapi-python-client${skipped('TEST_OPENAPI_PYTHON', PYTHON_TOOLS)}`,
  () => {
    it.skipIf(IS_PART)(
      'generates a package with which a client type-checks, writes and reads',
      async () => {
        // The generator knows few media types, and takes a file of any other as bytes if it is told to.
        const overrides =
          'content_type_overrides:\n  application/vnd.apache.parquet: application/octet-stream\n';
        writeFileSync(join(folder, 'config.yaml'), `post_hooks: []\n${overrides}`);
        const generate = ['generate', '--path', 'openapi.json', '--config', 'config.yaml'];
        const main = 'from openapi_python_client.cli import app; app()';
        const output = ['--meta', 'none', '--output-path', 'generated', '--fail-on-warning'];
        await run('python3', ['-c', main, ...generate, ...output], folder);
        cpSync(join(TOOLS, 'client.py'), join(folder, 'client.py'));
        await checkTypes();
        const { stdout } = await run(
          'python3',
          ['client.py', stack.url.href.replace(/\/$/, ''), KEY],
          folder,
        );
        expect(JSON.parse(stdout)).toEqual({ description: 'Typed by the document', unitPrice: 3.5 });
      },
      TIMEOUT_MS,
    );
  },
);
