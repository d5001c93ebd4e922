import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { PATIENCE_MS, SILENCE_MS, unlessAway } from '../../../src/cache/patience.ts';
import { sleep, withTimeout } from '../../../src/platform/clock.ts';
import { Failure } from '../../../src/platform/failure.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const ANSWER = { value: 1 };
const never = () => new Promise<never>(() => undefined);
const after = async (ms: number) => {
  await sleep(ms);
  return ANSWER;
};

/** Waits as a reader does, and returns what came of it, when, and how many pings it took. */
async function waitFor(reading: Promise<typeof ANSWER>, answerPing: () => Promise<unknown>) {
  const ping = vi.fn(answerPing);
  const begun = Date.now();
  let afterMs = 0;
  const waiting = unlessAway(reading, ping, { withTimeout })
    .catch((error: unknown) => error)
    .then((outcome) => {
      afterMs = Date.now() - begun;
      return outcome;
    });
  await vi.advanceTimersByTimeAsync(20_000);
  return { outcome: await waiting, afterMs, pings: ping.mock.calls.length };
}

it('asks nothing where the origin answers soon', async () => {
  expect(await waitFor(after(PATIENCE_MS - 1), never)).toEqual({
    outcome: ANSWER,
    afterMs: PATIENCE_MS - 1,
    pings: 0,
  });
});

it('waits for a slow origin that answers pings, with ever fewer of them', async () => {
  expect(await waitFor(after(9_000), () => after(200))).toEqual({
    outcome: ANSWER,
    afterMs: 9_000,
    pings: 3,
  });
});

it('gives a silent origin up within a second', async () => {
  expect(await waitFor(never(), never)).toEqual({
    outcome: undefined,
    afterMs: SILENCE_MS,
    pings: 1,
  });
  expect(SILENCE_MS).toBeLessThan(1_000);
});

it('gives up an origin that refuses the ping, or that falls silent later', async () => {
  expect(await waitFor(never(), () => Promise.reject(new Error('refused')))).toMatchObject({
    outcome: undefined,
    afterMs: PATIENCE_MS,
  });
  const pings = [async () => undefined, never];
  expect(await waitFor(never(), () => (pings.shift() ?? never)())).toMatchObject({
    outcome: undefined,
    afterMs: 2 * PATIENCE_MS + SILENCE_MS,
    pings: 2,
  });
});

it('takes the answer that comes during a ping', async () => {
  expect(await waitFor(after(PATIENCE_MS + 100), never)).toEqual({
    outcome: ANSWER,
    afterMs: PATIENCE_MS + 100,
    pings: 1,
  });
});

it('counts the failures of an outage as away, and passes on those of a defect', async () => {
  const failing = async (error: Error) => {
    await sleep(10);
    throw error;
  };
  const outage = new Failure('database_unavailable', 'down', { retryAfterS: 5 });
  expect(await waitFor(failing(outage), never)).toEqual({ outcome: undefined, afterMs: 10, pings: 0 });
  const defect = new TypeError('of the view');
  expect((await waitFor(failing(defect), never)).outcome).toBe(defect);
});
