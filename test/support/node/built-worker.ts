import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { hashFiles, keptFolder } from './kept-files.ts';

const ROOT = join(import.meta.dirname, '../../..');
const WRANGLER = join(ROOT, 'node_modules/.bin/wrangler');

/** What an entry module and its imports are made of. */
const SOURCES = [
  ...['src', 'durable-objects', 'queues', 'models', 'migrations', 'examples', 'test/support'],
  ...['package-lock.json', 'tsconfig.json', 'wrangler.toml'],
];
/** The folders that this process knows, by the entry module. */
const built = new Map<string, Promise<string>>();
let sources: string | undefined;

/**
 * The folder of the built worker. Each entry module is built once for each state of the code: to bundle it again for each
 * of some sixty stacks would take more than a third of the time of their starts.
 *
 * @param main the entry module, relative to the repository.
 * @param configPath of wrangler, with that module. Bindings are read from it at the start of each stack.
 */
export async function builtWorker(main: string, configPath: string): Promise<string> {
  const building = built.get(main) ?? keptWorker(main, configPath);
  built.set(main, building);
  return await building;
}

async function keptWorker(main: string, configPath: string): Promise<string> {
  sources ??= digestOfSources();
  const digest = createHash('sha256').update(sources).update(main).digest('hex').slice(0, 32);
  return await keptFolder(`worker-${digest}`, (folder) =>
    bundleInto(folder, drainingConfig(main, configPath)),
  );
}

function digestOfSources(): string {
  const hash = createHash('sha256');
  hashFiles(hash, SOURCES);
  return hash.digest('hex');
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
  await bundleInto(folder, configPath);
  return folder;
}

async function bundleInto(folder: string, configPath: string): Promise<void> {
  const args = ['deploy', '--dry-run', '--config', configPath, '--outdir', folder];
  await promisify(execFile)(WRANGLER, args, { cwd: ROOT });
}
