import { askEveryShard, SHARDS_PER_ENTITY } from '../features/layout.ts';
import { assertWhole, layoutsOf, shardStates } from '../features/move-shards.ts';
import { backfillProgress, versionStates } from '../features/version-states.ts';
import type { GatewayPorts } from '../gateway/app.ts';
import { systemNow } from '../platform/clock.ts';
import { calling, Failure } from '../platform/failure.ts';
import { newId } from '../platform/ids.ts';
import { guarded } from '../storage/postgres/connect.ts';
import { cancelMove, readMoves, startMove } from '../storage/postgres/feature-layouts.ts';
import { BACKFILL, readVersions } from '../storage/postgres/feature-versions.ts';
import { readReplay } from '../storage/postgres/replays.ts';
import { readPruned } from '../storage/postgres/retention.ts';
import { askShards } from './admin.ts';
import type { BoundIsolate } from './isolate.ts';
import { featureShard, outboxRelay } from './objects.ts';

/** How an operator sees and starts the building of features, and gives entities more shards. */
export function featureStatePorts(bound: BoundIsolate): GatewayPorts['featureStates'] {
  const { env, db, isolate } = bound;
  return {
    read: async () => {
      const { features } = isolate.catalog;
      const entities = [...new Set(features.map(({ entity }) => entity.name))];
      const [[versions, replay, moves], status, old] = await Promise.all([
        guarded(() => Promise.all([readVersions(db), readReplay(db, BACKFILL), readMoves(db)])),
        // Without the relay and the shards the states are known all the same.
        outboxRelay(env)
          .status()
          .catch(() => undefined),
        Promise.all(
          entities.map(async (entity) => {
            const kept = await askEveryShard(entity, (shard) => featureShard(env, shard).oldVersions(entity));
            return kept.map((ofShard) => ({ entity, versions: ofShard }));
          }),
        ).catch(() => undefined),
      ]);
      return {
        versions: versionStates(features, versions, old?.flat()),
        shards: shardStates(entities, moves),
        backfill: backfillProgress(replay),
        failure: status?.backfillFailure ?? undefined,
      };
    },
    backfill: () =>
      calling(() => outboxRelay(env).startBackfill(), 'relay_unavailable', 'The relay does not answer.', 5),
    moveShards: (entity, to) => moveShards(bound, entity, to),
  };
}

/**
 * Begins to give an entity more shards, or cancels that if it names as many as there are.
 *
 * @throws Failure `unprocessable`, `history_pruned`
 */
async function moveShards({ env, db, isolate }: BoundIsolate, entity: string, to: number): Promise<void> {
  const moves = await guarded(() => readMoves(db));
  const move = moves.find((one) => one.entity === entity && one.replay.state !== 'done');
  const from = layoutsOf(moves).get(entity) ?? SHARDS_PER_ENTITY;
  if (move?.to === to) return;
  const pointer = 'shards';
  if (to < from)
    throw new Failure('unprocessable', `"${entity}" has ${from} shards, and cannot have fewer.`, { pointer });
  if (to > from && move !== undefined)
    throw new Failure(
      'unprocessable',
      `"${entity}" is getting ${move.to} shards. Wait for that, or name ${from} to cancel it.`,
      { pointer },
    );
  if (to === from) {
    if (move !== undefined && !(await guarded(() => cancelMove(db, move))))
      throw new Failure('unprocessable', `"${entity}" has begun to use the new shards. Wait for the end.`, {
        pointer,
      });
    await askShards(() => askEveryShard(entity, (shard) => featureShard(env, shard).cancelMove(entity)));
    return;
  }
  const features = isolate.catalog.features.filter((definition) => definition.entity.name === entity);
  await assertWhole(features, { pruned: () => guarded(() => readPruned(db)), now: systemNow });
  await guarded(() => startMove(db, newId(), { entity, from, to }));
}
