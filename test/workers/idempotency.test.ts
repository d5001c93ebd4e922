import { createExecutionContext, runInDurableObject, waitOnExecutionContext } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { Hono } from 'hono';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { KEPT_MS, KeyStore, LEASE_MS } from '../../durable-objects/idempotency/store.ts';
import { idempotencyPort } from '../../src/composition/idempotency.ts';
import { type Holder, tokenHolder } from '../../src/define/principal.ts';
import type { AppEnv } from '../../src/gateway/context.ts';
import { idempotent } from '../../src/gateway/idempotency/middleware.ts';
import type { IdempotencyPort } from '../../src/gateway/idempotency/port.ts';
import { problemResponse } from '../../src/gateway/problem.ts';
import { Failure } from '../../src/platform/failure.ts';

const real = idempotencyPort(env);
const alice = tokenHolder('alice', ['events:write'], {});

/** A gateway with one route. Its `effects` counts how often a request was carried out. */
function gateway(route: (body: string) => Response | Promise<Response>, port: IdempotencyPort = real) {
  const state = { effects: 0, charged: 0 };
  const send = async (
    body: string | undefined,
    headers: Record<string, string>,
    { path = '/v1/events', principal = alice }: { path?: string; principal?: Holder } = {},
  ) => {
    const context = createExecutionContext();
    const app = new Hono<AppEnv>();
    app.onError((error) => problemResponse(error, 'r'));
    app.use('*', async (c, next) => {
      c.set('principal', principal);
      await next();
    });
    app.use(
      '*',
      idempotent(
        () => port,
        async (_, { units }) => {
          state.charged += units;
        },
        () => true,
      ),
    );
    app.post('*', async (c) => {
      state.effects += 1;
      return await route(await c.req.raw.text());
    });
    const init = { method: 'POST', headers, ...(body === undefined ? {} : { body }) };
    const response = await app.fetch(new Request(`https://millrace.test${path}`, init), env, context);
    const text = await response.text();
    await waitOnExecutionContext(context);
    const code: unknown = text.startsWith('{') ? Reflect.get(JSON.parse(text), 'code') : undefined;
    return { status: response.status, headers: response.headers, text, code };
  };
  return { state, send };
}

const created = (body: string) =>
  Response.json(
    { body, number: crypto.randomUUID() },
    { status: 201, headers: { etag: '"1"', date: 'now' } },
  );
const newKey = () => ({ 'idempotency-key': crypto.randomUUID() });

describe('a request with an idempotency key', () => {
  it('is carried out once, and its repetition has the same answer with a marker', async () => {
    const { state, send } = gateway(created);
    const headers = newKey();
    const first = await send('a', headers);
    const again = await send('a', headers);
    expect([first.status, first.headers.get('idempotency-replayed')]).toEqual([201, null]);
    expect([again.status, again.headers.get('idempotency-replayed'), again.text]).toEqual([
      201,
      'true',
      first.text,
    ]);
    expect([again.headers.get('etag'), again.headers.get('content-type'), again.headers.get('date')]).toEqual(
      ['"1"', 'application/json', null],
    );
    expect(state.effects).toBe(1);
    // Both requests pay for the calls of the object, though one of them has no effect.
    expect(state.charged).toBe(2 * 44);
  });

  it('costs nothing where none is sent', async () => {
    const { state, send } = gateway(created);
    await send('a', {});
    expect([state.effects, state.charged]).toEqual([1, 0]);
  });

  it('has one key whether it is quoted or not', async () => {
    const { state, send } = gateway(created);
    await send('a', { 'idempotency-key': 'a-quoted-key' });
    expect(
      (await send('a', { 'idempotency-key': '"a-quoted-key"' })).headers.get('idempotency-replayed'),
    ).toBe('true');
    expect(state.effects).toBe(1);
  });

  it('repeats answers without a body and refusals, and no passing failure', async () => {
    const answers = [
      [new Response(null, { status: 204 }), true],
      [problemResponse(new Failure('not_found', 'None.'), 'r'), true],
      [problemResponse(new Failure('database_unavailable', 'Away.'), 'r'), false],
      [problemResponse(new Failure('rate_limited', 'Later.'), 'r'), false],
      [problemResponse(new Error('a bug'), 'r'), false],
    ] as const;
    for (const [answer, isKept] of answers) {
      const { state, send } = gateway(() => answer.clone());
      const headers = newKey();
      expect((await send(undefined, headers)).status).toBe(answer.status);
      expect((await send(undefined, headers)).status).toBe(answer.status);
      expect([answer.status, state.effects]).toEqual([answer.status, isKept ? 1 : 2]);
    }
  });

  it('is refused if the key belongs to another body, address, precondition or event attribute', async () => {
    const { state, send } = gateway(created);
    const headers = { ...newKey(), 'ce-id': '1', 'content-type': 'text/plain' };
    await send('a', headers);
    const others = [
      await send('b', headers),
      await send('a', headers, { path: '/v1/events?x=1' }),
      await send('a', { ...headers, 'if-match': '"1"' }),
      await send('a', { ...headers, 'ce-id': '2' }),
    ];
    expect(others.map(({ status, code }) => [status, code])).toEqual(
      others.map(() => [422, 'idempotency_key_reused']),
    );
    expect(state.effects).toBe(1);
  });

  it('has a key of its own for each principal', async () => {
    const { state, send } = gateway(created);
    const headers = newKey();
    const first = await send('a', headers);
    const principal = tokenHolder('bob', ['events:write'], {});
    expect((await send('a', headers, { principal })).text).not.toBe(first.text);
    expect(state.effects).toBe(2);
  });

  it('is told to wait while the first one is under way', async () => {
    const started = Promise.withResolvers<void>();
    const finish = Promise.withResolvers<void>();
    const { state, send } = gateway(async (body) => {
      started.resolve();
      await finish.promise;
      return created(body);
    });
    const headers = newKey();
    const first = send('a', headers);
    await started.promise;
    const second = await send('a', headers);
    expect([second.status, second.code, second.headers.get('retry-after')]).toEqual([
      409,
      'idempotency_in_flight',
      '1',
    ]);
    finish.resolve();
    const { text } = await first;
    expect((await send('a', headers)).text).toBe(text);
    expect(state.effects).toBe(1);
  });

  it.each(['', '"', `"${'x'.repeat(256)}"`, 'x'.repeat(256), 'a,b', 'a b', '"a\\b"'])(
    'is refused with the key %j',
    async (key) => {
      const { state, send } = gateway(created);
      const answer = await send('a', { 'idempotency-key': key });
      expect([answer.status, answer.code]).toEqual([400, 'invalid_request']);
      expect(state.effects).toBe(0);
    },
  );

  it('is carried out again if it has no effect: predictions, feature reads, tickets', async () => {
    const { state, send } = gateway(created, unused);
    for (const path of ['/v1/predictions/mood', '/v1/features/read', '/v1/tickets', '/v2/models/mood/infer'])
      expect((await send('a', newKey(), { path })).status).toBe(201);
    expect(state.effects).toBe(4);
  });

  it('says what became of it if the answer was too large to keep', async () => {
    const { state, send } = gateway(() => new Response('x'.repeat(1_000_001), { status: 201 }));
    const headers = newKey();
    expect((await send('a', headers)).text).toHaveLength(1_000_001);
    const again = await send('a', headers);
    expect([again.status, again.code]).toEqual([409, 'idempotency_answer_omitted']);
    expect(again.text).toContain('status 201');
    expect(state.effects).toBe(1);
  });

  it('is refused with a body of more than 4 MiB, and nothing is done', async () => {
    const { state, send } = gateway(created, unused);
    expect((await send('x'.repeat(4 * 1024 * 1024 + 1), newKey())).status).toBe(413);
    expect(state.effects).toBe(0);
  });
});

const unused: IdempotencyPort = {
  begin: async () => expect.fail('called'),
  keep: async () => expect.fail('called'),
  release: async () => expect.fail('called'),
};

it('a request without a key asks no object', async () => {
  const { state, send } = gateway(created, unused);
  expect((await send('a', {})).status).toBe(201);
  expect(state.effects).toBe(1);
});

describe('while the object does not answer', () => {
  const warn = vi.spyOn(console, 'warn').mockImplementation(() => undefined);
  beforeEach(() => warn.mockClear());

  it('a request with a key ends with 503 and does nothing, and can be repeated', async () => {
    let isAway = true;
    const port: IdempotencyPort = {
      ...real,
      // The call takes effect, and its answer does not come.
      begin: async (...sent) => {
        const begun = await real.begin(...sent);
        if (isAway) throw new Error('away');
        return begun;
      },
    };
    const { state, send } = gateway(created, port);
    const headers = newKey();
    const refused = await send('a', headers);
    expect([refused.status, refused.code, refused.headers.get('retry-after')]).toEqual([
      503,
      'idempotency_unavailable',
      '1',
    ]);
    expect(state.effects).toBe(0);
    isAway = false;
    expect((await send('a', headers)).status).toBe(201);
    expect(state.effects).toBe(1);
  });

  it('an answer that cannot be kept is given; the repetition waits for the lease', async () => {
    const port: IdempotencyPort = {
      ...real,
      keep: async () => {
        throw new Error('away');
      },
    };
    const { state, send } = gateway(created, port);
    const headers = newKey();
    expect((await send('a', headers)).status).toBe(201);
    expect(warn).toHaveBeenCalledOnce();
    expect(await send('a', headers)).toMatchObject({ status: 409, code: 'idempotency_in_flight' });
    expect(state.effects).toBe(1);
  });
});

const ID = 'a'.repeat(64);
const FINGERPRINT = 'b'.repeat(64);
const bytes = (text: string) => Uint8Array.from(new TextEncoder().encode(text)).buffer;

describe('a key', () => {
  /** Late on a day, so that its keys are valid on the next. */
  const from = 20_000 * 86_400_000 + 80_000_000;
  const inStore = async (name: string, test: (store: KeyStore) => void | Promise<void>) =>
    await runInDurableObject(env.IDEMPOTENCY.getByName(name), (_, state) =>
      test(new KeyStore(state.storage)),
    );

  it('belongs to its request for 24 hours', async () => {
    await inStore('kept', (store) => {
      expect(store.begin(ID, FINGERPRINT, 'l1', from)).toEqual({ state: 'new' });
      expect(store.keep(ID, 'l1', 201, bytes('x'), from + 1)).toBe(true);
      const done = { state: 'done', status: 201 };
      expect(store.begin(ID, FINGERPRINT, 'l2', from + KEPT_MS - 1)).toMatchObject(done);
      expect(store.begin(ID, 'c'.repeat(64), 'l2', from + KEPT_MS - 1)).toEqual({ state: 'reused' });
      expect(store.begin(ID, 'c'.repeat(64), 'l2', from + KEPT_MS)).toEqual({ state: 'new' });
    });
  });

  it('is free again when the lease of a request that died has ended; what that one still says is ignored', async () => {
    await inStore('lease', (store) => {
      store.begin(ID, FINGERPRINT, 'dead', from);
      expect(store.begin(ID, FINGERPRINT, 'next', from + LEASE_MS - 1)).toEqual({ state: 'in_flight' });
      expect(store.begin(ID, FINGERPRINT, 'next', from + LEASE_MS)).toEqual({ state: 'new' });
      expect(store.keep(ID, 'dead', 201, bytes('dead'), from + LEASE_MS + 1)).toBe(false);
      store.release(ID, 'dead', from + LEASE_MS + 1);
      expect(store.begin(ID, FINGERPRINT, 'third', from + LEASE_MS + 2)).toEqual({ state: 'in_flight' });
      expect(store.keep(ID, 'next', 201, null, from + LEASE_MS + 3)).toBe(true);
      expect(store.begin(ID, FINGERPRINT, 'third', from + LEASE_MS + 4)).toEqual({
        state: 'done',
        status: 201,
        answer: null,
      });
    });
  });

  it('is deleted by the alarm after the day that follows its own, and not before', async () => {
    await inStore('pruned', (store) => {
      store.begin(ID, FINGERPRINT, 'l', from);
      const midnight = 20_002 * 86_400_000;
      expect(store.prune(midnight - 1)).toBe(midnight);
      expect(store.prune(midnight)).toBeUndefined();
      expect(store.begin(ID, FINGERPRINT, 'l2', from)).toEqual({ state: 'new' });
    });
  });

  it('is not taken by an object that is full', async () => {
    await runInDurableObject(env.IDEMPOTENCY.getByName('full'), (_, state) => {
      const store = new KeyStore(state.storage, 1);
      expect(store.begin(ID, FINGERPRINT, 'l', from)).toEqual({ state: 'full' });
    });
  });

  it('sets the alarm of its object, which refuses what is not well-formed', async () => {
    const object = env.IDEMPOTENCY.getByName('alarm');
    expect(await object.begin(ID, FINGERPRINT, 'l')).toEqual({ state: 'new' });
    await runInDurableObject(object, async (instance, state) => {
      expect(await state.storage.getAlarm()).toBeGreaterThan(Date.now() + KEPT_MS);
      await expect(instance.begin('short', FINGERPRINT, 'l')).rejects.toThrow();
      await expect(instance.keep(ID, 'l', 99, null)).rejects.toThrow();
    });
  });

  it('is not in the object, nor is the answer readable there', async () => {
    const sealed: ArrayBuffer[] = [];
    const ids: string[] = [];
    const port: IdempotencyPort = {
      ...real,
      keep: async (id, lease, status, answer) => {
        ids.push(id);
        if (answer !== null) sealed.push(answer);
        return await real.keep(id, lease, status, answer);
      },
    };
    const { send } = gateway(() => new Response('the secret'), port);
    await send('a', { 'idempotency-key': 'my-key' });
    expect(ids[0]).toMatch(/^[0-9a-f]{64}$/);
    expect(new TextDecoder().decode(sealed[0])).not.toContain('secret');
  });
});
