import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** What a key may look like: one word of visible ASCII characters, as a bearer token has to be. */
export const KEY_PATTERN = /^[\x21-\x7e]{16,256}$/;

/** The development key: generated once, readable by the owner only. The worker gets its SHA-256. */
export function ensureKey(stateDir: string): { key: string; sha256: string } {
  const key = ensureSecret(join(stateDir, 'key'), () => `mr_dev_${randomBytes(24).toString('base64url')}`);
  return { key, sha256: createHash('sha256').update(key).digest('hex') };
}

/**
 * A secret in a file of its own, generated where there is none.
 *
 * @throws Error where the file holds no secret. An empty one would admit a request without any.
 */
export function ensureSecret(path: string, generate: () => string): string {
  if (!existsSync(path)) writeFileSync(path, `${generate()}\n`, { mode: 0o600 });
  const secret = readFileSync(path, 'utf8').trim();
  if (KEY_PATTERN.test(secret)) return secret;
  const found = secret === '' ? 'it is empty' : 'it is not one word of 16 to 256 visible characters';
  throw new Error(
    `${path} is damaged: ${found}. Delete it: the next start generates a new one, and the data stays. Clients then need the new key.`,
  );
}
