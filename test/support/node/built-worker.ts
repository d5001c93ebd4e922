import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';

const ROOT = join(import.meta.dirname, '../../..');
const WRANGLER = join(ROOT, 'node_modules/.bin/wrangler');

/** The folders that this process has built, by the entry module. */
const built = new Map<string, Promise<string>>();

/**
 * The folder of the built worker. A process builds each entry module once, because to bundle it again for each of some
 * sixty stacks would take more than a third of the time of their starts.
 *
 * @param main the entry module, relative to the repository.
 * @param configPath of wrangler, with that module. Bindings are read from it at the start of each stack.
 */
export async function builtWorker(main: string, configPath: string): Promise<string> {
  const building = built.get(main) ?? buildWorker(drainingConfig(main, configPath));
  built.set(main, building);
  return await building;
}

/**
 * A configuration whose entry reads what the worker has left of a request's body. `wrangler dev` adds the same to its own
 * bundle: without it, the local platform loses one of some hundred connections ("Network connection lost").
 */
function drainingConfig(main: string, configPath: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-entry-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  const worker = JSON.stringify(join(ROOT, main));
  const entry = join(folder, basename(main));
  writeFileSync(
    entry,
    `import worker from ${worker};
export * from ${worker};
export default {
  ...worker,
  async fetch(request, env, context) {
    try {
      return await worker.fetch(request, env, context);
    } finally {
      if (request.body !== null && !request.bodyUsed)
        await request.body.pipeTo(new WritableStream()).catch(() => undefined);
    }
  },
};
`,
  );
  const path = join(folder, 'wrangler.toml');
  const text = readFileSync(configPath, 'utf8');
  writeFileSync(path, text.replace(/^main = ".*"$/m, `main = ${JSON.stringify(entry)}`));
  return path;
}

/**
 * Bundles a worker as `wrangler deploy` would.
 *
 * @returns the folder of the bundle, which is removed when this process exits.
 */
export async function buildWorker(configPath: string): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-built-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  const args = ['deploy', '--dry-run', '--config', configPath, '--outdir', folder];
  await promisify(execFile)(WRANGLER, args, { cwd: ROOT });
  return folder;
}
