import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { type Scope, tokenHolder } from '../../../src/define/principal.ts';
import { type AccessPorts, admit } from '../../../src/gateway/middleware/authorize.ts';
import type { ApiKey } from '../../../src/gateway/principals/api-key.ts';
import type { Guard } from '../../../src/gateway/principals/guard.ts';
import { newKey } from '../../../src/gateway/principals/key-format.ts';
import type { TokenVerdict } from '../../../src/gateway/principals/token-table.ts';
import { Failure } from '../../../src/platform/failure.ts';
import { secureBytes } from '../../../src/platform/random-bytes.ts';

const hashOf = (text: string) => createHash('sha256').update(text).digest('hex');
const from = (authorization?: string, more: Record<string, string> = {}) => ({
  req: {
    raw: new Request('http://x/', {
      headers: { ...more, ...(authorization === undefined ? {} : { authorization }) },
    }),
  },
  executionCtx: { waitUntil: () => {} },
});
const CLOSED = { isPublic: false, scope: 'data:read' } as const;
const NO_SECRETS = ['', ' ', '\n', 'undefined', hashOf(''), hashOf(' '), hashOf('\n')];
const NO_KEYS = [undefined, '', 'Bearer', 'Bearer ', 'Bearer  ', 'Bearer \t', 'Basic Og=='];

function needless(): never {
  throw new Error('No key is looked up.');
}
const withoutKeys = (apiKeySha256: string): AccessPorts => ({
  apiKeySha256,
  peekKey: needless,
  findKey: needless,
  noteUse: needless,
  holderOfTicket: needless,
  acceptsTokens: false,
  peekToken: needless,
  verifyToken: needless,
});

describe('without a secret', () => {
  it.each(NO_SECRETS)('%j as the hash admits no bearer, not even an empty one', (apiKeySha256) => {
    for (const authorization of [...NO_KEYS, 'Bearer undefined', 'Bearer x'])
      expect(() => admit(from(authorization), CLOSED, withoutKeys(apiKeySha256))).toThrow(/Send the key/);
  });
});

it.each(['bearer the-key', 'BEARER the-key', 'Bearer   the-key', 'bEaReR the-key  '])(
  '%j is a credential (RFC 9110 §11.4)',
  (authorization) => {
    expect(admit(from(authorization), CLOSED, withoutKeys(hashOf('the-key')))).toMatchObject({ kind: 'key' });
  },
);

it.each([
  'Bearer the-key the-key',
  'Bearer the-key, Bearer the-key',
  'Bearer the-key,',
  'Bearer\tthe-key',
  'Bearer "the-key"',
  'Bearerthe-key',
  'the-key',
])('%j is none', (authorization) => {
  expect(() => admit(from(authorization), CLOSED, withoutKeys(hashOf('the-key')))).toThrow(/key/i);
});

it('the bootstrap secret admits its holder to everything, and no header does without it', () => {
  const access = withoutKeys(hashOf('the-key'));
  for (const scope of ['data:read', 'keys:write', undefined] as const)
    expect(admit(from('Bearer the-key'), { isPublic: false, scope }, access)).toMatchObject({
      kind: 'key',
      id: 'bootstrap',
    });
  for (const authorization of NO_KEYS)
    expect(() => admit(from(authorization), CLOSED, access)).toThrow(/Send the key/);
});

describe('an API key', () => {
  const { id, text } = newKey(secureBytes);
  const keyWith = (scopes: Scope[], more: Partial<ApiKey> = {}): ApiKey => ({
    holder: { kind: 'key', id, scopes: new Set(scopes), claims: {} },
    ...{ hash: hashOf(text), previous: null, expiresAtMs: null, revokedAtMs: null, ...more },
  });
  const known = (key: ApiKey | null): AccessPorts => ({
    ...withoutKeys(hashOf('another')),
    peekKey: (asked) => (asked === id ? key : undefined),
  });

  it('that the isolate knows admits its holder without a promise', () => {
    const key = keyWith(['data:read']);
    expect(admit(from(`Bearer ${text}`), CLOSED, known(key))).toBe(key.holder);
  });

  it('is looked up if the isolate does not know it or the request is strong, and its use is noted', async () => {
    for (const [headers, isStrong] of [
      [{}, false],
      [{ 'millrace-consistency': 'strong' }, true],
    ] as const) {
      const asked: unknown[] = [];
      const access: AccessPorts = {
        ...withoutKeys(''),
        peekKey: () => undefined,
        findKey: async (...args) => {
          asked.push(args.slice(0, 2));
          return keyWith(['data:read']);
        },
        noteUse: (used) => void asked.push(used),
      };
      expect(await admit(from(`Bearer ${text}`, headers), CLOSED, access)).toMatchObject({ id });
      expect(asked).toEqual([[id, isStrong], id]);
    }
  });

  it('whose record has another secret may have been rotated, so the clock is asked', async () => {
    const old = keyWith(['data:read'], { hash: hashOf('the old secret') });
    for (const isRemembered of [true, false])
      for (const [now, outcome] of [
        [keyWith(['data:read']), 'admitted'],
        [old, 'refused'],
      ] as const) {
        const asked: boolean[] = [];
        const access: AccessPorts = {
          ...withoutKeys(''),
          peekKey: () => (isRemembered ? old : undefined),
          findKey: async (_, isStrong) => {
            asked.push(isStrong);
            return isStrong ? now : old;
          },
          noteUse: () => undefined,
        };
        const admitted = Promise.resolve(admit(from(`Bearer ${text}`), CLOSED, access));
        const seen = await admitted.then(
          () => 'admitted',
          (error: unknown) => (error instanceof Failure && error.code === 'unauthorized' ? 'refused' : error),
        );
        expect([seen, asked]).toEqual([outcome, isRemembered ? [true] : [false, true]]);
      }
  });

  it('that was mistyped is refused without a look-up', () => {
    const access = { ...withoutKeys(''), peekKey: () => undefined };
    const typo = text.slice(0, -1) + (text.endsWith('0') ? '1' : '0');
    expect(() => admit(from(`Bearer ${typo}`), CLOSED, access)).toThrow(/not valid here/);
  });

  it.each([
    [null, 'unauthorized', /not valid here/],
    [keyWith(['data:read'], { revokedAtMs: 1 }), 'unauthorized', /revoked/],
    [keyWith(['data:read'], { expiresAtMs: 1 }), 'unauthorized', /expired/],
    [keyWith(['events:write']), 'insufficient_scope', /data:read/],
  ])('is refused with the reason: %#', (key, code, detail) => {
    const failure = (() => {
      try {
        return admit(from(`Bearer ${text}`), CLOSED, known(key));
      } catch (error) {
        return error;
      }
    })();
    expect(failure).toBeInstanceOf(Failure);
    expect(failure).toMatchObject({ code, message: expect.stringMatching(detail) });
  });

  it('needs no scope for what is public, and all scopes for what no rule names', () => {
    const key = keyWith(['events:write']);
    expect(admit(from(`Bearer ${text}`), { ...CLOSED, isPublic: true }, known(key))).toBe(key.holder);
    expect(() => admit(from(`Bearer ${text}`), { isPublic: false, scope: undefined }, known(key))).toThrow(
      /No route/,
    );
  });
});

describe('a token', () => {
  const text = 'aa.bb.cc';
  const holder = tokenHolder('issuer#a', ['data:read'], {});
  const accepting = (more: Partial<AccessPorts>): AccessPorts => ({
    ...withoutKeys(hashOf('another')),
    acceptsTokens: true,
    ...more,
  });

  it('that the isolate has verified admits its holder without a promise', () => {
    const access = accepting({ peekToken: (hash) => (hash === hashOf(text) ? holder : undefined) });
    expect(admit(from(`Bearer ${text}`), CLOSED, access)).toBe(holder);
    expect(() => admit(from(`Bearer ${text}`), { isPublic: false, scope: 'keys:write' }, access)).toThrow(
      /needs the scope keys:write/,
    );
  });

  it('is verified if the isolate does not know it, and refused with the reason that its sender may know', async () => {
    const judged = (verdict: TokenVerdict) =>
      accepting({ peekToken: () => undefined, verifyToken: async () => verdict });
    const admitted = async (verdict: TokenVerdict) =>
      await admit(from(`Bearer ${text}`), CLOSED, judged(verdict));
    expect(await admitted({ verdict: 'valid', holder })).toBe(holder);
    await expect(admitted({ verdict: 'expired' })).rejects.toThrow(/expired/);
    await expect(admitted({ verdict: 'invalid' })).rejects.toThrow(/not valid here/);
  });

  it('is not looked at where no issuer is configured, nor is any other long text', () => {
    const none = withoutKeys(hashOf('another'));
    for (const sent of [text, 'x'.repeat(257), `${'a'.repeat(3_000)}.b.c`])
      expect(() => admit(from(`Bearer ${sent}`), CLOSED, none)).toThrow(/not valid here/);
    expect(() => admit(from(`Bearer ${'x'.repeat(257)}`), CLOSED, accepting({}))).toThrow(/not valid here/);
  });
});

it('a principal that is limited to rows is admitted to what limits them, and to what is public', () => {
  const limited = tokenHolder('issuer#a', ['data:read'], { tenant: 'a' });
  const access = { ...withoutKeys(hashOf('another')), acceptsTokens: true, peekToken: () => limited };
  const as = (guard: Guard) => admit(from('Bearer aa.bb.cc'), guard, access);
  expect(() => as(CLOSED)).toThrow(/some rows only/);
  expect(as({ ...CLOSED, limitsRows: true })).toBe(limited);
  expect(as({ ...CLOSED, isPublic: true })).toBe(limited);
});
