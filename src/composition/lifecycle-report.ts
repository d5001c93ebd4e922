import { askEveryShard } from '../features/layout.ts';
import type { LifecycleRoutePorts } from '../gateway/routes/admin-lifecycle.ts';
import { lifecycleReport } from '../operations/lifecycle/report.ts';
import { STORES } from '../operations/lifecycle/stores.ts';
import { systemNow, systemTime } from '../platform/clock.ts';
import { log } from '../platform/logger.ts';
import { readCleaned } from '../storage/postgres/retention.ts';
import { readWalk } from '../storage/postgres/storage-walk.ts';
import { readOldest, readOwnSizes, readSizes } from '../storage/postgres/table-sizes.ts';
import { IDEMPOTENCY_OBJECTS } from './idempotency.ts';
import type { BoundIsolate } from './isolate.ts';
import { RATE_LIMITERS } from './limits.ts';
import * as objects from './objects.ts';
import { QUEUED_SHARDS } from './queueing.ts';

/** How long one part may take, in milliseconds. All are asked at once. */
const PART_MS = 1_500;

/** The ports of the route that shows every store. */
export function lifecyclePorts(bound: BoundIsolate): LifecycleRoutePorts {
  const { db, isolate } = bound;
  const { catalog } = isolate;
  const tables = [...new Set([...catalog.entities, ...catalog.histories].map(({ table }) => table))];
  const aged = STORES.flatMap(({ name, oldest }) => (oldest === null ? [] : [{ name, oldest }]));
  return {
    now: systemNow,
    report: async () => {
      const [sizes, oldest, ofCatalog, cleaned, walked, onDisk] = await Promise.all([
        part('sizes', () => readOwnSizes(db)),
        part('oldest', () => readOldest(db, aged)),
        part('catalog', () => readSizes(db, tables)),
        part('cleaned', () => readCleaned(db)),
        part('walk', async () => (await readWalk(db)) ?? null),
        classesOnDisk(bound),
      ]);
      const stores = lifecycleReport(catalog.retention, {
        ...{ sizes, oldest, catalog: ofCatalog, cleaned, objects: onDisk, counted: walked?.counted },
      });
      if (walked == null) return { stores, walk: null };
      const { beganAt, endedAt, isUnderWay } = walked;
      return { stores, walk: { beganAt, endedAt, isUnderWay } };
    },
  };
}

/** What objects of each class have on disk. An object that was never used is made by the question, with empty tables. */
async function classesOnDisk({ env, isolate: { catalog } }: BoundIsolate) {
  const range = (count: number) => Array.from({ length: count }, (_, index) => index);
  const { models, features } = catalog;
  const entities = [...new Set(features.map(({ entity }) => entity.name))];
  const bytesOf = objects.databaseBytes;
  const shards = entities.map((entity) => async () => {
    const each = await askEveryShard(entity, async (shard) => {
      const stub = objects.featureShard(env, shard);
      // Also tells where the keys of a shard have gone.
      await stub.foldedEvents();
      return await bytesOf(stub);
    });
    return { objects: each.length, bytes: each.reduce((sum, bytes) => sum + bytes, 0) };
  });
  const single = (stub: () => object) => async () => ({ objects: 1, bytes: await bytesOf(stub()) });
  const asked: Readonly<Record<string, readonly (() => Promise<{ objects: number; bytes: number }>)[]>> = {
    TagClock: [single(() => objects.rootClock(env))],
    FeatureShard: shards,
    OutboxRelay: [single(() => objects.outboxRelay(env))],
    CacheStats: [single(() => objects.cacheStats(env))],
    QualityWindow: [single(() => objects.qualityWindow(env))],
    ChangeFeed: [single(() => objects.changeFeed(env))],
    QueuedEvents: range(QUEUED_SHARDS).map((shard) => single(() => objects.queuedEvents(env, shard))),
    RateLimiter: range(RATE_LIMITERS).map((shard) => single(() => objects.rateLimiter(env, shard))),
    Idempotency: range(IDEMPOTENCY_OBJECTS).map((shard) => single(() => objects.idempotency(env, shard))),
    Datasets: [single(() => objects.datasets(env))],
    TrainingRuns: [single(() => objects.trainingRuns(env))],
    Rollouts: models
      .filter(({ rollout }) => rollout !== undefined)
      .map(({ name }) => single(() => objects.rollouts(env, name))),
    Feedback: [single(() => objects.feedback(env))],
    DriftWatches: models.map(({ name }) => single(() => objects.driftWatches(env, name))),
    Alerts: [single(() => objects.alerts(env))],
  };
  const told = Object.entries(asked).map(async ([name, each]) => {
    const answers = await Promise.all(each.map((ask) => part(name, ask)));
    const known = answers.filter((answer) => answer !== undefined);
    const bytes = known.reduce((sum, answer) => sum + answer.bytes, 0);
    const count = known.reduce((sum, answer) => sum + answer.objects, 0);
    return [name, { objects: count, bytes: known.length === each.length ? bytes : null }] as const;
  });
  return Object.fromEntries(await Promise.all(told));
}

/** A part of the report; undefined if it fails or takes too long. */
async function part<T>(name: string, ask: () => Promise<T>): Promise<T | undefined> {
  try {
    const late = () => new Error(`No answer within ${PART_MS} ms.`);
    return await systemTime.withTimeout(ask(), PART_MS, late);
  } catch (error) {
    const fields = { 'event.action': 'lifecycle', 'event.reason': name };
    log('warn', 'A part of the report on what is kept did not answer.', fields, error);
    return undefined;
  }
}
