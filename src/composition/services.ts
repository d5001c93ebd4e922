import type { EventsMessage } from '../../queues/events/message.ts';
import type { InvalidatedChanges } from '../cache/as-of.ts';
import type { Token } from '../cache/clock/token.ts';
import type { CachedAnswer, ReadRequest } from '../cache/read-through.ts';
import type { Catalog } from '../define/catalog.ts';
import type { ClockMoment } from '../define/view.ts';
import type { ReplayPorts } from '../features/replay.ts';
import type { ShardPort } from '../features/store.ts';
import type { LoadedModels } from '../inference/loaded-models.ts';
import type { RegistryPorts } from '../inference/registry.ts';
import type { FeedChange } from '../pipeline/feed/change.ts';
import type { LineageFacts } from '../pipeline/lineage/recorder.ts';
import { endedIngestRuns } from '../pipeline/lineage/runs.ts';
import { publishChanges } from '../pipeline/publish.ts';
import type { StoreOutcome } from '../pipeline/store.ts';
import { sleep, systemNow } from '../platform/clock.ts';
import { Failure } from '../platform/failure.ts';
import { newId } from '../platform/ids.ts';
import { log } from '../platform/logger.ts';
import type { connect } from '../storage/postgres/connect.ts';
import { recordLineage } from '../storage/postgres/lineage-runs.ts';
import { type SweepOutcome, sweepLineage } from '../storage/postgres/lineage-sweep.ts';
import type { PendingChange } from '../storage/postgres/outbox.ts';
import { pruneOld } from '../storage/postgres/retention.ts';
import type { Config } from './config.ts';
import type { Env } from './env.ts';
import type { Isolate } from './isolate.ts';
import { queueForSink, startKafkaSources } from './kafka.ts';
import { changeFeed, featureShard, outboxRelay } from './objects.ts';
import type { RequestScope } from './reads.ts';
import { replayPorts } from './replaying.ts';
import { type Storing, settleScores, storeAndTell } from './storing.ts';

export interface Services {
  readonly catalog: Catalog;
  readonly config: Config;
  readonly env: Env;
  readonly db: ReturnType<typeof connect>;
  readonly now: () => number;
  readonly registry: RegistryPorts;
  readonly models: LoadedModels;
  readonly shards: ShardPort;
  /** Lets work outlive its request. */
  readonly keepAlive: (promise: Promise<unknown>) => void;
  /** The answer at once where it is at hand: a promise costs a warm hit more than the look-up. */
  readonly read: (request: ReadRequest) => CachedAnswer | Promise<CachedAnswer>;
  /** Fills ahead what is expected to be asked for next, behind whatever is under way. */
  readonly warm: () => void;
  /** What this isolate knows to be invalidated before the outbox does. */
  readonly invalidated: InvalidatedChanges;
  /** Returns the token once the root clock has the invalidation on disk. */
  readonly invalidate: (tags: readonly string[]) => Promise<Token>;
  /** Stores events; what the outbox then holds is still to be relayed. */
  readonly store: (messages: readonly EventsMessage[]) => Promise<StoreOutcome>;
  /** The same where nobody waits: what takes too long at once is tried in smaller transactions. */
  readonly storePatiently: (messages: readonly EventsMessage[]) => Promise<StoreOutcome>;
  /** Scores, behind whatever is under way, what was stored and never scored. */
  readonly settleScores: () => void;
  /** Tells what was done, for its lineage. Nobody waits for it, and it never fails. */
  readonly tellLineage: (facts: LineageFacts) => void;
  readonly newId: () => string;
  /** Ends the runs of lineage that are over, and prunes the old ones. */
  readonly sweepLineage: () => Promise<SweepOutcome>;
  /** Hands invalidated changes to the `changes` queue, as the relay does. */
  readonly publish: (changes: readonly PendingChange[], at: ClockMoment) => Promise<void>;
  /** Hands changes to the queue of those that are written to Kafka, where a topic is configured. */
  readonly sinkChanges: (changes: readonly FeedChange[]) => Promise<void>;
  /** Sees to it that each Kafka partition is read. */
  readonly startKafka: () => Promise<unknown>;
  /** Returns once the feed has the changes on disk. */
  readonly tellFeed: (changes: readonly FeedChange[]) => Promise<void>;
  /** What a replay of history works on. */
  readonly replaying: () => ReplayPorts;
  /** Deletes what is older than the catalog's retention, a bounded number of rows. */
  readonly pruneOld: () => Promise<void>;
  /** The newest moment of the root clock: everything that was invalidated before the call is below it. */
  readonly newestToken: () => Promise<Token>;
  readonly relay: () => ReturnType<typeof outboxRelay>;
  /** Makes sure that the outbox is looked after soon. To be called before a commit. */
  readonly armRelay: () => Promise<void>;
}

/** Ties the rules to this request's bindings: the one place where effects are chosen. */
export function createServices(
  isolate: Isolate,
  env: Env,
  scope: RequestScope,
  /** How long what was done gathers before its lineage is written, in milliseconds. */
  lineagePauseMs = 0,
): Services {
  const { config, db, registry, observation, reads } = isolate.settingsOf(env);
  const { catalog } = isolate;
  const entities = new Set(catalog.entities.map(({ name }) => name));
  const keepAlive = (promise: Promise<unknown>) => scope.keepAlive(promise);
  const tellLineage = (facts: LineageFacts) =>
    isolate.lineage.tell(facts, {
      now: systemNow,
      keepAlive,
      pause: () => sleep(lineagePauseMs),
      write: (runs, predictions) => recordLineage(db, runs, predictions),
      lost: observation.lineageLost,
    });
  const storing: Storing = { env, db, catalog, keepAlive };
  return {
    catalog,
    config,
    env,
    db,
    now: systemNow,
    registry,
    models: isolate.models,
    shards: {
      fold: (shard, entity, events) => featureShard(env, shard).fold(shard, entity, [...events]),
      read: (shard, entity, keys, now) => featureShard(env, shard).read(entity, [...keys], now),
      foldedEvents: (shard) => featureShard(env, shard).foldedEvents(),
    },
    keepAlive,
    read: (request) => reads.read(request, scope),
    warm: () => reads.warm(scope),
    invalidated: isolate.invalidated,
    invalidate: (tags) => reads.invalidate(tags),
    store: (messages) => storeAndTell(storing, messages, tellLineage, false),
    storePatiently: (messages) => storeAndTell(storing, messages, tellLineage, true),
    settleScores: () => settleScores(storing),
    tellLineage,
    newId,
    sweepLineage: async () => {
      const now = systemNow();
      return await sweepLineage(db, await endedIngestRuns(now), new Date(now).toISOString());
    },
    publish: (changes, at) => publishChanges(env.CHANGES, changes, at, entities),
    sinkChanges: (changes) => queueForSink(env, changes),
    startKafka: () => startKafkaSources(env),
    tellFeed: async (changes) => await changeFeed(env).append([...changes]),
    replaying: () => {
      const newestMoment = () => reads.newestToken(scope);
      const invalidate = (tags: readonly string[]) => reads.invalidate(tags);
      return replayPorts({ env, db, invalidate, newestMoment, catalog });
    },
    pruneOld: async () => {
      const rows = await pruneOld(db, catalog.retention, new Date(systemNow()).toISOString());
      if (Object.keys(rows).length > 0)
        log('info', 'Old data were pruned.', { 'event.action': 'retention', ...rows });
    },
    newestToken: () => reads.newestToken(scope),
    relay: () => outboxRelay(env),
    armRelay: async () => {
      try {
        await outboxRelay(env).arm();
      } catch (error) {
        throw new Failure('relay_unavailable', 'The relay does not answer. Nothing was written.', {
          retryAfterS: 1,
          cause: error,
        });
      }
    },
  };
}
