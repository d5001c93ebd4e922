import { expect, it } from 'vitest';
import type { CachedAnswer } from '../../../src/cache/cached-answer.ts';
import type { ReadRequest } from '../../../src/cache/read-through.ts';
import { cachePolicy } from '../../../src/define/cache-policy.ts';
import { Observation } from '../../../src/operations/observation.ts';
import type { CounterBatch } from '../../../src/platform/counters.ts';

const ENTRY = { body: '1', etag: '"a"', tagHashes: [1], epoch: 'e', stamp: 1, filledAt: 0 };
const HIT: CachedAnswer = {
  entry: ENTRY,
  source: { hit: true, tier: 'memory', stale: false },
  unverified: undefined,
  ageS: 0,
  ttlS: 60,
  maxAgeS: 1,
  judgedSeq: 1,
  mirrorAgeMs: 0,
  token: 'e.1',
};

function observe(random: () => number, now: () => number) {
  const sent: CounterBatch[] = [];
  const observation = new Observation(
    () => 'isolate',
    () => 0,
    {
      share: 0.5,
      random,
      now,
      sleep: async () => undefined,
      digest: async () => 'a'.repeat(64),
      root: { sync: () => Promise.reject(new Error('Nothing differs, so nobody asks.')) },
      invalidate: async () => undefined,
      send: async (batch) => void sent.push(batch),
    },
  );
  return { observation, sent };
}

it('probes its share of the answers, and counts all of them', async () => {
  let loads = 0;
  let now = 0;
  let draw = 0;
  const work: Promise<unknown>[] = [];
  const { observation, sent } = observe(
    () => draw,
    () => now,
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

it('counts what a consumer and a reader of features see, and sends exemplars of exported traces', async () => {
  let now = 7_000;
  const work: Promise<unknown>[] = [];
  const ctx = { waitUntil: (done: Promise<unknown>) => work.push(done), keepAlive: () => undefined };
  const { observation, sent } = observe(
    () => 1,
    () => now,
  );
  const value = { status: 'PRESENT', value: 1, eventAt: 0 } as const;
  observation.featuresRead('customer', [{ a: value, b: value }, { a: { ...value, status: 'NOT_READY' } }]);
  observation.deadLetters('millrace-events', 2);
  observation.refilled('product', 'unchanged');
  observation.predicted({ model: 'ranker', source: 'fallback', degraded: 'model_unavailable', items: 3 });
  const request = { view: 'product', key: 'k' } as ReadRequest;
  observation.answered(request, { ...HIT, mirrorAgeMs: 700 }, ctx);
  const exported = { traceId: 'a'.repeat(32), spanId: 'b'.repeat(16) };
  observation.requested(['GET', '/v1/products', 200, 6_990], ctx, exported);
  await Promise.all(work);
  now += 6_000;
  observation.consumed('millrace-events', [3, 400], ctx);
  await Promise.all(work);
  const counted = sent.map(({ counters }) =>
    counters.map(({ name, labels, value: count }) => `${name} ${Object.values(labels).join()} ${count}`),
  );
  expect(counted[0]).toEqual(
    expect.arrayContaining([
      'millrace_feature_values_total customer,PRESENT 2',
      'millrace_feature_values_total customer,NOT_READY 1',
      'millrace_dead_letters_total millrace-events 2',
      'millrace_cache_refills_total product,unchanged 1',
      'millrace_predictions_total ranker,fallback,model_unavailable 1',
      'millrace_predicted_items_total ranker 3',
      'millrace_cache_staleness_bucket_total product,1 1',
      'millrace_cache_staleness_ms_total product 700',
    ]),
  );
  expect(sent[0]?.exemplars).toEqual([
    {
      ...{ name: 'millrace_http_request_duration_bucket_total', ...exported, value: 0.01, atMs: 7_000 },
      labels: { method: 'GET', route: '/v1/products', le: '0.01' },
    },
  ]);
  expect(counted[1]).toEqual([
    'millrace_queue_delay_bucket_total millrace-events,0.005 1',
    'millrace_queue_delay_bucket_total millrace-events,1 1',
    'millrace_queue_delay_ms_total millrace-events 403',
  ]);
});
