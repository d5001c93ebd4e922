import { InvalidatedChanges } from '../cache/as-of.ts';
import { ClockFollower } from '../cache/clock/follower.ts';
import { clockAt } from '../cache/clock/wire.ts';
import { keepForS } from '../cache/freshness.ts';
import { ColoTier } from '../cache/tiers/colo.ts';
import { KvTier } from '../cache/tiers/kv.ts';
import { MemoryTier } from '../cache/tiers/memory.ts';
import { Warmer } from '../cache/warming/warmer.ts';
import { cachePolicy } from '../define/cache-policy.ts';
import type { Catalog } from '../define/catalog.ts';
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
import { connect } from '../storage/postgres/connect.ts';
import { type Config, readConfig } from './config.ts';
import type { Env } from './env.ts';
import { cacheStats, rootClock } from './objects.ts';
import { CachedReads } from './reads.ts';

/** The isolate's share of memory for answers; 128 MB hold the runtime, the models and everything else, too. */
const MEMORY_TIER_BYTES = 24 * 1024 * 1024;
/** How long the shared tiers keep what may still be served or stand in, in seconds. */
function keepS({ views, models }: Pick<Catalog, 'views' | 'models'>): number {
  const declared = [...views, ...models].map(({ policy }) => keepForS(policy));
  return Math.max(...declared, keepForS(cachePolicy({ ttlS: 3_600 })));
}

/** What is made once for an isolate's bindings: none of it holds anything that belongs to a request. */
export interface Settings {
  readonly config: Config;
  readonly db: ReturnType<typeof connect>;
  readonly registry: RegistryPorts;
  readonly observation: Observation;
  readonly reads: CachedReads;
}

/** What an isolate keeps between requests: values only, nothing that belongs to a request. */
export class Isolate {
  readonly catalog: Catalog;
  readonly follower = new ClockFollower(systemTime);
  readonly warmer = new Warmer(() => this.follower.mirror.clock, systemNow);
  readonly memory = new MemoryTier(MEMORY_TIER_BYTES);
  readonly models = new LoadedModels();
  readonly invalidated = new InvalidatedChanges();
  readonly lineage = new LineageRecorder();
  readonly #settings = new WeakMap<Env, Settings>();

  constructor(catalog: Catalog) {
    this.catalog = catalog;
  }

  settingsOf(env: Env): Settings {
    const known = this.#settings.get(env);
    if (known !== undefined) return known;
    const made = this.#makeSettings(env);
    this.#settings.set(env, made);
    return made;
  }

  #makeSettings(env: Env): Settings {
    const config = readConfig(env);
    const db = connect(config.database);
    const { catalog, follower, warmer, memory, invalidated } = this;
    const observation: Observation = new Observation(newId, () => memory.bytes, {
      share: config.probeShare,
      now: systemNow,
      random: systemRandom,
      sleep,
      digest: sha256Hex,
      root: { sync: (request) => clockAt(rootClock(env)).sync(request) },
      invalidate: (tags) => reads.invalidate(tags),
      send: (batch) => cacheStats(env).flush(batch),
    });
    const keep = keepS(catalog);
    const tiers = [memory, new ColoTier(caches.default, keep), new KvTier(env.CACHE, keep)];
    const { isWarming } = config;
    const reading = { catalog, follower, warmer, invalidated, db, tiers, observation, isWarming };
    const reads = new CachedReads(env, reading);
    return { config, db, registry: { store: r2Artifacts(env.MODELS), loadGraph }, observation, reads };
  }
}
