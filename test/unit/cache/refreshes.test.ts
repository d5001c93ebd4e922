import { describe, expect, it } from 'vitest';
import { decide, type Filled, timeToLiveMs } from '../../../src/cache/freshness.ts';
import { AHEAD_MAX, REFRESHING_MAX, refreshInBackground } from '../../../src/cache/refreshes.ts';
import { cachePolicy } from '../../../src/define/cache-policy.ts';
import { withTimeout } from '../../../src/platform/clock.ts';
import { seededRandom } from '../../../src/platform/random.ts';

const FILLED_AT = Date.UTC(2026, 0, 1);
const SECOND_MS = 1_000;

describe('entries that were filled together', () => {
  const KEYS = 1_000;
  const FILL_MS = 20;

  /** Reads each key once a second, each at its own moment in the second; a refresh fills the entry `FILL_MS` later. */
  function play(seconds: number) {
    const policy = cachePolicy();
    const random = seededRandom(14);
    const refreshes = new Array<number>(seconds).fill(0);
    let expired = 0;
    for (let rank = 0; rank < KEYS; rank += 1) {
      const key = `view/["product",{"sku":"K${rank}"},{}]`;
      let entry: Filled = { body: '{}', fillMs: FILL_MS, filledAt: FILLED_AT + random() * SECOND_MS };
      for (let second = 1; second <= seconds; second += 1) {
        const nowMs = FILLED_AT + (second + random()) * SECOND_MS;
        const decision = decide({ policy, level: 'bounded', key, entry, tags: 'valid' }, nowMs, random());
        if (decision.serve !== 'fresh') expired += 1;
        if (decision.refresh === 'none') continue;
        refreshes[second - 1] = (refreshes[second - 1] ?? 0) + 1;
        entry = { ...entry, filledAt: nowMs + FILL_MS };
      }
    }
    return { refreshes, expired };
  }

  const { refreshes, expired } = play(900);

  it('are refreshed over the last half of their life, at most 20 of 1,000 in a second', () => {
    const first = refreshes.slice(0, 300);
    expect(first.reduce((a, b) => a + b)).toBeGreaterThanOrEqual(KEYS);
    // Jitter shortens a life of 300 s by a tenth at most, and no entry is refreshed in the first half of its own life.
    expect(first.slice(0, 134).reduce((a, b) => a + b)).toBe(0);
    const busy = first.filter((count) => count > 0).length;
    expect(busy).toBeGreaterThanOrEqual(130);
    expect(Math.max(...refreshes)).toBeLessThanOrEqual(20);
  });

  it('do not expire if they are read once a second', () => {
    expect(expired).toBe(0);
  });

  it('are refreshed 1.4 times in a time to live', () => {
    const perSecond = refreshes.slice(300).reduce((a, b) => a + b) / 600;
    expect((perSecond * 300) / KEYS).toBeCloseTo(1.45, 1);
  });
});

describe('the moment of a refresh ahead of expiry', () => {
  const key = 'k';
  const entry = { body: '{}', filledAt: FILLED_AT };
  const at = (policy: ReturnType<typeof cachePolicy>, share: number) =>
    decide(
      { policy, level: 'bounded', key, entry, tags: 'valid' },
      FILLED_AT + timeToLiveMs(policy, key, entry) * share,
      0,
    );

  it('lies in the last half of its life, and not in the last twentieth', () => {
    expect(at(cachePolicy(), 0.499).refresh).toBe('none');
    expect(at(cachePolicy(), 0.951)).toMatchObject({
      serve: 'fresh',
      refresh: 'background',
      reason: 'early',
    });
  });

  it('never comes if the policy spreads no refreshes', () => {
    expect(at(cachePolicy({ refreshAhead: 0 }), 0.9999).refresh).toBe('none');
  });
});

describe('background refreshes', () => {
  it('begin ahead of expiry only while few run, and for expired entries up to a greater limit', () => {
    const kept: Promise<unknown>[] = [];
    const refreshing = new Map<string, number>();
    const ports = {
      refreshing,
      time: { now: () => FILLED_AT, withTimeout },
      context: { keepAlive: (promise: Promise<unknown>) => void kept.push(promise) },
    };
    const hangs = () => new Promise<never>(() => undefined);
    for (let index = 0; index < 2 * AHEAD_MAX; index += 1)
      refreshInBackground({ key: `ahead ${index}`, isAhead: true }, hangs, ports);
    expect(refreshing.size).toBe(AHEAD_MAX);
    for (let index = 0; index < 2 * REFRESHING_MAX; index += 1)
      refreshInBackground({ key: `expired ${index}`, isAhead: false }, hangs, ports);
    expect(refreshing.size).toBe(REFRESHING_MAX);
    expect(kept.length).toBe(REFRESHING_MAX);
  });
});
