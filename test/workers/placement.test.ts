import { createExecutionContext } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { describe, expect, it, vi } from 'vitest';
import { RegionHedge } from '../../src/cache/clock/region-hedge.ts';
import { poolOf } from '../../src/cache/gate-pool.ts';
import { syncFrom } from '../../src/composition/clock.ts';
import { databaseRegion } from '../../src/composition/config.ts';
import type { Env } from '../../src/composition/env.ts';
import * as objects from '../../src/composition/objects.ts';
import { PLACEMENT, type PlacedClass } from '../../src/composition/placement.ts';
import { createWorker } from '../../src/composition/worker.ts';
import { systemTime } from '../../src/platform/clock.ts';
import { catalog } from '../support/catalog/index.ts';

const NEON = 'postgres://u:p@ep-cool-darkness-a1b2c3d4-pooler.eu-central-1.aws.neon.tech/db';
const ELSEWHERE = 'postgres://u:p@db.example.com/db';
const SYDNEY = { continent: 'OC', country: 'AU', longitude: '151.2' };

interface Asked {
  readonly name: string;
  readonly locationHint: string | undefined;
}

/** Bindings that record what a namespace is asked for: the local platform takes a hint and does nothing with it. */
function recording(vars: Pick<Env, 'DATABASE_URL' | 'DATABASE_REGION'>) {
  const asked: Asked[] = [];
  const namespace = {
    getByName(name: string, { locationHint }: { locationHint?: string } = {}) {
      asked.push({ name, locationHint });
      return {};
    },
  };
  const names = [
    'TAG_CLOCK',
    'FEATURE_SHARD',
    'OUTBOX_RELAY',
    'FILL_GATE',
    'CACHE_STATS',
    'QUALITY_WINDOW',
    'CHANGE_FEED',
    'QUEUED_EVENTS',
    'KAFKA_SOURCE',
    'RATE_LIMITER',
    'IDEMPOTENCY',
    'DATASETS',
    'TRAINING_RUNS',
    'ROLLOUTS',
    'FEEDBACK',
    'DRIFT_WATCHES',
    'ALERTS',
  ];
  const bindings = Object.fromEntries(names.map((name) => [name, namespace]));
  // Only these bindings are asked.
  return { env: { ...bindings, ...vars } as unknown as Env, asked };
}

const USE: Readonly<Record<PlacedClass, (env: Env) => unknown>> = {
  'root-clock': (env) => objects.rootClock(env),
  'regional-clock': (env) => objects.regionalClock(env, 'sam'),
  'feature-shard': (env) => objects.featureShard(env, 'customer/3'),
  'outbox-relay': (env) => objects.outboxRelay(env),
  'fill-gate': (env) => objects.fillGate(env, 'product:1', SYDNEY),
  'cache-stats': (env) => objects.cacheStats(env),
  'quality-window': (env) => objects.qualityWindow(env),
  'change-feed': (env) => objects.changeFeed(env),
  'queued-events': (env) => objects.queuedEvents(env, 2),
  'kafka-source': (env) => objects.kafkaSource(env, 'purchases', 0),
  'rate-limiter': (env) => objects.rateLimiter(env, 5),
  idempotency: (env) => objects.idempotency(env, 5),
  datasets: (env) => objects.datasets(env),
  'training-runs': (env) => objects.trainingRuns(env),
  rollouts: (env) => objects.rollouts(env, 'ranker'),
  feedback: (env) => objects.feedback(env),
  'drift-watches': (env) => objects.driftWatches(env, 'ranker'),
  alerts: (env) => objects.alerts(env),
};

describe('every class of objects', () => {
  const hints = { database: 'weur', 'own-region': 'sam', reader: 'oc' };
  it.each(Object.entries(USE))('%s is used with the hint of its rule', (name, use) => {
    const { env, asked } = recording({ DATABASE_URL: NEON });
    use(env);
    expect(asked.map(({ locationHint }) => locationHint)).toEqual([hints[PLACEMENT[name as PlacedClass]]]);
  });

  it.each(Object.entries(USE))('%s without a known region of the database', (name, use) => {
    const { env, asked } = recording({ DATABASE_URL: ELSEWHERE });
    use(env);
    const expected = { ...hints, database: undefined }[PLACEMENT[name as PlacedClass]];
    expect(asked.map(({ locationHint }) => locationHint)).toEqual([expected]);
  });
});

describe('fill gates', () => {
  it('are those of the region of the request', () => {
    const { env, asked } = recording({ DATABASE_URL: NEON });
    objects.fillGate(env, 'product:1', SYDNEY);
    objects.fillGate(env, 'product:1', { continent: 'NA', longitude: '-122.3' });
    expect(asked.map(({ name }) => name)).toEqual([
      `oc/${poolOf('product:1')}`,
      `wnam/${poolOf('product:1')}`,
    ]);
  });

  it('are beside the database for a request without a location', () => {
    const { env, asked } = recording({ DATABASE_URL: NEON });
    objects.fillGate(env, 'product:1', {});
    expect(asked).toEqual([{ name: `weur/${poolOf('product:1')}`, locationHint: 'weur' }]);
  });
});

it('a reader without a location syncs with the clock beside the database', async () => {
  const { env: bindings, asked } = recording({ DATABASE_URL: NEON });
  const request = { epoch: '', sinceSeq: 0, maxAgeMs: 0, atLeast: undefined };
  // The recorded stub answers nothing; the name is what counts.
  await syncFrom(bindings, new RegionHedge(systemTime), {}, request).catch(() => undefined);
  expect(asked[0]).toEqual({ name: 'weur', locationHint: 'weur' });
});

describe('the region of the database', () => {
  it('is DATABASE_REGION, also where the host name says another', () => {
    expect(databaseRegion({ DATABASE_URL: NEON, DATABASE_REGION: 'me' })).toBe('me');
  });

  it('refuses a region that is no location hint', () => {
    expect(() => databaseRegion({ DATABASE_URL: NEON, DATABASE_REGION: 'us-east-1' })).toThrow(
      /DATABASE_REGION: expected the location hint nearest to the database: one of wnam, enam, sam,/,
    );
  });
});

describe('on workers.dev', () => {
  const first = 'https://millrace.example.workers.dev/health/live';
  it.each([
    [first, 1],
    ['https://api.example.com/health/live', 0],
    ['https://workers.dev.example.com/health/live', 0],
  ])('an isolate asked at %s warns %i times', async (url, times) => {
    const warn = vi.spyOn(console, 'warn').mockImplementation(() => undefined);
    const worker = createWorker(catalog);
    for (let request = 0; request < 3; request += 1)
      expect((await worker.fetch(new Request(url), env, createExecutionContext())).status).toBe(200);
    const notices = warn.mock.calls.filter(([line]) => String(line).includes('keeps nothing on workers.dev'));
    expect(notices).toHaveLength(times);
    warn.mockRestore();
  });
});
