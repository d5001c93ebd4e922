import type { KeyHolder } from '../../define/principal.ts';
import { equalInConstantTime } from '../../platform/digest.ts';
import type { StoredKey } from '../../storage/postgres/api-keys.ts';

/** A key as the database has it. The secret itself is stored nowhere. Times are in milliseconds since the Unix epoch. */
export interface ApiKey {
  /** What the key admits. */
  readonly holder: KeyHolder;
  /** SHA-256 of the key's text, in lower-case hexadecimal. */
  readonly hash: string;
  /** The hash from before the last rotation, and until when it is valid. */
  readonly previous: { readonly hash: string; readonly untilMs: number } | null;
  readonly expiresAtMs: number | null;
  readonly revokedAtMs: number | null;
}

/** What admission needs of a stored key. */
export function apiKeyOf(stored: StoredKey): ApiKey {
  const { id, scopes, claims, hash, previousHash, previousUntilMs, expiresAtMs, revokedAtMs } = stored;
  const hasPrevious = previousHash !== null && previousUntilMs !== null;
  return {
    holder: Object.freeze({
      kind: 'key',
      id,
      scopes: new Set(scopes),
      claims: Object.freeze({ ...claims }),
      ...quotasOf(stored),
    }),
    hash,
    previous: hasPrevious ? { hash: previousHash, untilMs: previousUntilMs } : null,
    expiresAtMs,
    revokedAtMs,
  };
}

function quotasOf({ quotaDay, quotaMonth }: StoredKey): Pick<KeyHolder, 'quotas'> {
  if (quotaDay === null && quotaMonth === null) return {};
  const day = quotaDay === null ? {} : { day: quotaDay };
  const month = quotaMonth === null ? {} : { month: quotaMonth };
  return { quotas: { ...day, ...month } };
}

/** `unknown`: the text is not that of the key. Only a holder of the secret learns anything else about the key. */
export type KeyVerdict = 'valid' | 'unknown' | 'revoked' | 'expired' | 'rotated';

/** Judges a sent key by the hash of its text. Both hashes are always compared, in constant time. */
export function judge(key: ApiKey, hash: string, nowMs: number): KeyVerdict {
  const isCurrent = equalInConstantTime(hash, key.hash);
  const isPrevious = key.previous !== null && equalInConstantTime(hash, key.previous.hash);
  if (!isCurrent && !isPrevious) return 'unknown';
  if (key.revokedAtMs !== null) return 'revoked';
  if (key.expiresAtMs !== null && nowMs >= key.expiresAtMs) return 'expired';
  if (!isCurrent && key.previous !== null && nowMs >= key.previous.untilMs) return 'rotated';
  return 'valid';
}

/** Whether a key is there, and has neither been revoked nor expired. */
export function isCurrent(key: ApiKey | null, nowMs: number): boolean {
  return key !== null && key.revokedAtMs === null && (key.expiresAtMs === null || nowMs < key.expiresAtMs);
}

/** The tag that a change of the key invalidates. A slash cannot be part of an entity's name. */
export function keyTag(id: string): string {
  return `millrace/key:${id}`;
}
