import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createTestHarness } from 'wrangler';
import { runtimePids } from '../../../bench/support/runtime.ts';

const ROOT = join(import.meta.dirname, '../../..');

/** What the worker of `model-memory.ts` answers, and the memory of its process. */
export interface Measured {
  /** By model, the first value that it gave; the message of an error otherwise. */
  readonly answers: readonly (number | string)[];
  /** Loads since the worker has started. */
  readonly loads: number;
  /** The WASM memory of the runtime. */
  readonly heapBytes: number;
  /** What the models are counted with. */
  readonly bytes: number;
  /** The resident memory of the runtime's processes. */
  readonly rssBytes: number;
}

export interface ModelMemory extends AsyncDisposable {
  /** Hands a model to the worker, by a name. */
  keep(name: string, onnx: Uint8Array<ArrayBuffer>): Promise<void>;
  /** Loads models and runs them in turn. */
  run(
    names: readonly string[],
    options?: { times?: number; evict?: boolean; atOnce?: number },
  ): Promise<Measured>;
}

/** Starts a worker that has nothing but the models of an isolate, in a process of its own. */
export async function startModelMemory(): Promise<ModelMemory> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-models-'));
  const configPath = join(folder, 'wrangler.toml');
  const main = join(ROOT, 'test/support/worker/model-memory.ts');
  const [date] = /^compatibility_date = .*$/m.exec(readFileSync(join(ROOT, 'wrangler.toml'), 'utf8')) ?? [];
  writeFileSync(configPath, `name = "model-memory"\nmain = ${JSON.stringify(main)}\n${date}\n`);
  const before = new Set(runtimePids());
  const harness = createTestHarness({ root: ROOT, workers: [{ configPath }] });
  const { url } = await harness.listen();
  const pids = runtimePids().filter((pid) => !before.has(pid));
  // The local platform may run its own services in a process beside that of the worker.
  const rssBytes = () =>
    pids
      .map((pid) => /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1])
      .reduce((sum, kilobytes) => sum + Number(kilobytes) * 1024, 0);
  return {
    keep: async (name, onnx) => {
      const response = await fetch(new URL(`/${name}`, url), { method: 'PUT', body: onnx });
      if (!response.ok) throw new Error(await response.text());
    },
    run: async (names, { times = 1, evict = false, atOnce = 1 } = {}) => {
      const query = new URLSearchParams({ models: names.join(), times: `${times}`, atOnce: `${atOnce}` });
      if (evict) query.set('evict', '1');
      const response = await fetch(new URL(`/?${query}`, url), { method: 'POST' });
      // The worker is ours, and answers with these fields.
      return { ...((await response.json()) as Measured), rssBytes: rssBytes() };
    },
    [Symbol.asyncDispose]: async () => {
      await harness.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
