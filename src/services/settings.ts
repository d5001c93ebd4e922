import { InvalidatedChanges } from '../cache/as-of.ts';
import { ClockFollower } from '../cache/clock/follower.ts';
import { clockAt } from '../cache/clock/wire.ts';
import { keepForS } from '../cache/freshness.ts';
import { ColoTier } from '../cache/tiers/colo.ts';
import { KvTier } from '../cache/tiers/kv.ts';
import { MemoryTier } from '../cache/tiers/memory.ts';
import { Warmer } from '../cache/warming/warmer.ts';
import { cachePolicy } from '../catalog/define/cache-policy.ts';
import { catalog } from '../catalog/index.ts';
import { type Config, readConfig } from '../config.ts';
import type { Env } from '../env.ts';
import { LoadedModels } from '../inference/loaded-models.ts';
import { loadGraph } from '../inference/onnx-runtime.ts';
import type { RegistryPorts } from '../inference/registry.ts';
import { Observation } from '../operations/observation.ts';
import { LineageRecorder } from '../pipeline/lineage/recorder.ts';
import { sleep, systemNow, systemTime } from '../platform/clock.ts';
import { sha256Hex } from '../platform/digest.ts';
import { newId } from '../platform/ids.ts';
import { systemRandom } from '../platform/random.ts';
import { r2Artifacts } from '../storage/artifacts.ts';
import { cacheStats, rootClock } from '../storage/objects.ts';
import { connect } from '../storage/postgres/connect.ts';
import { CachedReads } from './reading.ts';

/** The isolate's share of memory for answers; 128 MB hold the runtime, the models and everything else, too. */
const MEMORY_TIER_BYTES = 24 * 1024 * 1024;
/** How long the shared tiers keep what may still be served or stand in, in seconds. */
const KEEP_S = Math.max(
  ...catalog.views.map(({ policy }) => keepForS(policy)),
  keepForS(cachePolicy({ ttlS: 3_600 })),
);

const follower = new ClockFollower(systemTime);

/** What an isolate keeps between requests: values only, nothing that belongs to a request. */
export const isolate = {
  follower,
  warmer: new Warmer(() => follower.mirror.clock, systemNow),
  memory: new MemoryTier(MEMORY_TIER_BYTES),
  models: new LoadedModels(),
  invalidated: new InvalidatedChanges(),
  lineage: new LineageRecorder(),
};

/** What is made once for an isolate's bindings: none of it holds anything that belongs to a request. */
export interface Settings {
  readonly config: Config;
  readonly db: ReturnType<typeof connect>;
  readonly registry: RegistryPorts;
  readonly observation: Observation;
  readonly reads: CachedReads;
}

const settings = new WeakMap<Env, Settings>();

export function settingsOf(env: Env): Settings {
  const known = settings.get(env);
  if (known !== undefined) return known;
  const made = makeSettings(env);
  settings.set(env, made);
  return made;
}

function makeSettings(env: Env): Settings {
  const config = readConfig(env);
  const db = connect(config.database);
  const observation: Observation = new Observation(newId, () => isolate.memory.bytes, {
    share: config.probeShare,
    now: systemNow,
    random: systemRandom,
    sleep,
    digest: sha256Hex,
    root: { sync: (request) => clockAt(rootClock(env)).sync(request) },
    invalidate: (tags) => reads.invalidate(tags),
    send: (batch) => cacheStats(env).flush(batch),
  });
  const tiers = [isolate.memory, new ColoTier(caches.default, KEEP_S), new KvTier(env.CACHE, KEEP_S)];
  const reads = new CachedReads(env, { ...isolate, db, tiers, observation, isWarming: config.isWarming });
  return { config, db, registry: { store: r2Artifacts(env.MODELS), loadGraph }, observation, reads };
}
