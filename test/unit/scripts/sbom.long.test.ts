import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { build } from 'esbuild';
import { expect, it } from 'vitest';
import * as z from 'zod';

const ROOT = join(import.meta.dirname, '../../..');
const BROWSER = 'src/gateway/page/browser';
const Sbom = z.object({
  bomFormat: z.literal('CycloneDX'),
  dependencies: z.array(z.object({ ref: z.string(), dependsOn: z.array(z.string()) })),
  components: z.array(
    z.object({
      'bom-ref': z.string(),
      name: z.string(),
      version: z.string(),
      purl: z.string().startsWith('pkg:npm/'),
      licenses: z.array(z.unknown()).min(1),
      hashes: z.array(z.unknown()).min(1),
    }),
  ),
});

/** Names and versions of the packages that are bundled into what is deployed. */
async function bundledPackages(): Promise<Set<string>> {
  const worker = { entryPoints: ['src/index.ts'], conditions: ['workerd', 'worker'] };
  const pages = {
    entryPoints: ['main.ts', 'models.ts', 'dashboards/main.ts'].map((file) => join(BROWSER, file)),
  };
  const found = new Set<string>();
  for (const target of [worker, pages]) {
    const { metafile } = await build({
      ...target,
      absWorkingDir: ROOT,
      bundle: true,
      metafile: true,
      write: false,
      outdir: 'nowhere',
      format: 'esm',
      platform: 'neutral',
      mainFields: ['module', 'main'],
      external: ['cloudflare:*', 'node:*', 'fs', 'module', 'worker_threads'],
      loader: { '.wasm': 'empty' },
      logLevel: 'error',
    });
    for (const path of Object.keys(metafile.inputs)) {
      const [folder] = /^.*node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/.exec(path) ?? [];
      if (folder !== undefined) found.add(packageAt(folder));
    }
  }
  // The page at /docs is the package's own script (scripts/project/docs-assets.ts).
  return found.add(packageAt('node_modules/@scalar/fastify-api-reference'));
}

function packageAt(folder: string): string {
  const text = readFileSync(join(ROOT, folder, 'package.json'), 'utf8');
  const { name, version } = z.object({ name: z.string(), version: z.string() }).parse(JSON.parse(text));
  // @upstash/kafka writes "v1.3.5", which npm reads as 1.3.5.
  return `${name}@${version.replace(/^v/, '')}`;
}

it('npm run sbom lists each package of what is deployed, with licence and hash', async () => {
  const { stdout } = await promisify(execFile)('npm', ['run', '-s', 'sbom'], { cwd: ROOT, maxBuffer: 1e8 });
  const { components, dependencies } = Sbom.parse(JSON.parse(stdout));
  const refs = new Set(components.map((one) => one['bom-ref']));
  expect(refs.size).toBe(components.length);
  expect(dependencies.flatMap(({ dependsOn }) => dependsOn).filter((ref) => !refs.has(ref))).toEqual([]);
  const listed = new Set(components.map(({ name, version }) => `${name}@${version}`));
  const bundled = await bundledPackages();
  expect([...bundled]).toEqual(
    expect.arrayContaining([expect.stringMatching(/^hono@/), expect.stringMatching(/^uplot@/)]),
  );
  expect([...bundled].filter((one) => !listed.has(one))).toEqual([]);
});
