import { expect, it } from 'vitest';
import type { CachedAnswer } from '../../../src/cache/cached-answer.ts';
import type { ReadRequest } from '../../../src/cache/read-through.ts';
import { cachePolicy } from '../../../src/define/cache-policy.ts';
import { Observation } from '../../../src/operations/observation.ts';

const ENTRY = { body: '1', etag: '"a"', tagHashes: [1], epoch: 'e', stamp: 1, filledAt: 0 };
const HIT: CachedAnswer = {
  entry: ENTRY,
  source: { hit: true, tier: 'memory', stale: false },
  unverified: undefined,
  ageS: 0,
  ttlS: 60,
  maxAgeS: 1,
  judgedSeq: 1,
  token: 'e.1',
};

it('probes its share of the answers, and counts all of them', async () => {
  let loads = 0;
  let now = 0;
  let draw = 0;
  const work: Promise<unknown>[] = [];
  const sent: unknown[] = [];
  const observation = new Observation(
    () => 'isolate',
    () => 0,
    {
      share: 0.5,
      random: () => draw,
      now: () => now,
      sleep: async () => undefined,
      digest: async () => 'a'.repeat(64),
      root: { sync: () => Promise.reject(new Error('Nothing differs, so nobody asks.')) },
      invalidate: async () => undefined,
      send: async (batch) => void sent.push(batch),
    },
  );
  const request: ReadRequest = {
    view: 'product',
    key: 'product/1',
    policy: cachePolicy({}),
    consistency: { level: undefined, atLeast: undefined },
    load: async () => {
      loads += 1;
      return { value: 1, tags: [], storable: true };
    },
  };
  for (const next of [0.5, 0.9, 0.49, 0.99]) {
    draw = next;
    now += 10_000;
    observation.answered(request, HIT, { keepAlive: (promise) => work.push(promise) });
    observation.requested(['GET', '/v1/products/{id}', 200, now], { waitUntil: (done) => work.push(done) });
    await Promise.allSettled(work);
  }
  expect(loads).toBe(1);
  expect(JSON.stringify(sent)).toContain('"view":"product"');
  expect(JSON.stringify(sent)).toContain('"route":"/v1/products/{id}"');
});
