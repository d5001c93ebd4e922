import { createExecutionContext, waitOnExecutionContext } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { beforeAll, describe, expect, it } from 'vitest';
import * as z from 'zod';
import { OUTBOX } from '../../src/cache/clock/sources.ts';
import { Isolate } from '../../src/composition/isolate.ts';
import { appOf } from '../../src/composition/worker.ts';
import { defineCatalog } from '../../src/define/define-catalog.ts';
import { view } from '../../src/define/view.ts';
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

/** Reads of which the shortest record counts. */
const READS = 20;

/**
 * What a read asks of the runtime after the same read was made `times` before. Some hits also sync the clock's mirror, or
 * change the kept headers with the second: both follow the time and not the number of hits, so the read that asked least
 * counts, of `reads` in turn.
 */
async function readAfter(times: number, path: string, headers: Record<string, string>, reads = READS) {
  const app = appOf(new Isolate(catalog));
  const read = async () => {
    const context = createExecutionContext();
    const request = new Request(`https://shop.test${path}`, { headers });
    const { crossings, response } = await crossingsOf(request, (recorded) =>
      app.fetch(recorded, env, context),
    );
    await response.text();
    await waitOnExecutionContext(context);
    return { crossings, cache: response.headers.get('cache-status'), status: response.status };
  };
  for (let index = 0; index < times; index += 1) await read();
  let least = await read();
  for (let index = 1; index < reads; index += 1) {
    const next = await read();
    if (next.crossings.length < least.crossings.length) least = next;
  }
  return least;
}

beforeAll(async () => {
  // Without a database there are no watermarks, so every bounded read would find its source suspect.
  const root = env.TAG_CLOCK.getByName('root');
  await root.closePass(await root.openPass(OUTBOX));
});

const ADDRESS = { 'cf-connecting-ip': '192.0.2.1' };
const SECRET = { authorization: 'Bearer test-key' };

describe('what a warm hit asks of the runtime', () => {
  it('a public read: the address, its headers once and five of them, and one response', async () => {
    const { crossings, cache } = await readAfter(3, '/v1/open/ada', ADDRESS);
    expect(cache).toMatch(/; hit; .*detail=memory/);
    expect(crossings).toEqual([
      'request.method',
      'request.url',
      'request.headers',
      'headers.get(cf-connecting-ip)',
      'headers.get(accept)',
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
      'headers.get(accept)',
      'headers.get(millrace-consistency)',
      'headers.get(millrace-token)',
      'headers.get(if-none-match)',
      'new Response',
    ]);
  });

  it('the second hit makes the headers that the next ones send', async () => {
    const { crossings } = await readAfter(2, '/v1/open/ada', ADDRESS, 1);
    expect(crossings.filter((crossing) => crossing.startsWith('new '))).toEqual([
      'new Headers',
      'new Response',
    ]);
  });

  it('records what is asked beyond that: a fill reads more and names its answer', async () => {
    const { crossings, status } = await readAfter(0, '/v1/open/ada', ADDRESS, 1);
    expect(status).toBe(200);
    expect(crossings).toContain('crypto.randomUUID');
    expect(crossings.length).toBeGreaterThan(8);
  });
});
