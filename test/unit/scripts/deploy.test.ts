import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { createQueues, missingSecrets, secretsOf } from '../../../scripts/deploy/resources.ts';
import { faultOf } from '../../../scripts/deploy/verify.ts';
import { type Ran, urlOf } from '../../../scripts/deploy/wrangler.ts';

/** Wrangler as far as these commands go; what it prints is what wrangler 4.156 prints. */
class Wrangler {
  readonly queues: string[];
  readonly #pageSize: number;
  /** Another deployment creates it between the list and the creation. */
  raced: string | undefined;
  readonly calls: string[] = [];

  constructor(queues: readonly string[] = [], pageSize = 100) {
    this.queues = [...queues];
    this.#pageSize = pageSize;
  }

  readonly run = async (args: readonly string[]): Promise<Ran> => {
    const [noun, verb, name = ''] = args;
    this.calls.push(`${noun} ${verb}`);
    if (verb === 'list') {
      const page = Number(args[args.indexOf('--page') + 1]);
      const shown = this.queues.slice((page - 1) * this.#pageSize, page * this.#pageSize);
      return { code: 0, output: shown.map((queue) => `│ id-of-${queue} │ ${queue} │ 0 │`).join('\n') };
    }
    if (this.queues.includes(name) || name === this.raced)
      return { code: 1, output: `Queue name '${name}' is already taken. [code: 11009]` };
    this.queues.push(name);
    return { code: 0, output: `Created queue '${name}'` };
  };
}

describe('the queues of a deployment', () => {
  it('are created where the account lacks them', async () => {
    const wrangler = new Wrangler(['m-events-bulk', 'other']);
    expect(await createQueues(['m-events', 'm-events-bulk', 'm-dead'], wrangler.run)).toEqual([
      'm-events',
      'm-dead',
    ]);
    expect(wrangler.queues).toEqual(['m-events-bulk', 'other', 'm-events', 'm-dead']);
  });

  it('are looked for on every page, and no longer than there are some missing', async () => {
    const wrangler = new Wrangler(['a', 'b', 'm-events', 'c'], 2);
    expect(await createQueues(['m-events'], wrangler.run)).toEqual([]);
    expect(wrangler.calls).toEqual(['queues list', 'queues list']);
    expect(await createQueues(['m-dead'], wrangler.run)).toEqual(['m-dead']);
    expect(await createQueues([], wrangler.run)).toEqual([]);
  });

  it('may be made by another deployment meanwhile', async () => {
    const wrangler = new Wrangler();
    wrangler.raced = 'm-events';
    expect(await createQueues(['m-events', 'm-dead'], wrangler.run)).toEqual(['m-dead']);
  });

  it('fail with what wrangler says', async () => {
    const refused = async (): Promise<Ran> => ({ code: 1, output: 'Authentication error [code: 10000]' });
    await expect(createQueues(['m-events'], refused)).rejects.toThrow(
      /cannot be listed:\nAuthentication error/,
    );
    const full = async ([, verb]: readonly string[]): Promise<Ran> =>
      verb === 'list' ? { code: 0, output: '' } : { code: 1, output: 'too many [code: 11001]' };
    await expect(createQueues(['m-events'], full)).rejects.toThrow(/m-events cannot be created:\ntoo many/);
  });
});

describe('the secrets of a deployment', () => {
  const answer = (code: number, output: string) => async (): Promise<Ran> => ({ code, output });
  const asked = { worker: 'm', databaseUrl: 'postgres://u:p@h/d', key: 'a-key-of-some-length' };

  it('are those that the worker has', async () => {
    const list = 'A warning.\n[{"name":"DATABASE_URL","type":"secret_text"}]';
    expect([...(await secretsOf('staging', answer(0, list)))]).toEqual(['DATABASE_URL']);
    const absent = 'Worker "m-staging" (env: staging) not found.';
    expect([...(await secretsOf('staging', answer(1, absent)))]).toEqual([]);
    await expect(secretsOf('staging', answer(1, 'Authentication error'))).rejects.toThrow(/Authentication/);
  });

  it('are set where they are missing, the key as its hash, and never changed', () => {
    const sha256 = createHash('sha256').update(asked.key).digest('hex');
    expect(missingSecrets(new Set(), asked).secrets).toEqual({
      DATABASE_URL: asked.databaseUrl,
      API_KEY_SHA256: sha256,
    });
    expect(missingSecrets(new Set(['API_KEY_SHA256']), asked).secrets).toEqual({
      DATABASE_URL: asked.databaseUrl,
    });
    expect(missingSecrets(new Set(['API_KEY_SHA256', 'DATABASE_URL']), asked)).toEqual({
      secrets: {},
      told: [],
    });
  });
});

describe('the address of a version', () => {
  it.each([
    [['https://m.acme.workers.dev'], 'https://m.acme.workers.dev'],
    [['api.example.com (custom domain)', 'https://m.acme.workers.dev'], 'https://api.example.com'],
    [['example.com/v1/* (zone name: example.com)', 'schedule: * * * * *'], undefined],
    [['Producer for m-events', 'https://m.acme.workers.dev/'], 'https://m.acme.workers.dev'],
    [[], undefined],
  ])('among %j is %s', (targets, url) => {
    expect(urlOf(targets)).toBe(url);
  });
});

describe('a new version', () => {
  /** What `/health/live` and `/health/ready` answer, one after the other; the last goes on. */
  function world(...answers: readonly [live: [number, object], ready: [number, object]][]) {
    let now = 0;
    let at = 0;
    return {
      now: () => now,
      sleep: async (ms: number) => {
        now += ms;
        at = Math.min(at + 1, answers.length - 1);
      },
      fetch: async (url: string) => {
        const [live, ready] = answers[at] ?? [];
        const [status, body] = (url.endsWith('/live') ? live : ready) ?? [500, {}];
        return Response.json(body, { status });
      },
    };
  }
  const asked = { url: 'https://m.example', version: 'new' };
  const OF_BEFORE = [
    [200, { release: 'old' }],
    [200, {}],
  ] as const;
  const READY = [
    [200, { release: 'new' }],
    [200, {}],
  ] as const;

  it('is right once it answers and all that it needs answers', async () => {
    const ports = world([[...OF_BEFORE[0]], [...OF_BEFORE[1]]], [[...READY[0]], [...READY[1]]]);
    expect(await faultOf(asked, ports)).toBeUndefined();
    expect(ports.now()).toBe(1_000);
  });

  it.each([
    [[200, { release: 'old' }], [200, {}], 'is answered by the version old'],
    [[200, {}], [200, {}], 'is answered by the version of before'],
    [[500, {}], [200, {}], '/health/live answers 500'],
    [
      [200, { release: 'new' }],
      [503, { status: 'unavailable' }],
      '/health/ready answers 503 {"status":"unavailable"}',
    ],
  ] as const)('is wrong while %j and %j', async (live, ready, fault) => {
    const ports = world([[...live], [...ready]]);
    expect(await faultOf(asked, ports)).toContain(fault);
    expect(ports.now()).toBe(90_000);
  });

  it('is wrong where nothing answers', async () => {
    const ports = world([
      [200, {}],
      [200, {}],
    ]);
    const fetch = async () => {
      throw new Error('getaddrinfo ENOTFOUND');
    };
    expect(await faultOf(asked, { ...ports, fetch })).toBe(
      'https://m.example does not answer: getaddrinfo ENOTFOUND',
    );
  });
});
