import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { expect } from 'vitest';

const ROOT = join(import.meta.dirname, '../../..');
/** The Node of package.json: it runs TypeScript, whatever Node runs the tests. */
const NODE = join(ROOT, 'node_modules/.bin/node');

/** Runs a script of the repository, and returns what it wrote to stderr and its exit code. */
export async function runScriptOf(
  script: string,
  args: readonly string[],
  { cwd = ROOT, env = {} }: { readonly cwd?: string; readonly env?: Record<string, string> } = {},
): Promise<{ code: unknown; stdout: string; stderr: string }> {
  const child = spawn(NODE, [script, ...args], { cwd, env: { ...process.env, ...env } });
  const written = { stdout: '', stderr: '' };
  for (const stream of ['stdout', 'stderr'] as const)
    child[stream].on('data', (chunk: Buffer) => {
      written[stream] += chunk.toString('utf8');
    });
  const [code]: unknown[] = await once(child, 'close');
  return { code, ...written };
}

/** A wrong call is refused by one line, which `message` matches, before the script does anything. */
export async function expectRefusal(
  script: string,
  args: readonly string[],
  message: RegExp | string,
): Promise<void> {
  const { code, stdout, stderr } = await runScriptOf(script, args);
  expect(stderr).toMatch(/^[^\n]+\n$/);
  if (typeof message === 'string') expect(stderr).toContain(message);
  else expect(stderr).toMatch(message);
  expect(stdout).toBe('');
  expect(code).toBe(2);
}
