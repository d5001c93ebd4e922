import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** The key of the workers that benches start. */
export const KEY = 'bench';
const COMPATIBILITY_DATE = '2026-10-01';

/** Builds a worker as `wrangler deploy` would upload it. */
export function bundle(...args: string[]): void {
  execFileSync('wrangler', ['deploy', '--dry-run', ...args], { stdio: 'ignore' });
}

/** The processes of the runtime that this one has started, oldest first; none where none is running. */
export function runtimePids(): number[] {
  try {
    const children = execFileSync('pgrep', ['-P', String(process.pid), 'workerd'], { encoding: 'utf8' });
    return children.trim().split('\n').map(Number);
  } catch {
    // pgrep ends with 1 where it finds none.
    return [];
  }
}

/** What every worker of a bench has: a socket of its own, without the local platform's proxy in front. */
export const COMMON = {
  compatibilityDate: COMPATIBILITY_DATE,
  unsafeDirectSockets: [{ host: '127.0.0.1', port: 0 }],
};

/** Millrace itself, with all its bindings, from a bundle. */
export function millrace(
  database: { readonly connectionString: string; readonly endpoint: string },
  folder: string,
  entry: string,
) {
  return {
    ...COMMON,
    ...modulesOf(folder, entry),
    bindings: {
      DATABASE_URL: database.connectionString,
      DATABASE_ENDPOINT: database.endpoint,
      API_KEY_SHA256: createHash('sha256').update(KEY).digest('hex'),
    },
    kvNamespaces: ['CACHE'],
    r2Buckets: ['MODELS'],
    queueProducers: queueProducers(),
    durableObjects: durableObjects(),
  };
}

/** A module without anything in it. */
const EMPTY_WASM = Uint8Array.of(0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00);

/**
 * Empties the WASM modules of a bundle: the 14 MB of the ONNX runtime, which no product's page needs. The local platform
 * takes seconds to hand them to each isolate at each start.
 */
export function emptyModules(folder: string): void {
  for (const name of readdirSync(folder).filter((file) => file.endsWith('.wasm')))
    writeFileSync(join(folder, name), EMPTY_WASM);
}

/** The modules of an upload, the entry first. */
export function modulesOf(folder: string, entry: string) {
  const wasm = readdirSync(folder).filter((name) => name.endsWith('.wasm'));
  return {
    modulesRoot: folder,
    modules: [
      { type: 'ESModule' as const, path: join(folder, entry) },
      ...wasm.map((name) => ({ type: 'CompiledWasm' as const, path: join(folder, name) })),
    ],
  };
}

/** The queues that wrangler.toml binds, by binding. */
function queueProducers(): Record<string, string> {
  const text = readFileSync('wrangler.toml', 'utf8');
  const bindings = text.matchAll(/^\[\[queues\.producers\]\]\nbinding = "([A-Z_]+)"\nqueue = "([\w-]+)"/gm);
  return Object.fromEntries([...bindings].map(([, name = '', queue = '']) => [name, queue]));
}

/** The Durable Objects that wrangler.toml binds, by binding. */
function durableObjects(): Record<string, { className: string; useSQLite: boolean }> {
  const text = readFileSync('wrangler.toml', 'utf8');
  const bindings = [...text.matchAll(/^name = "([A-Z_]+)"\nclass_name = "(\w+)"/gm)];
  return Object.fromEntries(
    bindings.map(([, name = '', className = '']) => [name, { className, useSQLite: true }]),
  );
}
