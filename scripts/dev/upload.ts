import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** As wrangler.toml has it. */
export const COMPATIBILITY_DATE = '2026-10-01';

/** Writes what `wrangler deploy` would upload into the folder that the arguments name. */
export function bundle(...args: string[]): void {
  execFileSync('wrangler', ['deploy', '--dry-run', ...args], { stdio: 'ignore' });
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

/** The classes that wrangler.toml binds, by the names of their bindings. */
export function durableObjectClasses(): Record<string, string> {
  const text = readFileSync('wrangler.toml', 'utf8');
  const bindings = [...text.matchAll(/^name = "([A-Z_]+)"\nclass_name = "(\w+)"/gm)];
  return Object.fromEntries(bindings.map(([, name = '', className = '']) => [name, className]));
}

/** The local runtime's process: the newest child of this one that is called workerd; undefined while there is none. */
export function runtimePid(): number | undefined {
  try {
    const children = execFileSync('pgrep', ['-P', String(process.pid), 'workerd'], { encoding: 'utf8' });
    return Number(children.trim().split('\n').at(-1));
  } catch {
    // pgrep ends with 1 where it finds none.
    return undefined;
  }
}
