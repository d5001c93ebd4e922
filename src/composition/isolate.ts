import { sql } from 'drizzle-orm';
import { EndedEpochs, InvalidatedChanges } from '../cache/as-of.ts';
import type { CachedAnswer } from '../cache/cached-answer.ts';
import type { Token } from '../cache/clock/clock.ts';
import { ClockFollower, type FollowerContext } from '../cache/clock/follower.ts';
import { RegionHedge } from '../cache/clock/region-hedge.ts';
import { clockAt } from '../cache/clock/wire.ts';
import {
  type ReadRequest,
  type ReadThroughPorts,
  readThrough,
  standInFromMemory,
} from '../cache/read-through.ts';
import { RecentFills } from '../cache/single-flight.ts';
import { ColoTier, coloOrigin, keepsNothingOn } from '../cache/tiers/colo.ts';
import { KvTier } from '../cache/tiers/kv.ts';
import { MemoryTier } from '../cache/tiers/memory.ts';
import type { Tier } from '../cache/tiers/tier.ts';
import { refillRead } from '../cache/warming/refill.ts';
import { Warmer } from '../cache/warming/warmer.ts';
import type { Catalog } from '../define/catalog.ts';
import {
  ANONYMOUS,
  type Holder,
  type Principal,
  principalName,
  type TokenHolder,
} from '../define/principal.ts';
import type { Loaded, ViewDefinition, ViewRequest } from '../define/view.ts';
import { KnownMoves } from '../features/layout.ts';
import { loadView } from '../features/load-view.ts';
import { RowCache, type RowPorts } from '../features/row-cache.ts';
import { asOfMoment } from '../features/seen-folds.ts';
import { cursorKey, signCursors } from '../gateway/cursors.ts';
import type { Charging } from '../gateway/limits/charging.ts';
import type { KeepsAlive } from '../gateway/middleware/authorize.ts';
import { type ApiKey, apiKeyOf } from '../gateway/principals/api-key.ts';
import { KeyTable } from '../gateway/principals/key-table.ts';
import { holderOfTicket, ticketKey } from '../gateway/principals/ticket.ts';
import { TokenTable, type TokenVerdict } from '../gateway/principals/token-table.ts';
import type { ViewPorts } from '../gateway/routes/views.ts';
import { ServedLog } from '../inference/feedback/buffer.ts';
import { LoadedModels } from '../inference/loaded-models.ts';
import { ObservedRowsOfIsolate } from '../inference/observed-rows.ts';
import { OnnxRuntime } from '../inference/onnx/runtime.ts';
import type { RegistryPorts } from '../inference/registry.ts';
import { RolloutReports } from '../inference/rollout/reports.ts';
import { Observation } from '../operations/observation.ts';
import { LineageRecorder } from '../pipeline/lineage/recorder.ts';
import { sleep, systemNow, systemTime } from '../platform/clock.ts';
import { sha256Hex } from '../platform/digest.ts';
import { newId } from '../platform/ids.ts';
import { ISOLATE_MEMORY_BYTES, MODEL_MEMORY_BYTES } from '../platform/limits.ts';
import { log } from '../platform/logger.ts';
import { systemRandom } from '../platform/random.ts';
import { r2Artifacts } from '../storage/artifacts.ts';
import { noteKeyUse, readKey } from '../storage/postgres/api-keys.ts';
import { connect, guarded } from '../storage/postgres/connect.ts';
import { tallyShard } from '../storage/postgres/lineage-tallies.ts';
import { asOfPorts, watchShards, watchShardsIn } from './as-of.ts';
import { BackfillCaller } from './backfill-caller.ts';
import { countingQueues } from './backlog.ts';
import { championIn, rolloutIn } from './champion.ts';
import { invalidateTags, syncFrom } from './clock.ts';
import { type Config, readConfig } from './config.ts';
import { assertBindings, type Env } from './env.ts';
import { longestKeptS } from './lifetimes.ts';
import { chargingOf } from './limits.ts';
import { cacheStats, fillGate, rootClock } from './objects.ts';
import { fetchKeySet } from './oidc.ts';
import { RequestScope } from './request-scope.ts';

/** The isolate's share of memory for answers. The runtime, the models and the requests need the rest. */
const ANSWERS_BYTES = (ISOLATE_MEMORY_BYTES * 3) / 16;
/** The part of it for the features of keys: about 1,000 keys with a dozen features. */
const FEATURE_ROWS_BYTES = ANSWERS_BYTES / 12;
const MEMORY_TIER_BYTES = ANSWERS_BYTES - FEATURE_ROWS_BYTES;
/** The memory of the ONNX runtime without a model: it begins with 16 MiB, and uses about half of them itself. */
const RUNTIME_BYTES = 8 * 1024 * 1024;

/**
 * State that outlives a request. It holds values only, because a request must not await a promise of another request.
 */
export class Isolate {
  readonly catalog: Catalog;
  readonly follower = new ClockFollower(systemTime);
  readonly regions = new RegionHedge(systemTime);
  readonly warmer = new Warmer(() => this.follower.mirror.clock, systemNow);
  readonly memory = new MemoryTier(MEMORY_TIER_BYTES);
  readonly rows = new RowCache(FEATURE_ROWS_BYTES);
  readonly runtime = new OnnxRuntime(MODEL_MEMORY_BYTES);
  readonly models = new LoadedModels(systemTime, MODEL_MEMORY_BYTES - RUNTIME_BYTES);
  readonly invalidated = new InvalidatedChanges();
  readonly ended = new EndedEpochs();
  readonly keys = new KeyTable(this.follower, systemTime);
  readonly lineage = new LineageRecorder();
  readonly backfills = new BackfillCaller();
  readonly moves = new KnownMoves();
  readonly rollouts = new RolloutReports();
  readonly served = new ServedLog();
  readonly observedRows = new ObservedRowsOfIsolate();
  /** The properties that are keys of entities. */
  readonly keyProperties: ReadonlySet<string>;
  readonly #bound = new WeakMap<object, BoundIsolate>();

  constructor(catalog: Catalog) {
    this.catalog = catalog;
    this.keyProperties = new Set(catalog.entities.flatMap(({ params }) => Object.keys(params)));
  }

  /** The ports of views; one object for all requests. */
  readonly viewsOf = (c: Asked & { readonly env: object }): ViewPorts => this.of(c.env, c);

  /**
   * The isolate with the bindings of a request. The first request of an isolate creates it.
   *
   * @param asked the request, for a notice on its host; absent for a queue's batch and the cron. It is only read when it
   *   creates the isolate, since a warm hit comes through here, too.
   * @throws Error with the names of missing bindings, and of missing or invalid variables.
   */
  of(bindings: object, asked?: Asked): BoundIsolate {
    const known = this.#bound.get(bindings);
    if (known !== undefined) return known;
    assertBindings(bindings);
    if (asked !== undefined) noticeHost(asked.req.url);
    const made = new BoundIsolate(this, countingQueues(bindings));
    this.#bound.set(bindings, made);
    return made;
  }

  /** What counts requests; undefined if the bindings are wrong, which the answer to every request says. */
  countingOf(bindings: object, asked: Asked['req']): Observation | undefined {
    try {
      return (this.#bound.get(bindings) ?? this.of(bindings, { req: asked })).observation;
    } catch {
      return undefined;
    }
  }
}

/** The part of hono's context that names the host of a request. */
interface Asked {
  readonly req: { readonly url: string };
}

/** Warns of a host on which the data centre's cache keeps nothing. The platform itself reports no error there. */
function noticeHost(url: string): void {
  const { hostname } = new URL(url);
  if (!keepsNothingOn(hostname)) return;
  const message =
    "The data centre's cache keeps nothing on workers.dev, so each isolate fills its memory from the database, or " +
    'from KV if the policy of the view names it. ' +
    'Deploy with a route or a custom domain: npm run deploy -- --domain api.example.com';
  log('warn', message, { 'event.action': 'start', 'host.name': hostname });
}

/**
 * An isolate with its bindings: configuration, database, tiers, and reads through the cache. A warm hit allocates only
 * the objects of its own request.
 */
export class BoundIsolate implements ViewPorts {
  readonly isolate: Isolate;
  readonly env: Env;
  readonly config: Config;
  readonly db: ReturnType<typeof connect>;
  readonly registry: RegistryPorts;
  readonly observation: Observation;
  readonly charging: Charging;
  /** Where this isolate adds up what it reports for lineage. */
  readonly lineageShard = tallyShard(systemRandom);
  /** Signs tickets. */
  readonly ticketKey: Uint8Array;
  readonly cursorKey: Uint8Array;
  readonly #tokens: TokenTable | undefined;
  readonly tiers: readonly Tier[];
  readonly #viewNamed: ReadonlyMap<string, ViewDefinition>;
  readonly #refreshing = new Map<string, number>();
  readonly #recentFills = new RecentFills();
  readonly #onMoved: () => void;
  readonly #pingOrigin = async () => await this.db.execute(sql`select 1`);

  constructor(isolate: Isolate, env: Env) {
    const { catalog, memory, warmer } = isolate;
    this.isolate = isolate;
    this.env = env;
    this.config = readConfig(env);
    this.db = connect(this.config.database);
    const { apiKeySha256, database, oidc } = this.config;
    this.ticketKey = ticketKey({ databaseUrl: database.url, apiKeySha256 });
    this.cursorKey = cursorKey(this.config);
    this.#tokens = oidc === undefined ? undefined : new TokenTable(oidc.rules, systemTime);
    this.registry = {
      store: r2Artifacts(env.MODELS),
      loadGraph: async (bytes) => {
        isolate.models.makeRoom(bytes.length);
        return await isolate.runtime.load(bytes);
      },
      champion: championIn(this.db),
      rollout: rolloutIn(this.db),
      tiers: {
        isSampled: () => systemRandom() < this.config.parityShare,
        ran: (model, tier) => this.observation.modelRan(model, tier),
        compared: (model, verdict) => this.observation.modelCompared(model, verdict),
      },
    };
    this.observation = new Observation(newId, () => memory.bytes + isolate.rows.bytes, {
      share: this.config.probeShare,
      now: systemNow,
      random: systemRandom,
      sleep,
      digest: sha256Hex,
      root: { sync: (request) => clockAt(rootClock(env)).sync(request) },
      invalidate: (tags) => invalidateTags(env, tags),
      send: (batch) => cacheStats(env).flush(batch),
    });
    this.charging = chargingOf(env, catalog.limits, this.config.isLimiting, this.observation.limited);
    const keep = longestKeptS(catalog);
    const { deployment } = this.config;
    this.tiers = [
      memory,
      new ColoTier(caches.default, keep, coloOrigin(deployment)),
      new KvTier(env.CACHE, keep, deployment),
    ];
    this.#viewNamed = new Map(catalog.views.map((view) => [view.name, view]));
    // An invalidation may have made entries stale, so the next answer starts to fill the keys that are expected next.
    this.#onMoved = () => warmer.moved();
  }

  get apiKeySha256(): string {
    return this.config.apiKeySha256;
  }

  peekKey(id: string): ApiKey | null | undefined {
    return this.isolate.keys.peek(id);
  }

  findKey(id: string, isStrong: boolean, http: Request, ctx: KeepsAlive): Promise<ApiKey | null> {
    // The address pays first, so that strangers do not use up the look-ups of an isolate.
    return this.charging.lookUp({ http, ctx }, id, () =>
      this.isolate.keys.find(id, isStrong, {
        context: this.#context(new RequestScope(http, ctx)),
        read: async (wanted) => {
          const stored = await guarded(() => readKey(this.db, wanted));
          return stored === null ? null : apiKeyOf(stored);
        },
      }),
    );
  }

  holderOfTicket(text: string, path: string): Holder | undefined {
    return holderOfTicket(this.ticketKey, text, path, systemNow());
  }

  get acceptsTokens(): boolean {
    return this.#tokens !== undefined;
  }

  peekToken(hash: string): TokenHolder | undefined {
    return this.#tokens?.peek(hash);
  }

  async verifyToken(text: string, hash: string, ctx: KeepsAlive): Promise<TokenVerdict> {
    const { oidc } = this.config;
    if (this.#tokens === undefined || oidc === undefined) return { verdict: 'invalid' };
    return await this.#tokens.verify(text, hash, {
      fetchKeys: () => fetchKeySet(oidc.jwksUrl),
      keepAlive: (work) => ctx.waitUntil(work),
    });
  }

  noteUse(id: string, ctx: KeepsAlive): void {
    // A use that is not recorded is no reason to refuse the request.
    ctx.waitUntil(noteKeyUse(this.db, id).catch(() => undefined));
  }

  read(
    request: ReadRequest,
    http: Request,
    ctx: Pick<ExecutionContext, 'waitUntil'>,
  ): CachedAnswer | Promise<CachedAnswer> {
    return this.readIn(new RequestScope(http, ctx), request);
  }

  /** Returns an answer in memory without a promise: a promise costs a warm hit more than the look-up. */
  readIn(scope: RequestScope, request: ReadRequest): CachedAnswer | Promise<CachedAnswer> {
    const ports = this.#ports(scope);
    const answer = readThrough(request, ports);
    if (!(answer instanceof Promise)) return this.#answered(request, answer, ports.context, scope);
    return answer.then((late) => this.#answered(request, late, ports.context, scope));
  }

  standInIn(scope: RequestScope, request: ReadRequest): CachedAnswer | undefined {
    return standInFromMemory(request, this.#ports(scope));
  }

  async load(view: ViewDefinition, request: ViewRequest, now: number): Promise<Loaded> {
    const watched = watchShards(this);
    const ports = {
      ...asOfPorts(this),
      shards: watched.shards,
      keyProperties: this.isolate.keyProperties,
    };
    const loaded = await loadView(view, request, now, ports);
    return signCursors(this.cursorKey, view, request, asOfMoment(loaded, await watched.moment()));
  }

  /** What a read of features through the isolate's memory needs. */
  rowPorts(scope: RequestScope): RowPorts {
    const { rows: cache, follower, catalog } = this.isolate;
    return {
      cache,
      follower,
      context: this.#context(scope),
      watch: () => watchShardsIn(this, scope),
      features: catalog.features,
    };
  }

  /** The newest moment of the root clock. Everything that was invalidated before the call is at or below it. */
  async newestToken(scope: RequestScope): Promise<Token> {
    const { follower } = this.isolate;
    await follower.ensure({ maxAgeMs: 0, atLeast: undefined }, follower.begin(), this.#context(scope));
    const { epoch, seq } = follower.mirror.clock;
    return { epoch, seq };
  }

  /** Fills keys that are expected to be read next, in the background of the caller's work. */
  warm(scope: RequestScope): void {
    this.isolate.warmer.moved();
    if (this.config.isWarming) this.#refill(scope);
  }

  noteDeprecated(version: string, principal: Principal | undefined): void {
    this.observation.deprecatedRequest(version, principalName(principal ?? ANONYMOUS));
  }

  #answered(
    request: ReadRequest,
    answer: CachedAnswer,
    context: FollowerContext,
    scope: RequestScope,
  ): CachedAnswer {
    this.observation.answered(request, answer, context);
    if (this.config.isWarming && request.policy.warm && request.input !== undefined) {
      const { warmer } = this.isolate;
      warmer.answered(request, answer);
      if (warmer.isDue) this.#refill(scope);
    }
    return answer;
  }

  #refill(scope: RequestScope): void {
    const read = async (recipe: Parameters<typeof refillRead>[1]): Promise<CachedAnswer> => {
      const view = this.#viewNamed.get(recipe.view);
      if (view === undefined) throw new Error(`The catalog has no view "${recipe.view}".`);
      const request = refillRead(view, recipe, (...asked) => this.load(...asked));
      return await readThrough(request, this.#ports(scope));
    };
    this.isolate.warmer.refill({ read, keepAlive: (promise) => scope.keepAlive(promise) });
  }

  #ports(scope: RequestScope): ReadThroughPorts {
    return {
      follower: this.isolate.follower,
      context: this.#context(scope),
      tiers: this.tiers,
      time: systemTime,
      gateOf: (key) => fillGate(this.env, key, scope.place()),
      recentFills: this.#recentFills,
      digest: sha256Hex,
      pingOrigin: this.#pingOrigin,
      random: systemRandom,
      refreshing: this.#refreshing,
      filled: this.observation.filled,
    };
  }

  #context(scope: RequestScope): FollowerContext {
    return {
      parent: { sync: (request) => syncFrom(this.env, this.isolate.regions, scope.place(), request) },
      keepAlive: (promise) => scope.keepAlive(promise),
      onMoved: this.#onMoved,
    };
  }
}
