import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { json, scriptedServer } from './server.ts';

const execute = promisify(execFile);
const ROOT = join(import.meta.dirname, '../../..');
const TSC = join(ROOT, 'node_modules/typescript/bin/tsc');

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'client-package-'));
  await execute('npm', ['pack', '--pack-destination', folder], { cwd: ROOT });
  const installed = join(folder, 'node_modules/millrace');
  await mkdir(installed, { recursive: true });
  await execute('tar', ['-xf', join(folder, 'millrace-0.1.0.tgz'), '-C', installed, '--strip-components=1']);
  await writeFile(join(folder, 'package.json'), '{ "type": "module" }');
});
afterAll(() => rm(folder, { recursive: true, force: true }));

it('has the client in its package, which Node loads without any other package', async () => {
  await using server = await scriptedServer(json({ status: 'ok' }));
  const script = `
    import { createClient } from 'millrace/client';
    const { data } = await createClient({ url: '${server.url}' }).get('/health/live');
    console.log(data.status);`;
  await writeFile(join(folder, 'ask.js'), script);
  const { stdout } = await execute(process.execPath, ['ask.js'], { cwd: folder });
  expect(stdout).toBe('ok\n');
});

it.each([
  ['ESNext', 'Bundler'],
  ['NodeNext', 'NodeNext'],
])('has types for modules of %s', async (module, moduleResolution) => {
  const use = `
    import { createClient, type ProblemCode } from 'millrace/client';
    const client = createClient({ url: 'https://example.com' });
    export const status: Promise<'ok'> = client.get('/health/live').then(({ data }) => data.status);
    export const code: ProblemCode = 'not_found';
    // @ts-expect-error: there is no such route.
    void client.get('/health/dead');
    // @ts-expect-error: the codes are closed.
    export const other: ProblemCode = 'whatever';`;
  await writeFile(join(folder, 'use.ts'), use);
  const lib = [
    '--lib',
    'ES2022,DOM',
    '--target',
    'ES2022',
    '--strict',
    '--noEmit',
    '--skipLibCheck',
    'false',
  ];
  const how = ['--module', module, '--moduleResolution', moduleResolution];
  const compiled = execute(process.execPath, [TSC, '--ignoreConfig', ...how, ...lib, 'use.ts'], {
    cwd: folder,
  });
  const { stdout } = await compiled.catch(({ stdout: errors }: { stdout: string }) => ({ stdout: errors }));
  expect(stdout).toBe('');
});
