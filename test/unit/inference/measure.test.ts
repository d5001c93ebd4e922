import { describe, expect, it } from 'vitest';
import type { Session } from '../../../src/inference/graph.ts';
import { assertInBudget, measure } from '../../../src/inference/measure.ts';

/** A session whose runs take the given times in order, the last one for all later runs. */
function scripted(loadMs: number, runsMs: readonly number[]) {
  let nowMs = 0;
  let runs = 0;
  let isReleased = false;
  const session: Session = {
    inputs: [],
    outputs: [],
    bytes: 1_000,
    get isReleased() {
      return isReleased;
    },
    run: () => {
      nowMs += runsMs[Math.min(runs, runsMs.length - 1)] ?? 0;
      runs += 1;
      return {};
    },
    release: () => {
      isReleased = true;
    },
  };
  const load = async () => {
    nowMs += loadMs;
    return session;
  };
  return { session, load, ports: { now: () => nowMs, pause: async () => undefined }, runs: () => runs };
}

describe('measure', () => {
  it('times the load with the first run, the first ten, and the warm runs', async () => {
    const { load, ports } = scripted(30, [7, ...Array.from({ length: 9 }, () => 2), 1]);
    const { measured, fastestMs } = await measure(load, () => ({}), 4, ports);
    expect(measured).toEqual({
      ...{ firstHitMs: 37, firstTenMs: 25, warmP50Ms: 1, warmP99Ms: 1, warmRuns: 25, rows: 4 },
      memoryBytes: 1_000,
    });
    expect(() => assertInBudget(measured, fastestMs)).not.toThrow();
  });

  it('takes a graph whose runs wait for other requests of the isolate, and refuses one that is nearly always slow', async () => {
    const one = (ms: number, of: number) =>
      scripted(
        0,
        Array.from({ length: 400 }, (_, run) => (run % 20 === 10 ? of : ms)),
      );
    for (const [fastest, isTaken] of [
      [25, true],
      [26, false],
    ] as const) {
      const { load, ports } = one(80, fastest);
      const { measured, fastestMs } = await measure(load, () => ({}), 1, ports);
      expect({ p99: measured.warmP99Ms, fastestMs }).toEqual({ p99: 80, fastestMs: fastest });
      if (isTaken) assertInBudget(measured, fastestMs);
      else expect(() => assertInBudget(measured, fastestMs)).toThrow('at the 99th percentile');
    }
  });

  it('takes the round with the least p99, because noise only adds time', async () => {
    // One run of each of the first eight rounds is interrupted.
    const warm = Array.from({ length: 200 }, (_, run) => (run % 25 === 20 ? 80 : 1));
    const { load, ports } = scripted(0, [...Array.from({ length: 10 }, () => 1), ...warm, 1]);
    expect((await measure(load, () => ({}), 1, ports)).measured).toMatchObject({ warmP99Ms: 1 });
  });

  it('refuses a graph that is always slow, after a bounded time', async () => {
    const { load, ports, runs } = scripted(0, [200]);
    const { measured, fastestMs } = await measure(load, () => ({}), 1, ports);
    expect(measured.warmP99Ms).toBe(200);
    expect(runs()).toBeLessThan(30);
    expect(() => assertInBudget(measured, fastestMs)).toThrow(
      expect.objectContaining({ code: 'over_budget' }),
    );
  });

  it('releases the session when a run fails, and says that the golden inputs do not fit', async () => {
    const { session, load, ports } = scripted(0, [1]);
    const failing = { ...session, run: () => raise(), release: session.release };
    const result = measure(
      async () => {
        await load();
        return failing;
      },
      () => ({}),
      1,
      ports,
    );
    await expect(result).rejects.toMatchObject({ code: 'invalid_model', pointer: '/golden/inputs' });
    expect(session.isReleased).toBe(true);
  });
});

function raise(): never {
  throw new Error('no such shape');
}
