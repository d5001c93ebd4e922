import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '../../..');

/**
 * The deployment's wrangler.toml with another entry module, in a folder that is removed when this process exits. It is
 * derived for each run, so the bindings, queues and limits of the tested worker are those of the deployment.
 *
 * @param main the entry module, relative to the repository.
 * @param assets a folder of static assets, as `npm run dev` and `npm run deploy` give one by `--assets`.
 * @returns the path of the file.
 */
export function workerConfig(main: string, assets?: string): string {
  const text = readFileSync(join(ROOT, 'wrangler.toml'), 'utf8');
  const changed = text.replace(/^main = ".*"$/m, `main = ${JSON.stringify(join(ROOT, main))}`);
  if (changed === text)
    throw new Error('wrangler.toml has no line `main = "…"` that names the entry module.');
  const folder = mkdtempSync(join(tmpdir(), 'millrace-worker-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, 'wrangler.toml');
  const table = assets === undefined ? '' : `\n[assets]\ndirectory = ${JSON.stringify(assets)}\n`;
  writeFileSync(path, changed + table);
  return path;
}
