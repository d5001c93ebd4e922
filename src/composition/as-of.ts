import { type AsOfPorts, type EndedEpochs, type InvalidatedChanges, loadAsOf } from '../cache/as-of.ts';
import { formatToken } from '../cache/clock/clock.ts';
import type { ClockFollower } from '../cache/clock/follower.ts';
import { clockAt } from '../cache/clock/wire.ts';
import type { Database, Loaded } from '../define/view.ts';
import type { KnownMoves } from '../features/layout.ts';
import {
  laterMoment,
  type Moment,
  SeenFolds,
  type Watched,
  type WatchedShards,
} from '../features/seen-folds.ts';
import type { Observation } from '../operations/observation.ts';
import { systemTime } from '../platform/clock.ts';
import type { connect } from '../storage/postgres/connect.ts';
import { reflect } from '../storage/postgres/reflecting.ts';
import type { BackfillCaller } from './backfill-caller.ts';
import { clockUnavailable, invalidateTags } from './clock.ts';
import type { Env } from './env.ts';
import { featureShard, rootClock } from './objects.ts';
import type { RequestScope } from './request-scope.ts';

/** The parts of an isolate and its bindings that the moment of an answer depends on. */
interface AsOfSources {
  readonly isolate: {
    readonly follower: ClockFollower;
    readonly invalidated: InvalidatedChanges;
    readonly ended: EndedEpochs;
    readonly backfills: BackfillCaller;
    readonly moves: KnownMoves;
  };
  readonly env: Env;
  readonly db: ReturnType<typeof connect>;
}

/** What determines the moment of an answer that begins now (docs/coherence.md, "As of which moment an answer is"). */
export function asOfPorts({ isolate, env, db }: AsOfSources): AsOfPorts {
  const { follower, invalidated, ended } = isolate;
  const { epoch, seq } = follower.mirror.clock;
  return {
    epoch,
    reflection: reflect(db.$client, epoch),
    invalidated,
    ended,
    // A read that has waited for a silent clock once does not wait for it again.
    currentEpoch: async () => {
      if (follower.isSilent) throw clockUnavailable();
      const { epoch: current } = await clockAt(rootClock(env)).sync({
        ...{ epoch, sinceSeq: seq, maxAgeMs: 0, atLeast: undefined },
      });
      return current;
    },
    invalidate: async (tags: readonly string[]) => {
      if (follower.isSilent) throw clockUnavailable();
      return await invalidateTags(env, tags);
    },
    withTimeout: systemTime.withTimeout,
  };
}

/** Runs the queries of an answer, and determines the moment that covers them. */
export function loadAsOfIn(bound: AsOfSources, load: (db: Database) => Promise<Loaded>): Promise<Loaded> {
  return loadAsOf(load, asOfPorts(bound));
}

/** The shards for one answer that begins now. */
export function watchShards(
  bound: AsOfSources,
  keepAlive: (work: Promise<unknown>) => void = () => undefined,
  shards: WatchedShards = shardsOf(bound),
): Watched {
  return new SeenFolds({ ...asOfPorts(bound), shards, keepAlive });
}

/** As `watchShards`, for a request: a feature that is not ready asks for its backfill. */
export function watchShardsIn(
  bound: AsOfSources & { readonly observation: Pick<Observation, 'featuresRead'> },
  scope: RequestScope,
): Watched {
  const keepAlive = (work: Promise<unknown>) => scope.keepAlive(work);
  const shards = shardsOf(bound);
  const noticing: WatchedShards = {
    ...shards,
    read: async (...asked) => {
      const read = await shards.read(...asked);
      bound.isolate.backfills.notice(read.rows, bound.env, keepAlive);
      bound.observation.featuresRead(asked[1], read.rows);
      return read;
    },
    readVersions: async (...asked) => {
      const read = await shards.readVersions(...asked);
      bound.isolate.backfills.notice(read.rows, bound.env, keepAlive);
      return read;
    },
  };
  return watchShards(bound, keepAlive, noticing);
}

/** The token of an answer that was made just now and shows nothing that was invalidated after `asOf`. */
export function tokenAt({ isolate }: AsOfSources, asOf: Moment): string | undefined {
  const { epoch, seq } = isolate.follower.mirror.clock;
  const at = epoch === '' ? null : laterMoment({ epoch, seq }, asOf);
  return at === null || at === undefined ? undefined : formatToken(at);
}

function shardsOf({ env, isolate }: AsOfSources): WatchedShards {
  return {
    moves: isolate.moves,
    read: (shard, entity, keys, now) => featureShard(env, shard).readWithFolds(entity, [...keys], now),
    readVersions: (shard, entity, keys, names, now) =>
      featureShard(env, shard).readVersions(entity, [...keys], [...names], now),
    announced: (shard, announcement, at) => featureShard(env, shard).announced(announcement, at),
  };
}
