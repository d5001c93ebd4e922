import { existsSync, readFileSync } from 'node:fs';

/** What `npm run dev` leaves for its tools. */
export const STATE_DIR = '.millrace';
const KEY_FILE = `${STATE_DIR}/key`;

/** A deployment that a command talks to. */
export interface Target {
  readonly url: string;
  readonly key: string;
}

/** The options that name it, for `parseArgs`. */
export const TARGET_OPTIONS = {
  url: { type: 'string', default: 'http://127.0.0.1:8787' },
  key: { type: 'string' },
} as const;

export const TARGET_USAGE = `  --url URL          where the worker is (http://127.0.0.1:8787)
  --key KEY          API key; else MILLRACE_KEY, else the file ${KEY_FILE} of npm run dev`;

/** @throws Error where there is no key, or the URL is none. */
export function targetOf(options: { readonly url: string; readonly key?: string | undefined }): Target {
  if (!URL.canParse(options.url)) throw new Error(`--url ${options.url} is not a URL.`);
  const stored = existsSync(KEY_FILE) ? readFileSync(KEY_FILE, 'utf8').trim() : undefined;
  const key = options.key ?? process.env['MILLRACE_KEY'] ?? stored;
  if (key === undefined || key === '')
    throw new Error(
      `There is no key: give --key, set MILLRACE_KEY, or start npm run dev, which writes ${KEY_FILE}.`,
    );
  return { url: options.url, key };
}
