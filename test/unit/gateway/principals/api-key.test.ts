import { describe, expect, it } from 'vitest';
import { type ApiKey, apiKeyOf, judge } from '../../../../src/gateway/principals/api-key.ts';
import type { StoredKey } from '../../../../src/storage/postgres/api-keys.ts';

const [NEW, OLD, OTHER] = ['a', 'b', 'c'].map((digit) => digit.repeat(64)) as [string, string, string];
const key: ApiKey = {
  holder: { kind: 'key', id: 'k', scopes: new Set(['data:read']), claims: {} },
  hash: NEW,
  previous: { hash: OLD, untilMs: 1_000 },
  expiresAtMs: 2_000,
  revokedAtMs: null,
};

describe('a key is', () => {
  it.each([
    ['valid with its secret', NEW, 0, key, 'valid'],
    ['valid until its expiry', NEW, 1_999, key, 'valid'],
    ['expired from its expiry on', NEW, 2_000, key, 'expired'],
    ['valid with the earlier secret within the overlap', OLD, 999, key, 'valid'],
    ['rotated with the earlier secret after the overlap', OLD, 1_000, key, 'rotated'],
    ['unknown with any other secret', OTHER, 0, key, 'unknown'],
    ['unknown with no hash', '', 0, key, 'unknown'],
    ['revoked whatever its expiry', NEW, 5_000, { ...key, revokedAtMs: 1 }, 'revoked'],
    ['unknown to who lacks the secret of a revoked one', OTHER, 0, { ...key, revokedAtMs: 1 }, 'unknown'],
    [
      'without an expiry valid for good',
      NEW,
      Number.MAX_SAFE_INTEGER,
      { ...key, expiresAtMs: null },
      'valid',
    ],
  ])('%s', (_, hash, nowMs, judged, verdict) => {
    expect(judge(judged, hash, nowMs)).toBe(verdict);
  });
});

it('admission gets what it needs of a stored key', () => {
  const stored: StoredKey = {
    ...{ id: 'k', seq: 1, name: 'a key', scopes: ['data:read'], claims: {} },
    ...{ hash: NEW, previousHash: OLD },
    ...{ previousUntilMs: 1_000, createdAtMs: 0, createdBy: 'bootstrap', expiresAtMs: 2_000 },
    ...{ lastUsedAtMs: null, revokedAtMs: null, quotaDay: null, quotaMonth: null },
  };
  expect(apiKeyOf(stored)).toEqual(key);
  expect(apiKeyOf({ ...stored, quotaDay: 5 }).holder.quotas).toEqual({ day: 5 });
  expect(apiKeyOf({ ...stored, previousHash: null, previousUntilMs: null }).previous).toBeNull();
});
