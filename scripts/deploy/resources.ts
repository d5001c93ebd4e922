import { createHash, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod';
import { ensureSecret } from '../dev/key.ts';
import { type Ran, ROOT } from './wrangler.ts';

/** Pages of queues that are read, of a hundred each: an account has 10,000 at most. */
const PAGES_MAX = 100;
/** The API's code for a queue whose name is taken, which another deployment may have made a moment ago. */
const TAKEN = 'code: 11009';

type Wrangler = (args: readonly string[]) => Promise<Ran>;

/**
 * Creates the queues that the account lacks. KV namespaces, buckets and objects are made by `wrangler deploy`.
 *
 * @returns the names of those that were created.
 * @throws Error if wrangler cannot list or create them.
 */
export async function createQueues(names: readonly string[], wrangler: Wrangler): Promise<string[]> {
  const missing = new Set(names);
  const known = new Set<string>();
  for (let page = 1; page <= PAGES_MAX && missing.size > 0; page += 1) {
    const { code, output } = await wrangler(['queues', 'list', '--page', String(page)]);
    if (code !== 0) throw new Error(`The queues of the account cannot be listed:\n${output.trim()}`);
    const words = output.split(/[\s│|]+/).filter((word) => !known.has(word));
    if (words.length === 0) break;
    for (const word of words) {
      known.add(word);
      missing.delete(word);
    }
  }
  const created: string[] = [];
  for (const name of missing) {
    const { code, output } = await wrangler(['queues', 'create', name]);
    if (code === 0) created.push(name);
    else if (!output.includes(TAKEN))
      throw new Error(`The queue ${name} cannot be created:\n${output.trim()}`);
  }
  return created;
}

const Secrets = z.array(z.object({ name: z.string() }));

/**
 * The secrets that the worker has. A worker that does not exist has none.
 *
 * @throws Error if wrangler cannot list them.
 */
export async function secretsOf(environment: string, wrangler: Wrangler): Promise<ReadonlySet<string>> {
  const { code, output } = await wrangler(['secret', 'list', '--format', 'json', '--env', environment]);
  if (code === 0) {
    // Wrangler may warn before the list.
    const list = Secrets.parse(JSON.parse(output.slice(output.indexOf('['))));
    return new Set(list.map(({ name }) => name));
  }
  if (/Worker "[^"]*".* not found/.test(output)) return new Set();
  throw new Error(`The secrets of the worker cannot be listed:\n${output.trim()}`);
}

/** The key of a deployment: MILLRACE_KEY, or the one that an earlier deployment from this folder made. */
export function knownKey(worker: string): string | undefined {
  const path = join(ROOT, keyFileOf(worker));
  return process.env['MILLRACE_KEY'] || (existsSync(path) ? readFileSync(path, 'utf8').trim() : undefined);
}

function keyFileOf(worker: string): string {
  return join('.millrace', `${worker}.key`);
}

/** Secrets to deploy with, and what was done about them, a line each. */
export interface MissingSecrets {
  readonly secrets: Readonly<Record<string, string>>;
  readonly told: readonly string[];
}

/**
 * Values of the secrets that the worker lacks. Those it has are left as they are.
 *
 * @param key the key of the deployment, from MILLRACE_KEY. Without one a key is made, in a file that only its owner can read.
 */
export function missingSecrets(
  known: ReadonlySet<string>,
  { worker, databaseUrl, key }: { worker: string; databaseUrl: string; key: string | undefined },
): MissingSecrets {
  const secrets: Record<string, string> = {};
  const told: string[] = [];
  if (!known.has('DATABASE_URL')) {
    secrets['DATABASE_URL'] = databaseUrl;
    told.push('set the secret DATABASE_URL');
  }
  if (!known.has('API_KEY_SHA256')) {
    const path = keyFileOf(worker);
    mkdirSync(join(ROOT, '.millrace'), { recursive: true });
    const made = key ?? ensureSecret(join(ROOT, path), () => `mr_${randomBytes(32).toString('base64url')}`);
    secrets['API_KEY_SHA256'] = createHash('sha256').update(made).digest('hex');
    told.push(
      key === undefined
        ? `made a key, ${path}, and set its hash as the secret API_KEY_SHA256; give it to commands by --key-file ${path}`
        : 'set the hash of MILLRACE_KEY as the secret API_KEY_SHA256',
    );
  }
  return { secrets, told };
}
