import type { Catalog } from '../define/catalog.ts';
import { type BackfillPorts, backfillStep } from '../features/backfill.ts';
import { layoutsOf, type MovePorts, type MovingShards, moveStep } from '../features/move-shards.ts';
import { systemNow } from '../platform/clock.ts';
import { newId } from '../platform/ids.ts';
import { connect, guarded } from '../storage/postgres/connect.ts';
import { readMoves, restartMove } from '../storage/postgres/feature-layouts.ts';
import {
  advanceBackfill,
  BACKFILL,
  beginBackfill,
  endBackfill,
  readVersions,
} from '../storage/postgres/feature-versions.ts';
import { advanceReplay, endReplay, openReplay, readReplay } from '../storage/postgres/replays.ts';
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

/**
 * The next step of building the catalog's features, or of filling more shards once no backfill is under way; its promise
 * says whether anything is left to do.
 */
export function backfillStepOf(
  env: BackfillEnv,
  catalog: Pick<Catalog, 'eventTypes' | 'features'>,
): (isForced: boolean) => Promise<boolean> {
  let ports: ReturnType<typeof stepPorts> | undefined;
  return async (isForced) => {
    if (catalog.features.length === 0) return false;
    // Created with the first step and not with the object: with a wrong configuration, the constructor would throw.
    ports ??= stepPorts(env, catalog);
    const known = await ports.known();
    const { versions, replay, moves } = known;
    const isFilling = replay !== undefined && replay.state !== 'done';
    const move = moves.find((one) => one.replay.state !== 'done');
    if (
      move === undefined ||
      (isFilling && versions.some(({ state, isRetired }) => state === 'filling' && !isRetired))
    ) {
      const layouts = layoutsOf(moves);
      const isMore = await backfillStep(
        { ...ports.backfill, known: async () => ({ ...known, layouts }) },
        isForced,
      );
      return isMore || move !== undefined;
    }
    await moveStep(move, ports.move);
    return true;
  };
}

function stepPorts(env: BackfillEnv, catalog: Pick<Catalog, 'eventTypes' | 'features'>) {
  const db = connect(databaseTarget(env));
  const shards: MovingShards = {
    open: (shard, entity, run) => featureShard(env, shard).openBackfill(entity, run),
    fill: (shard, entity, events) => featureShard(env, shard).fill(shard, entity, [...events]),
    announced: (shard, announcement, at) => featureShard(env, shard).announced(announcement, at),
    serve: (shard, entity, run, features) => featureShard(env, shard).serveFilled(entity, run, [...features]),
    openMove: (shard, entity, to) => featureShard(env, shard).openMove(entity, to),
    endMove: (shard, entity, to) => featureShard(env, shard).endMove(entity, to),
  };
  const common = {
    features: catalog.features,
    shards,
    invalidate: (tags: readonly string[]) => invalidateTags(env, tags),
    ...historyPorts(db, catalog),
    newId,
    now: systemNow,
  };
  const backfill: Omit<BackfillPorts, 'known'> = {
    ...common,
    begin: (run, versions, bounds) => guarded(() => beginBackfill(db, run, versions, bounds)),
    advance: (replay, page) => guarded(() => advanceBackfill(db, replay, page)),
    end: (replay) => guarded(() => endBackfill(db, replay)),
  };
  const move: MovePorts = {
    ...common,
    restart: (of, run) => guarded(() => restartMove(db, of, run)),
    open: (replay, bounds) => guarded(() => openReplay(db, replay, bounds)),
    advance: (replay, { isLast, ...page }) =>
      guarded(() => advanceReplay(db, replay, { ...page, state: isLast ? 'flipping' : 'open' })),
    end: ({ replay, from, to }) => guarded(() => endReplay(db, replay, { from, to })),
  };
  const known = async () => {
    const [versions, replay, moves] = await guarded(() =>
      Promise.all([readVersions(db), readReplay(db, BACKFILL), readMoves(db)]),
    );
    return { versions, replay, moves };
  };
  return { backfill, move, known };
}
