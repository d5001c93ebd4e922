import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { admit } from '../../../src/gateway/middleware/authorize.ts';

const hashOf = (text: string) => createHash('sha256').update(text).digest('hex');
const from = (authorization?: string) =>
  new Request('http://x/', authorization === undefined ? {} : { headers: { authorization } });
const CLOSED = { isPublic: false };
const NO_SECRETS = ['', ' ', '\n', 'undefined', hashOf(''), hashOf(' '), hashOf('\n')];
const NO_KEYS = [undefined, '', 'Bearer', 'Bearer ', 'Bearer  ', 'Bearer \t', 'Basic Og=='];

describe('without a secret', () => {
  it.each(NO_SECRETS)('%j as the hash admits no bearer, not even an empty one', (apiKeySha256) => {
    for (const authorization of [...NO_KEYS, 'Bearer undefined', 'Bearer x'])
      expect(() => admit(from(authorization), CLOSED, { apiKeySha256 })).toThrow(/Send the key/);
  });
});

it('a key admits its holder, and no header does without one', () => {
  const access = { apiKeySha256: hashOf('the-key') };
  expect(admit(from('Bearer the-key'), CLOSED, access).kind).toBe('key');
  for (const authorization of NO_KEYS)
    expect(() => admit(from(authorization), CLOSED, access)).toThrow(/Send the key/);
});
