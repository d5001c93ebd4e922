import { expect, it } from 'vitest';
import { waitUntilFolded } from '../../import/folded.ts';
import { Server } from '../../import/server.ts';

const NOTHING = new AbortController().signal;
const BEFORE = { product: 10, customer: 5 };
const STORED = { product: 100, customer: 80 };

/** A server whose counts are those of `at(seconds)`, and a clock that moves by sleeping. */
function serverOf(at: (seconds: number) => { product: number; customer: number; pending: number } | number) {
  let now = 0;
  const fetch = async (): Promise<Response> => {
    const counts = at(now / 1_000);
    if (typeof counts === 'number') return new Response('no', { status: counts });
    const { pending, ...folded } = counts;
    return Response.json({ outbox: { pending }, features: { folded } });
  };
  const sleep = async (ms: number) => {
    now += ms;
  };
  const deps = { fetch, now: () => now, sleep, reporter: { notice: () => undefined } };
  const endpoint = { url: 'http://127.0.0.1:1', key: 'k' };
  const server = new Server(endpoint, { ...deps, random: () => 1, onRetry: () => undefined }, NOTHING);
  return { server, deps };
}

it('waits until every change is relayed and folded', async () => {
  const { server, deps } = serverOf((seconds) => ({
    product: Math.min(110, 10 + seconds * 10),
    customer: Math.min(85, 5 + seconds * 2),
    pending: seconds < 5 ? 7 : 0,
  }));
  const folding = await waitUntilFolded(server, BEFORE, STORED, deps, NOTHING);
  expect(folding).toEqual({ pending: 0, unfolded: 0, ms: 40_000 });
});

it('gives up when the counts stop changing, and reports the rest', async () => {
  const { server, deps } = serverOf((seconds) => ({
    product: 110,
    customer: 45,
    pending: seconds < 30 ? 9 : 3,
  }));
  const folding = await waitUntilFolded(server, BEFORE, STORED, deps, NOTHING);
  expect(folding).toEqual({ pending: 3, unfolded: 40, ms: 75_000 });
});

it('retries temporary errors, and stops at a refusal', async () => {
  const passing = serverOf((seconds) => (seconds < 5 ? 503 : { product: 110, customer: 85, pending: 0 }));
  expect(await waitUntilFolded(passing.server, BEFORE, STORED, passing.deps, NOTHING)).toMatchObject({
    unfolded: 0,
  });
  const refused = serverOf(() => 401);
  expect(await waitUntilFolded(refused.server, BEFORE, STORED, refused.deps, NOTHING)).toBeNull();
});
