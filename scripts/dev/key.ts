import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** The development key: made once, kept for the owner alone. The worker is given its SHA-256. */
export function ensureKey(stateDir: string): { key: string; sha256: string } {
  const path = join(stateDir, 'key');
  if (!existsSync(path))
    writeFileSync(path, `mr_dev_${randomBytes(24).toString('base64url')}\n`, { mode: 0o600 });
  const key = readFileSync(path, 'utf8').trim();
  return { key, sha256: createHash('sha256').update(key).digest('hex') };
}
