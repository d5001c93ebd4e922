import { expect, it } from 'vitest';
import { describeStored, waitUntilStored } from '../../import/stored.ts';

const TARGET = { url: new URL('http://127.0.0.1:1/v1/events'), key: 'k', lines: 100 };

/** A server whose counts are those of `storedAt(seconds)`, and a clock that moves by sleeping. */
function serverOf(
  storedAt: (seconds: number) => { stored: number; refused: number; pending: number } | number,
) {
  let now = 0;
  const asked: string[] = [];
  const fetch = async (input: string | URL | Request): Promise<Response> => {
    asked.push(String(input));
    const counts = storedAt(now / 1_000);
    if (typeof counts === 'number') return new Response('no', { status: counts });
    const { stored, refused, pending } = counts;
    return Response.json({ events: { stored }, quarantine: { bad: refused }, outbox: { pending } });
  };
  const sleep = async (ms: number) => {
    now += ms;
  };
  return { asked, deps: { fetch, now: () => now, sleep, reporter: { notice: () => undefined } } };
}

it('waits until every line is stored or in quarantine, and relayed', async () => {
  const { asked, deps } = serverOf((seconds) => ({
    stored: Math.min(90, seconds * 3),
    refused: 10,
    pending: seconds < 40 ? 5 : 0,
  }));
  const counts = await waitUntilStored(TARGET, deps, new AbortController().signal);
  expect(counts).toEqual({ stored: 90, quarantined: 10, complete: true, pending: 0, seconds: 40 });
  expect(asked[0]).toBe('http://127.0.0.1:1/v1/admin/pipeline?source=%2Fimports%2Fonline-retail');
});

it('gives up when nothing moves any more, and says what to do', async () => {
  const { deps } = serverOf(() => ({ stored: 60, refused: 0, pending: 0 }));
  const counts = await waitUntilStored(TARGET, deps, new AbortController().signal);
  expect(counts).toMatchObject({ stored: 60, complete: false });
  if (counts !== null) expect(describeStored(counts)).toContain('--restart');
});

it('tells of changes that nobody relays, and takes their going on for a move', async () => {
  const { deps } = serverOf((seconds) => ({ stored: 100, refused: 0, pending: Math.max(7, 200 - seconds) }));
  const counts = await waitUntilStored(TARGET, deps, new AbortController().signal);
  expect(counts).toMatchObject({ complete: true, pending: 7 });
  expect(counts?.seconds).toBeGreaterThan(193);
  if (counts !== null) expect(describeStored(counts)).toContain('all of them; 7 changes still wait');
});

it('outlasts errors that pass, and takes a refusal for an answer', async () => {
  const passing = serverOf((seconds) => (seconds < 5 ? 503 : { stored: 100, refused: 0, pending: 0 }));
  expect(await waitUntilStored(TARGET, passing.deps, new AbortController().signal)).toMatchObject({
    complete: true,
  });
  const refused = serverOf(() => 401);
  expect(await waitUntilStored(TARGET, refused.deps, new AbortController().signal)).toBeNull();
});
