import { exportJWK, generateKeyPair, type JWK, type JWTPayload, SignJWT, UnsecuredJWT } from 'jose';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import {
  FETCH_PAUSE_MS,
  FETCH_TIMEOUT_MS,
  KEY_SET_STAND_IN_MS,
  KEY_SET_TTL_MS,
} from '../../../../src/gateway/principals/key-set.ts';
import { isToken, type TokenRules } from '../../../../src/gateway/principals/token-rules.ts';
import { TOKENS_MAX, TokenTable } from '../../../../src/gateway/principals/token-table.ts';
import { withTimeout } from '../../../../src/platform/clock.ts';

const ISSUER = 'https://issuer.test/';
const RULES: TokenRules = {
  issuer: ISSUER,
  audiences: ['millrace', 'other'],
  algorithms: ['ES256'],
  clockSkewS: 30,
  scopeClaim: 'scope',
  claims: { customer: 'https://issuer.test/customer' },
};

interface Pair {
  readonly sign: CryptoKey;
  readonly shown: JWK;
}
async function pair(kid: string, alg = 'ES256'): Promise<Pair> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
  return { sign: privateKey, shown: { ...(await exportJWK(publicKey)), kid, alg } };
}
const first = await pair('first');
const second = await pair('second');
const rsa = await pair('rsa', 'RS256');

class World {
  nowMs = 1_800_000_000_000;
  shown: unknown = { keys: [first.shown] };
  isUp = true;
  fetches = 0;
  /** Called before a fetch is answered. */
  onFetch: () => Promise<void> = async () => {};
  readonly table: TokenTable;
  constructor(rules: Partial<TokenRules> = {}) {
    this.table = new TokenTable({ ...RULES, ...rules }, { now: () => this.nowMs, withTimeout });
  }
  readonly ports = {
    fetchKeys: async () => {
      this.fetches += 1;
      await this.onFetch();
      if (!this.isUp) throw new Error('The issuer is away.');
      return this.shown;
    },
    keepAlive: () => {},
  };

  get nowS(): number {
    return this.nowMs / 1_000;
  }

  async token(
    payload: JWTPayload = {},
    by: Pair = first,
    alg = 'ES256',
    kid = by.shown.kid ?? '',
  ): Promise<string> {
    const standard = { iss: ISSUER, aud: 'millrace', sub: 'ada', exp: this.nowS + 60 };
    return await new SignJWT({ ...standard, ...payload }).setProtectedHeader({ alg, kid }).sign(by.sign);
  }

  async verdict(token: string, hash = token): Promise<string> {
    return (await this.table.verify(token, hash, this.ports)).verdict;
  }
}

let world: World;
beforeEach(() => {
  world = new World();
});

describe('a valid token', () => {
  it('has the scopes that exist and the claims that are mapped', async () => {
    const token = await world.token({
      scope: 'openid data:read predictions:run everything',
      [RULES.claims['customer'] ?? '']: 17_850,
      tenant: 'other',
    });
    const judged = await world.table.verify(token, 'h', world.ports);
    expect(judged).toMatchObject({
      verdict: 'valid',
      holder: { kind: 'token', id: `${ISSUER}#ada`, claims: { customer: '17850' } },
    });
    const { holder } = judged as Extract<typeof judged, { verdict: 'valid' }>;
    expect([...holder.scopes]).toEqual(['data:read', 'predictions:run']);
    expect(world.table.peek('h')).toBe(holder);
    expect(world.table.peek('other')).toBeUndefined();
  });

  it('is known until it expires, and is verified again after the time of the keys', async () => {
    await world.verdict(await world.token(), 'h');
    world.nowMs += 89_000;
    expect(world.table.peek('h')).toBeDefined();
    world.nowMs += 1_000;
    expect(world.table.peek('h')).toBeUndefined();
    const long = await world.token({ exp: world.nowS + 86_400 });
    await world.verdict(long, 'long');
    world.nowMs += KEY_SET_TTL_MS + 1;
    expect(world.table.peek('long')).toBeUndefined();
    world.shown = { keys: [second.shown] };
    expect(await world.verdict(long, 'long')).toBe('invalid');
  });

  it('has a text of its own for other claims and scopes, and the same for the same', async () => {
    const textOf = async (payload: JWTPayload) => {
      const judged = await world.table.verify(await world.token(payload), 'h', world.ports);
      return judged.verdict === 'valid' ? judged.holder.text : '';
    };
    const claim = RULES.claims['customer'] ?? '';
    const texts = [
      await textOf({}),
      await textOf({ sub: 'bob' }),
      await textOf({ scope: 'data:read' }),
      await textOf({ [claim]: 'a' }),
      await textOf({ [claim]: 'b' }),
    ];
    expect(new Set(texts).size).toBe(texts.length);
    expect(await textOf({ [claim]: 'b', jti: 'another' })).toBe(texts.at(-1));
  });
});

it.each<[string, (in_: World) => Promise<string>]>([
  ['of another issuer', (in_) => in_.token({ iss: 'https://evil.test/' })],
  ['for another audience', (in_) => in_.token({ aud: 'elsewhere' })],
  ['without a subject', (in_) => in_.token({ sub: '' })],
  ['that is not valid yet', (in_) => in_.token({ nbf: in_.nowS + 31 })],
  ['with a key that is not the one it names', (in_) => in_.token({}, second, 'ES256', 'first')],
  ['with an algorithm that is not on the list', (in_) => in_.token({}, rsa, 'RS256')],
  [
    'without a signature',
    async (in_) =>
      new UnsecuredJWT({ iss: ISSUER, aud: 'millrace', sub: 'ada', exp: in_.nowS + 60 }).encode(),
  ],
  [
    'with the public key as the secret of an HMAC',
    async (in_) =>
      await new SignJWT({ iss: ISSUER, aud: 'millrace', sub: 'ada', exp: in_.nowS + 60 })
        .setProtectedHeader({ alg: 'HS256', kid: 'first' })
        .sign(new TextEncoder().encode(JSON.stringify(first.shown))),
  ],
  [
    'without an expiry',
    async () =>
      await new SignJWT({ iss: ISSUER, aud: 'millrace', sub: 'ada' })
        .setProtectedHeader({ alg: 'ES256', kid: 'first' })
        .sign(first.sign),
  ],
  [
    'whose text was changed',
    async (in_) => (await in_.token()).replace(/\.[^.]+\./, `.${btoa('{"sub":"eve"}').replaceAll('=', '')}.`),
  ],
])('a token %s is refused', async (_, make) => {
  world.shown = { keys: [first.shown, rsa.shown] };
  const token = await make(world);
  expect(await world.verdict(token, 'h')).toBe('invalid');
  expect(world.table.peek('h')).toBeUndefined();
});

it('an expired token says so, within the skew it is valid', async () => {
  expect(await world.verdict(await world.token({ exp: world.nowS - 29 }))).toBe('valid');
  expect(await world.verdict(await world.token({ exp: world.nowS - 31 }))).toBe('expired');
});

describe('the keys of the issuer', () => {
  it('are fetched once for requests at the same time, and again after their time', async () => {
    const tokens = await Promise.all([1, 2, 3].map((n) => world.token({ jti: String(n) })));
    expect(await Promise.all(tokens.map((token) => world.verdict(token)))).toEqual([
      'valid',
      'valid',
      'valid',
    ]);
    expect(world.fetches).toBe(1);
    world.nowMs += KEY_SET_TTL_MS + 1;
    await world.verdict(await world.token());
    expect(world.fetches).toBe(2);
  });

  it('are fetched for a new key once in a pause, however many tokens name unknown keys', async () => {
    await world.verdict(await world.token());
    world.nowMs += FETCH_PAUSE_MS;
    world.shown = { keys: [second.shown] };
    expect(await world.verdict(await world.token({}, second))).toBe('valid');
    expect(world.fetches).toBe(2);
    for (let n = 0; n < 50; n += 1)
      expect(await world.verdict(await world.token({}, first, 'ES256', `unknown-${n}`))).toBe('invalid');
    expect(world.fetches).toBe(2);
  });

  it('stand in while the issuer is away, for their time', async () => {
    const { nowMs } = world;
    await world.verdict(await world.token());
    world.isUp = false;
    world.nowMs = nowMs + KEY_SET_STAND_IN_MS;
    expect(await world.verdict(await world.token())).toBe('valid');
    world.nowMs += 1;
    await expect(world.verdict(await world.token())).rejects.toMatchObject({ code: 'issuer_unavailable' });
    world.isUp = true;
    world.nowMs += FETCH_PAUSE_MS;
    expect(await world.verdict(await world.token())).toBe('valid');
  });

  it('are not waited for longer than the deadline', async () => {
    const token = await world.token();
    const asked = Promise.withResolvers<void>();
    world.onFetch = () => {
      asked.resolve();
      return new Promise(() => {});
    };
    vi.useFakeTimers();
    try {
      let answer: unknown;
      const settled = world.verdict(token).then(
        () => (answer = 'a verdict'),
        (error) => (answer = error),
      );
      await asked.promise;
      await vi.advanceTimersByTimeAsync(FETCH_TIMEOUT_MS - 1);
      expect(answer).toBeUndefined();
      await vi.advanceTimersByTimeAsync(1);
      await settled;
      expect(answer).toMatchObject({ code: 'issuer_unavailable' });
    } finally {
      vi.useRealTimers();
    }
  });

  it.each([
    [{ keys: 'none' }, 'issuer_unavailable'],
    [{ keys: Array(65).fill(first.shown) }, 'issuer_unavailable'],
    ['<html>', 'issuer_unavailable'],
  ])('that have another form are refused: %j', async (shown, code) => {
    world.shown = shown;
    await expect(world.verdict(await world.token())).rejects.toMatchObject({ code });
  });

  it('leave out symmetric keys and what is no key', async () => {
    world.shown = {
      keys: [{ kty: 'oct', k: 'AAAA', kid: 'first' }, 7, null, { kty: 'EC', kid: 'first' }, second.shown],
    };
    expect(await world.verdict(await world.token({}, second))).toBe('valid');
    expect(await world.verdict(await world.token())).toBe('invalid');
  });
});

it('the table forgets the oldest tokens beyond its bound', async () => {
  const token = await world.token();
  for (let n = 0; n <= TOKENS_MAX; n += 1) await world.verdict(token, String(n));
  expect(world.table.peek('0')).toBeUndefined();
  expect(world.table.peek(String(TOKENS_MAX))).toBeDefined();
});

it.each(['', 'a.b', 'a.b.c.d', 'a.b.', 'a b.c.d', `${'a'.repeat(4_096)}.b.c`])('%s is no token', (text) => {
  expect(isToken(text)).toBe(false);
});
