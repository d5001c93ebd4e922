import { execFile } from 'node:child_process';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { build } from 'esbuild';

const execute = promisify(execFile);
const ROOT = join(import.meta.dirname, '../..');
export const CLIENT_ENTRY = 'src/client/index.ts';

/** The client as one module of JavaScript, for the browsers of the last three years, Workers and Node 20. */
export async function bundledClient(
  entry: { readonly file: string } | { readonly text: string } = { file: CLIENT_ENTRY },
  options: { readonly minify?: boolean } = {},
): Promise<string> {
  const { outputFiles } = await build({
    absWorkingDir: ROOT,
    ...('file' in entry
      ? { entryPoints: [entry.file] }
      : { stdin: { contents: entry.text, resolveDir: ROOT, loader: 'ts' as const } }),
    bundle: true,
    minify: options.minify ?? false,
    format: 'esm',
    target: 'es2022',
    charset: 'utf8',
    write: false,
  });
  return outputFiles[0]?.text ?? '';
}

/** Writes the module and its declarations, which is what the package exports as `millrace/client`. */
export async function buildClient(outDir: string): Promise<void> {
  await rm(outDir, { recursive: true, force: true });
  await build({
    absWorkingDir: ROOT,
    entryPoints: [CLIENT_ENTRY],
    outfile: join(outDir, 'index.js'),
    bundle: true,
    format: 'esm',
    target: 'es2022',
    charset: 'utf8',
  });
  const args = ['-p', 'tsconfig.client.json', '--outDir', join(outDir, 'types')];
  await execute(process.execPath, ['node_modules/typescript/bin/tsc', ...args], { cwd: ROOT });
}
