import { createExecutionContext, waitOnExecutionContext } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { beforeAll, describe, expect, it } from 'vitest';
import * as z from 'zod';
import { OUTBOX } from '../../src/cache/clock/sources.ts';
import { Isolate } from '../../src/composition/isolate.ts';
import { appOf } from '../../src/composition/worker.ts';
import { defineCatalog } from '../../src/define/define-catalog.ts';
import { view } from '../../src/define/view.ts';
import { CountedEnv } from '../support/workers/counted-env.ts';
import { crossingsOf } from '../support/workers/crossings.ts';

function greetings(name: string, isPublic: boolean) {
  return view({
    name,
    path: `/v1/${name}/{of}`,
    public: isPublic,
    description: 'A greeting.',
    params: { of: z.string() },
    response: z.object({ text: z.string() }),
    cache: { warm: false, beta: 0, refreshAhead: 0 },
    load: async (_, { of }) => (of === 'nobody' ? null : { text: `Hello, ${of}` }),
    tags: () => [],
  });
}

const views = { open: greetings('open', true), closed: greetings('closed', false) };
const catalog = defineCatalog({ views });

/** What one read asks of the runtime and of the bindings after the same read was made `times` before. */
async function readAfter(times: number, path: string, headers: Record<string, string>) {
  const counted = new CountedEnv(env);
  const app = appOf(new Isolate(catalog));
  const read = () => new Request(`https://shop.test${path}`, { headers });
  for (let index = 0; index < times; index += 1) {
    const context = createExecutionContext();
    await (await app.fetch(read(), counted.env, context)).text();
    await waitOnExecutionContext(context);
  }
  counted.take();
  const context = createExecutionContext();
  const { crossings, response } = await crossingsOf(read(), (recorded) =>
    app.fetch(recorded, counted.env, context),
  );
  await response.text();
  // The kept headers change with the second and with the clock, whatever the number of hits.
  const ofTheRead = crossings.filter((crossing) => !crossing.startsWith('headers.set('));
  return { crossings: ofTheRead, cache: response.headers.get('cache-status'), status: response.status };
}

beforeAll(async () => {
  // Without a database there are no watermarks, so every bounded read would find its source suspect.
  const root = env.TAG_CLOCK.getByName('root');
  await root.closePass(await root.openPass(OUTBOX));
});

const ADDRESS = { 'cf-connecting-ip': '192.0.2.1' };
const SECRET = { authorization: 'Bearer test-key' };

describe('what a warm hit asks of the runtime', () => {
  it('a public read: the address, its headers once and four of them, and one response', async () => {
    const { crossings, cache } = await readAfter(3, '/v1/open/ada', ADDRESS);
    expect(cache).toMatch(/; hit; .*detail=memory/);
    expect(crossings).toEqual([
      'request.method',
      'request.url',
      'request.headers',
      'headers.get(cf-connecting-ip)',
      'headers.get(millrace-consistency)',
      'headers.get(millrace-token)',
      'headers.get(if-none-match)',
      'new Response',
    ]);
  });

  it('a read with a key', async () => {
    const { crossings, cache } = await readAfter(3, '/v1/closed/ada', { ...ADDRESS, ...SECRET });
    expect(cache).toMatch(/; hit; .*detail=memory/);
    expect(crossings).toEqual([
      'request.method',
      'request.url',
      'request.headers',
      'headers.get(authorization)',
      'headers.get(millrace-consistency)',
      'headers.get(millrace-token)',
      'headers.get(if-none-match)',
      'new Response',
    ]);
  });

  it('the second hit makes the headers that the next ones send', async () => {
    const { crossings } = await readAfter(2, '/v1/open/ada', ADDRESS);
    expect(crossings.filter((crossing) => crossing.startsWith('new '))).toEqual([
      'new Headers',
      'new Response',
    ]);
  });

  it('records what is asked beyond that: a fill reads more and names its answer', async () => {
    const { crossings, status } = await readAfter(0, '/v1/open/ada', ADDRESS);
    expect(status).toBe(200);
    expect(crossings).toContain('crypto.randomUUID');
    expect(crossings.length).toBeGreaterThan(8);
  });
});
