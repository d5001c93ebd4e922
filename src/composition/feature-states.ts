import { allShards } from '../features/rebuild.ts';
import { backfillProgress, versionStates } from '../features/version-states.ts';
import type { GatewayPorts } from '../gateway/app.ts';
import { calling } from '../platform/failure.ts';
import { guarded } from '../storage/postgres/connect.ts';
import { BACKFILL, readVersions } from '../storage/postgres/feature-versions.ts';
import { readReplay } from '../storage/postgres/replays.ts';
import type { BoundIsolate } from './isolate.ts';
import { featureShard, outboxRelay } from './objects.ts';

/** How an operator sees and starts the building of features. */
export function featureStatePorts({ env, db, isolate }: BoundIsolate): GatewayPorts['featureStates'] {
  return {
    read: async () => {
      const { features } = isolate.catalog;
      const [[versions, replay], status, old] = await Promise.all([
        guarded(() => Promise.all([readVersions(db), readReplay(db, BACKFILL)])),
        // Without the relay and the shards the states are known all the same.
        outboxRelay(env)
          .status()
          .catch(() => undefined),
        Promise.all(
          allShards(features).map(async ({ shard, entity }) => ({
            entity,
            versions: await featureShard(env, shard).oldVersions(entity),
          })),
        ).catch(() => undefined),
      ]);
      return {
        versions: versionStates(features, versions, old),
        backfill: backfillProgress(replay),
        failure: status?.backfillFailure ?? undefined,
      };
    },
    backfill: () =>
      calling(() => outboxRelay(env).startBackfill(), 'relay_unavailable', 'The relay does not answer.', 5),
  };
}
