import { clockAt } from '../cache/clock/wire.ts';
import { RecentFills } from '../cache/single-flight.ts';
import { ColoTier, coloOrigin } from '../cache/tiers/colo.ts';
import { KvTier } from '../cache/tiers/kv.ts';
import type { MemoryTier } from '../cache/tiers/memory.ts';
import type { Tier } from '../cache/tiers/tier.ts';
import type { Catalog } from '../define/catalog.ts';
import type { ViewDefinition } from '../define/view.ts';
import type { RowCache } from '../features/row-cache.ts';
import { cursorKey } from '../gateway/cursors.ts';
import type { Charging } from '../gateway/limits/charging.ts';
import { ticketKey } from '../gateway/principals/ticket.ts';
import { TokenTable } from '../gateway/principals/token-table.ts';
import { Observation } from '../operations/observation.ts';
import { sleep, systemNow, systemTime } from '../platform/clock.ts';
import { sha256Hex } from '../platform/digest.ts';
import { newId } from '../platform/ids.ts';
import { systemRandom } from '../platform/random.ts';
import type { Tracing } from '../platform/tracing/tracing.ts';
import { tallyShard } from '../storage/postgres/lineage-tallies.ts';
import { sendingCounts } from './alerts.ts';
import { invalidateTags } from './clock.ts';
import { type Config, readConfig } from './config.ts';
import type { Env } from './env.ts';
import { longestKeptS } from './lifetimes.ts';
import { chargingOf } from './limits.ts';
import { rootClock } from './objects.ts';
import { tracingOf } from './tracing.ts';

/** What an isolate with its bindings has once, for all its requests and traces. */
export class BoundParts {
  readonly config: Config;
  readonly tracing: Tracing | undefined;
  readonly observation: Observation;
  readonly charging: Charging;
  /** Where this isolate adds up what it reports for lineage. */
  readonly lineageShard = tallyShard(systemRandom);
  /** Signs tickets. */
  readonly ticketKey: Uint8Array;
  readonly cursorKey: Uint8Array;
  readonly tokens: TokenTable | undefined;
  readonly tiers: readonly Tier[];
  readonly viewNamed: ReadonlyMap<string, ViewDefinition>;
  /** Start of each background refresh by key, in milliseconds since the Unix epoch. */
  readonly refreshing = new Map<string, number>();
  readonly recentFills = new RecentFills();

  /** @throws Error with the names of variables and secrets that are missing or invalid. */
  constructor(
    {
      catalog,
      memory,
      rows,
    }: { readonly catalog: Catalog; readonly memory: MemoryTier; readonly rows: RowCache },
    env: Env,
  ) {
    this.config = readConfig(env);
    this.tracing = tracingOf(env);
    const { apiKeySha256, database, oidc, deployment } = this.config;
    this.ticketKey = ticketKey({ databaseUrl: database.url, apiKeySha256 });
    this.cursorKey = cursorKey(this.config);
    this.tokens = oidc === undefined ? undefined : new TokenTable(oidc.rules, systemTime);
    this.observation = new Observation(newId, () => memory.bytes + rows.bytes, {
      share: this.config.probeShare,
      now: systemNow,
      random: systemRandom,
      sleep,
      digest: sha256Hex,
      root: { sync: (request) => clockAt(rootClock(env)).sync(request) },
      invalidate: (tags) => invalidateTags(env, tags),
      send: sendingCounts(env),
    });
    this.charging = chargingOf(env, catalog.limits, this.config.isLimiting, this.observation.limited);
    const keep = longestKeptS(catalog);
    this.tiers = [
      memory,
      new ColoTier(caches.default, keep, coloOrigin(deployment)),
      new KvTier(env.CACHE, keep, deployment),
    ];
    this.viewNamed = new Map(catalog.views.map((view) => [view.name, view]));
  }
}
