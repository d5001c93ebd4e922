import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createTestHarness } from 'wrangler';

const ROOT = join(import.meta.dirname, '../../..');

export interface OpenInferenceServer extends AsyncDisposable {
  readonly url: URL;
}

/** Starts the worker that serves any graph by the Open Inference Protocol, in workerd. */
export async function startOpenInference(): Promise<OpenInferenceServer> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-open-inference-'));
  const configPath = join(folder, 'wrangler.toml');
  const main = join(ROOT, 'test/support/worker/open-inference.ts');
  const [date] = /^compatibility_date = .*$/m.exec(readFileSync(join(ROOT, 'wrangler.toml'), 'utf8')) ?? [];
  writeFileSync(configPath, `name = "open-inference"\nmain = ${JSON.stringify(main)}\n${date}\n`);
  const harness = createTestHarness({ root: ROOT, workers: [{ configPath }] });
  const { url } = await harness.listen();
  return {
    url,
    [Symbol.asyncDispose]: async () => {
      await harness.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
