import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const ROOT = join(import.meta.dirname, '../../..');
const WRANGLER = join(ROOT, 'node_modules/.bin/wrangler');

/** The folders that this process has built, by the entry module. */
const built = new Map<string, Promise<string>>();

/**
 * The folder of the built worker. A process builds each entry module once, because to bundle it again for each of some
 * sixty stacks would take more than a third of the time of their starts.
 *
 * @param main the entry module.
 * @param configPath of wrangler, with that module. Bindings are read from it at the start of each stack.
 */
export async function builtWorker(main: string, configPath: string): Promise<string> {
  const building = built.get(main) ?? buildWorker(configPath);
  built.set(main, building);
  return await building;
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
