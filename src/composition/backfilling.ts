import type { Catalog } from '../define/catalog.ts';
import { type BackfillPorts, type BackfillShards, backfillStep } from '../features/backfill.ts';
import { systemNow } from '../platform/clock.ts';
import { newId } from '../platform/ids.ts';
import { connect, guarded } from '../storage/postgres/connect.ts';
import {
  advanceBackfill,
  BACKFILL,
  beginBackfill,
  endBackfill,
  readVersions,
} from '../storage/postgres/feature-versions.ts';
import { readReplay } from '../storage/postgres/replays.ts';
import { invalidateTags } from './clock.ts';
import { databaseTarget } from './config.ts';
import type { Env } from './env.ts';
import { featureShard } from './objects.ts';
import { historyPorts } from './replaying.ts';

/** The bindings that building features needs. */
export type BackfillEnv = Pick<
  Env,
  'DATABASE_URL' | 'DATABASE_ENDPOINT' | 'DATABASE_REGION' | 'TAG_CLOCK' | 'FEATURE_SHARD'
>;

/** The next step of building the catalog's features; its promise says whether anything is left to do. */
export function backfillStepOf(
  env: BackfillEnv,
  catalog: Pick<Catalog, 'eventTypes' | 'features'>,
): (isForced: boolean) => Promise<boolean> {
  let ports: BackfillPorts | undefined;
  return async (isForced) => {
    if (catalog.features.length === 0) return false;
    // Created with the first step and not with the object: with a wrong configuration, the constructor would throw.
    ports ??= backfillPorts(env, catalog);
    return await backfillStep(ports, isForced);
  };
}

function backfillPorts(env: BackfillEnv, catalog: Pick<Catalog, 'eventTypes' | 'features'>): BackfillPorts {
  const db = connect(databaseTarget(env));
  const shards: BackfillShards = {
    open: (shard, entity, run) => featureShard(env, shard).openBackfill(entity, run),
    fill: (shard, entity, events) => featureShard(env, shard).fill(shard, entity, [...events]),
    announced: (shard, announcement, at) => featureShard(env, shard).announced(announcement, at),
    serve: (shard, entity, run, features) => featureShard(env, shard).serveFilled(entity, run, [...features]),
  };
  return {
    features: catalog.features,
    shards,
    invalidate: (tags) => invalidateTags(env, tags),
    known: async () => {
      const [versions, replay] = await guarded(() =>
        Promise.all([readVersions(db), readReplay(db, BACKFILL)]),
      );
      return { versions, replay };
    },
    ...historyPorts(db, catalog),
    begin: (run, versions, bounds) => guarded(() => beginBackfill(db, run, versions, bounds)),
    advance: (replay, page) => guarded(() => advanceBackfill(db, replay, page)),
    end: (replay) => guarded(() => endBackfill(db, replay)),
    newId,
    now: systemNow,
  };
}
