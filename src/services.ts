import type { EventsMessage } from '../queues/events/message.ts';
import { InvalidatedChanges, loadAsOf } from './cache/as-of.ts';
import { ClockFollower, type FollowerContext } from './cache/clock/follower.ts';
import type { ClockParent } from './cache/clock/mirror.ts';
import { slotsOf } from './cache/clock/slots.ts';
import type { Token } from './cache/clock/token.ts';
import { clockAt } from './cache/clock/wire.ts';
import { keepForS } from './cache/freshness.ts';
import {
  type CachedAnswer,
  type ReadRequest,
  type ReadThroughPorts,
  readThrough,
} from './cache/read-through.ts';
import { ColoTier } from './cache/tiers/colo.ts';
import { KvTier } from './cache/tiers/kv.ts';
import { MemoryTier } from './cache/tiers/memory.ts';
import type { Tier } from './cache/tiers/tier.ts';
import { refillRead } from './cache/warming/refill.ts';
import { Warmer, type WavePorts } from './cache/warming/warmer.ts';
import { cachePolicy } from './catalog/define/cache-policy.ts';
import type { Loaded, ViewDefinition } from './catalog/define/view.ts';
import { catalog } from './catalog/index.ts';
import { retention } from './catalog/retention.ts';
import { type Config, readConfig } from './config.ts';
import type { Env } from './env.ts';
import type { ReplayPorts } from './features/replay.ts';
import type { ShardPort } from './features/store.ts';
import { LoadedModels } from './inference/loaded-models.ts';
import { loadGraph } from './inference/onnx-runtime.ts';
import type { RegistryPorts } from './inference/registry.ts';
import { Observation, type ObservationContext } from './operations/observation.ts';
import { type LineageFacts, LineageRecorder } from './pipeline/lineage/recorder.ts';
import { endedIngestRuns } from './pipeline/lineage/runs.ts';
import type { StoreOutcome } from './pipeline/store.ts';
import { sleep, systemNow, systemTime } from './platform/clock.ts';
import { sha256Hex } from './platform/digest.ts';
import { Failure } from './platform/failure.ts';
import { newId } from './platform/ids.ts';
import { log } from './platform/logger.ts';
import { systemRandom } from './platform/random.ts';
import { type Region, type RequestPlace, regionOf } from './platform/regions.ts';
import { replayPorts } from './services/replaying.ts';
import { type Storing, settleScores, storeAndTell } from './services/storing.ts';
import { r2Artifacts } from './storage/artifacts.ts';
import {
  cacheStats,
  featureShard,
  fillGate,
  outboxRelay,
  regionalClock,
  rootClock,
} from './storage/objects.ts';
import { connect, guarded } from './storage/postgres/connect.ts';
import { recordLineage } from './storage/postgres/lineage-runs.ts';
import { type SweepOutcome, sweepLineage } from './storage/postgres/lineage-sweep.ts';
import { reflect } from './storage/postgres/reflecting.ts';
import { pruneOld } from './storage/postgres/retention.ts';

/** The isolate's share of memory for answers; 128 MB hold the runtime, the models and everything else, too. */
const MEMORY_TIER_BYTES = 24 * 1024 * 1024;
/** How long the shared tiers keep what may still be served or stand in, in seconds. */
const KEEP_S = Math.max(
  ...catalog.views.map(({ policy }) => keepForS(policy)),
  keepForS(cachePolicy({ ttlS: 3_600 })),
);

const follower = new ClockFollower(systemTime);

/** What an isolate keeps between requests: values only, nothing that belongs to a request. */
const isolate = {
  follower,
  warmer: new Warmer(() => follower.mirror.clock, systemNow),
  memory: new MemoryTier(MEMORY_TIER_BYTES),
  models: new LoadedModels(),
  refreshing: new Map<string, number>(),
  invalidated: new InvalidatedChanges(),
  lineage: new LineageRecorder(),
};

/** Entries may have died: what is expected to be asked for is filled behind the next answers. */
const onMoved = () => isolate.warmer.moved();
const viewNamed = new Map(catalog.views.map((view) => [view.name, view]));

export interface Services {
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
  /** Reads a view's answer from the database, and as of which moment of the clock it is. */
  readonly load: (
    view: ViewDefinition,
    input: unknown,
    variant: Readonly<Record<string, string>>,
  ) => Promise<Loaded>;
  /** Fills ahead what is expected to be asked for next, behind whatever is under way. */
  readonly warm: () => void;
  /** What this isolate knows to be invalidated before the outbox does. */
  readonly invalidated: InvalidatedChanges;
  /** Returns the token once the root clock has the invalidation on disk. */
  readonly invalidate: (tags: readonly string[]) => Promise<Token>;
  /** Stores events; what the outbox then holds is still to be relayed. */
  readonly store: (messages: readonly EventsMessage[]) => Promise<StoreOutcome>;
  /** Scores, behind whatever is under way, what was stored and never scored. */
  readonly settleScores: () => void;
  /** Tells what was done, for its lineage. Nobody waits for it, and it never fails. */
  readonly tellLineage: (facts: LineageFacts) => void;
  readonly newId: () => string;
  /** Ends the runs of lineage that are over, and prunes the old ones. */
  readonly sweepLineage: () => Promise<SweepOutcome>;
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

/** What is made once for an isolate's bindings: none of it holds anything that belongs to a request. */
interface Settings {
  readonly config: Config;
  readonly db: ReturnType<typeof connect>;
  readonly registry: RegistryPorts;
  readonly tiers: readonly Tier[];
  readonly observation: Observation;
}

const settings = new WeakMap<Env, Settings>();

function settingsOf(env: Env): Settings {
  const known = settings.get(env);
  if (known !== undefined) return known;
  const config = readConfig(env);
  const made: Settings = {
    config,
    db: connect(config.database),
    registry: { store: r2Artifacts(env.MODELS), loadGraph },
    observation: new Observation(newId, () => isolate.memory.bytes, {
      share: config.probeShare,
      now: systemNow,
      random: systemRandom,
      sleep,
      digest: sha256Hex,
    }),
    tiers: [isolate.memory, new ColoTier(caches.default, KEEP_S), new KvTier(env.CACHE, KEEP_S)],
  };
  settings.set(env, made);
  return made;
}

/** The clock of the region, or the root itself while that is out of reach. */
function clockAbove(env: Env, regionOfRequest: () => Region): ClockParent {
  return {
    sync: async (request) => {
      const region = regionOfRequest();
      try {
        return await clockAt(regionalClock(env, region)).sync(request);
      } catch (error) {
        log(
          'warn',
          'A regional clock does not answer; asking the root.',
          { 'event.action': 'clock-sync', region },
          error,
        );
        return await clockAt(rootClock(env)).sync(request);
      }
    },
  };
}

async function invalidateAtRoot(env: Env, tags: readonly string[]): Promise<Token> {
  try {
    return await rootClock(env).invalidate(slotsOf(tags));
  } catch (error) {
    throw new Failure('clock_unavailable', 'The tag clock does not answer.', {
      retryAfterS: 1,
      cause: error,
    });
  }
}

/** Ties the rules to this request's bindings: the one place where effects are chosen. */
export function createServices(
  env: Env,
  keepAlive: (promise: Promise<unknown>) => void,
  /** Asked for only where it matters: reading it costs more than a hit. */
  placeOf: () => RequestPlace = () => ({}),
  /** How long what was done gathers before its lineage is written, in milliseconds. */
  lineagePauseMs = 0,
): Services {
  const { config, db, registry, tiers, observation } = settingsOf(env);
  const invalidate = (tags: readonly string[]) => invalidateAtRoot(env, tags);
  const context: FollowerContext = {
    parent: clockAbove(env, () => regionOf(placeOf())),
    keepAlive,
    onMoved,
  };
  const readPorts = (): ReadThroughPorts => ({
    follower: isolate.follower,
    context,
    tiers,
    time: systemTime,
    gateOf: (key) => fillGate(env, key),
    digest: sha256Hex,
    random: systemRandom,
    refreshing: isolate.refreshing,
    filled: observation.filled,
  });
  const load: Services['load'] = (view, input, variant) => {
    const { epoch } = isolate.follower.mirror.clock;
    const reflection = reflect(db.$client, epoch);
    const { withTimeout } = systemTime;
    const ports = { epoch, reflection, invalidated: isolate.invalidated, invalidate, withTimeout };
    return guarded(() => loadAsOf((reflecting) => view.load(reflecting, input, variant), ports));
  };
  const tellLineage = (facts: LineageFacts) =>
    isolate.lineage.tell(facts, {
      now: systemNow,
      keepAlive,
      pause: () => sleep(lineagePauseMs),
      write: (runs, predictions) => recordLineage(db, runs, predictions),
      lost: observation.lineageLost,
    });
  const storing: Storing = { env, db, keepAlive };
  const wave: WavePorts = {
    read: async (recipe) => {
      const view = viewNamed.get(recipe.view);
      if (view === undefined) throw new Error(`The catalog has no view "${recipe.view}".`);
      return await readThrough(refillRead(view, recipe, load), readPorts());
    },
    keepAlive,
  };
  const freshClock = async () => {
    const { follower } = isolate;
    await follower.ensure({ maxAgeMs: 0, atLeast: undefined }, follower.begin(), context);
    return follower.mirror.clock;
  };
  const observed: ObservationContext = {
    // Its stub is made where a probe asks: these services are made for every request.
    root: { sync: (request) => clockAt(rootClock(env)).sync(request) },
    invalidate,
    send: (batch) => cacheStats(env).flush(batch),
    keepAlive,
  };
  return {
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
    read: (request) => {
      const answered = (answer: CachedAnswer): CachedAnswer => {
        observation.answered(request, answer, observed);
        if (config.isWarming && request.policy.warm && request.input !== undefined) {
          isolate.warmer.answered(request, answer);
          if (isolate.warmer.isDue) isolate.warmer.refill(wave);
        }
        return answer;
      };
      const answer = readThrough(request, readPorts());
      return answer instanceof Promise ? answer.then(answered) : answered(answer);
    },
    load,
    warm: () => {
      isolate.warmer.moved();
      if (config.isWarming) isolate.warmer.refill(wave);
    },
    invalidated: isolate.invalidated,
    invalidate,
    store: (messages) => storeAndTell(storing, messages, tellLineage),
    settleScores: () => settleScores(storing),
    tellLineage,
    newId,
    sweepLineage: async () => {
      const now = systemNow();
      return await sweepLineage(db, await endedIngestRuns(now), new Date(now).toISOString());
    },
    replaying: () => replayPorts({ env, db, invalidate }),
    pruneOld: async () => {
      const rows = await pruneOld(db, retention, new Date(systemNow()).toISOString());
      if (Object.keys(rows).length > 0)
        log('info', 'Old data were pruned.', { 'event.action': 'retention', ...rows });
    },
    newestToken: async () => {
      const { epoch, seq } = await freshClock();
      return { epoch, seq };
    },
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
