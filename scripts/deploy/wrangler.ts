import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as z from 'zod';

export const ROOT = join(import.meta.dirname, '../..');

export const WRANGLER = join(ROOT, 'node_modules/.bin/wrangler');

/** A call of wrangler that says nothing for this long is ended, in milliseconds. An upload says what it does. */
const SILENT_MS = 120_000;

export interface Ran {
  readonly code: number;
  /** What it printed, on both streams. */
  readonly output: string;
}

/** Calls wrangler and reads what it prints. */
export async function wrangler(args: readonly string[]): Promise<Ran> {
  const child = spawn(WRANGLER, args, { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  let silence = setTimeout(() => child.kill(), SILENT_MS);
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      clearTimeout(silence);
      silence = setTimeout(() => child.kill(), SILENT_MS);
    });
  const [code]: unknown[] = await once(child, 'close');
  clearTimeout(silence);
  return { code: typeof code === 'number' ? code : 1, output };
}

/** Runs a program on this terminal. @returns its exit code; 1 where a signal ended it. */
export async function onTerminal(
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<number> {
  const child = spawn(program, args, { cwd: ROOT, stdio: 'inherit', env: { ...process.env, ...env } });
  const [code]: unknown[] = await once(child, 'exit');
  return typeof code === 'number' ? code : 1;
}

const Deployed = z.object({
  type: z.literal('deploy'),
  version_id: z.string(),
  targets: z.array(z.string()).nullish(),
});

/** A version that was deployed, and where it answers. */
export interface Release {
  readonly version: string;
  /** The first address that is a URL or a host; undefined where wrangler names none. */
  readonly url: string | undefined;
}

/**
 * Deploys on this terminal.
 *
 * @returns the exit code of wrangler where it failed.
 */
export async function deployed(args: readonly string[]): Promise<Release | number> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-deploy-'));
  const path = join(folder, 'output.ndjson');
  try {
    const code = await onTerminal(WRANGLER, ['deploy', ...args], { WRANGLER_OUTPUT_FILE_PATH: path });
    if (code !== 0) return code;
    const entries = readFileSync(path, 'utf8').split('\n').filter(Boolean);
    const told = entries.flatMap((line) => Deployed.safeParse(JSON.parse(line)).data ?? []).at(-1);
    if (told === undefined) throw new Error('wrangler did not say which version it deployed.');
    return { version: told.version_id, url: urlOf(told.targets ?? []) };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Wrangler names an address, a host `api.example.com (custom domain)`, or a pattern `example.com/v1/* (zone name: …)`. */
export function urlOf(targets: readonly string[]): string | undefined {
  for (const target of targets) {
    const [first = ''] = target.split(' ');
    if (/^https?:\/\//.test(first)) return first.replace(/\/$/, '');
    if (target.includes('(custom domain')) return `https://${first}`;
  }
  return undefined;
}
