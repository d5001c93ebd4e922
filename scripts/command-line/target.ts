import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { KEY_PATTERN } from '../dev/key.ts';
import { runningStack } from '../dev/state/lock.ts';
import { UsageError } from './options.ts';
import { describeError } from './run.ts';
import { textOfFile, workerUrlOf } from './values.ts';

/** The default state folder of `npm run dev`. */
export const STATE_DIR = '.millrace';
const DEFAULT_URL = 'http://127.0.0.1:8787';

/** A worker that a command talks to. */
export interface Target {
  /** Without a slash at its end. */
  readonly url: string;
  readonly key: string;
  /** Where the URL comes from, as messages say it. */
  readonly origin?: string;
}

/** The options that name it, for `readOptions`. */
export const TARGET_OPTIONS = {
  url: { type: 'string' },
  key: { type: 'string' },
  state: { type: 'string', default: STATE_DIR },
} as const;

export const TARGET_USAGE = `  --url URL          the worker's address; by default that of the running npm run dev, else ${DEFAULT_URL}
  --key KEY          the API key; by default MILLRACE_KEY, else the key of npm run dev
  --state DIR        the state folder of npm run dev (${STATE_DIR})`;

export interface TargetOptions {
  readonly url?: string | undefined;
  readonly key?: string | undefined;
  /** A file that has the key. */
  readonly keyFile?: string | undefined;
  readonly state?: string | undefined;
}

/**
 * The worker that the options name, or the one that runs now.
 *
 * @throws UsageError where the URL is none, or there is no key.
 */
export function targetOf({ url, key, keyFile, state = STATE_DIR }: TargetOptions): Required<Target> {
  return { ...addressOf({ url, state }), key: keyOf(key, keyFile, state) };
}

/** @throws UsageError where the URL is none. */
export function addressOf({ url: given, state = STATE_DIR }: TargetOptions): { url: string; origin: string } {
  if (given !== undefined) return { url: workerUrlOf('--url', given), origin: 'as --url says' };
  const running = runningStack(state);
  if (running !== undefined) return { url: running.url, origin: `the stack that runs from ${state}/` };
  return { url: DEFAULT_URL, origin: `the default, since no stack runs from ${state}/` };
}

function keyOf(given: string | undefined, keyFile: string | undefined, state: string): string {
  const file = join(state, 'key');
  const sources = [
    ['--key', given],
    ['--key-file', keyFile === undefined ? undefined : textOfFile('--key-file', keyFile)],
    ['MILLRACE_KEY', process.env['MILLRACE_KEY'] || undefined],
    [file, existsSync(file) ? readFileSync(file, 'utf8') : undefined],
  ] as const;
  const [name, text] = sources.find(([, value]) => value !== undefined) ?? [];
  if (name === undefined || text === undefined)
    throw new UsageError(
      `There is no key: give --key, set MILLRACE_KEY, or start npm run dev, which writes ${file}.`,
    );
  const key = text.trim();
  const isWord = name === file ? KEY_PATTERN.test(key) : /^[\x21-\x7e]{1,256}$/.test(key);
  if (isWord) return key;
  throw new UsageError(
    `${name} holds no key: ${key === '' ? 'it is empty' : 'a key is one word of visible characters'}.`,
  );
}

/** What went wrong with a request that had no answer, in one line that names the address. */
export function unreachable({ url, origin }: Pick<Target, 'url' | 'origin'>, error: unknown): Error {
  const isTimeout = error instanceof Error && error.name === 'TimeoutError';
  const cause = isTimeout ? 'it took too long' : describeError(error);
  return new Error(
    `No worker answers at ${url}${origin === undefined ? '' : ` (${origin})`}: ${cause}. Start one with npm run dev, or name it with --url.`,
    { cause: error },
  );
}
