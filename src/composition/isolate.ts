import { sql } from 'drizzle-orm';
import { EndedEpochs, InvalidatedChanges } from '../cache/as-of.ts';
import type { CachedAnswer } from '../cache/cached-answer.ts';
import type { Token } from '../cache/clock/clock.ts';
import { ClockFollower, type FollowerContext } from '../cache/clock/follower.ts';
import { RegionHedge } from '../cache/clock/region-hedge.ts';
import { phasesOf } from '../cache/phases.ts';
import {
  type ReadRequest,
  type ReadThroughPorts,
  readFromMemory,
  readFurther,
  readThrough,
  standInFromMemory,
} from '../cache/read-through.ts';
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
import { signCursors } from '../gateway/cursors.ts';
import type { Charging } from '../gateway/limits/charging.ts';
import type { KeepsAlive } from '../gateway/middleware/authorize.ts';
import { type ApiKey, apiKeyOf } from '../gateway/principals/api-key.ts';
import { KeyTable } from '../gateway/principals/key-table.ts';
import { holderOfTicket } from '../gateway/principals/ticket.ts';
import type { TokenVerdict } from '../gateway/principals/token-table.ts';
import type { ViewPorts } from '../gateway/routes/views.ts';
import { ServedLog } from '../inference/feedback/buffer.ts';
import { LoadedModels } from '../inference/loaded-models.ts';
import { ObservedRowsOfIsolate } from '../inference/observed-rows.ts';
import { OnnxRuntime } from '../inference/onnx/runtime.ts';
import type { RegistryPorts } from '../inference/registry.ts';
import { RolloutReports } from '../inference/rollout/reports.ts';
import type { Observation } from '../operations/observation.ts';
import { LineageRecorder } from '../pipeline/lineage/recorder.ts';
import { systemNow, systemTime } from '../platform/clock.ts';
import { sha256Hex } from '../platform/digest.ts';
import { MODEL_MEMORY_BYTES } from '../platform/limits.ts';
import type { PhaseStates } from '../platform/phases.ts';
import { systemRandom } from '../platform/random.ts';
import { RequestTrace, type TracedHandler } from '../platform/tracing/request-trace.ts';
import { NO_SPAN, type Span, spanned } from '../platform/tracing/span.ts';
import type { Tracing } from '../platform/tracing/tracing.ts';
import { noteKeyUse, readKey } from '../storage/postgres/api-keys.ts';
import { connect, guarded } from '../storage/postgres/connect.ts';
import { wasReplaced } from '../storage/postgres/feature-versions.ts';
import { asOfPorts, watchShards, watchShardsIn } from './as-of.ts';
import { BackfillCaller } from './backfill-caller.ts';
import { countingQueues } from './backlog.ts';
import { BoundParts } from './bound-parts.ts';
import { syncFrom } from './clock.ts';
import { type Config, envIn } from './config.ts';
import { assertBindings, type Env } from './env.ts';
import { FEATURE_ROWS_BYTES, LOADED_MODELS_BYTES, MEMORY_TIER_BYTES } from './isolate-memory.ts';
import { noticeHost } from './notice-host.ts';
import { fillGate } from './objects.ts';
import { fetchKeySet } from './oidc.ts';
import { registryOf } from './registry.ts';
import { RequestScope } from './request-scope.ts';
import { readInSpan } from './traced-read.ts';

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
  readonly models = new LoadedModels(systemTime, LOADED_MODELS_BYTES, () => this.phases.inference === 'on');
  readonly invalidated = new InvalidatedChanges();
  readonly ended = new EndedEpochs();
  readonly keys = new KeyTable(this.follower, systemTime);
  readonly lineage = new LineageRecorder();
  readonly backfills = new BackfillCaller();
  readonly moves = new KnownMoves();
  readonly rollouts = new RolloutReports();
  readonly served = new ServedLog();
  readonly observedRows = new ObservedRowsOfIsolate();
  readonly #bound = new WeakMap<object, BoundIsolate>();

  /** The states of the phases as far as they are known. */
  get phases(): PhaseStates {
    return this.follower.mirror.clock.phases.states;
  }

  constructor(catalog: Catalog) {
    this.catalog = catalog;
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

  /** The trace of a request; undefined if nothing is traced, or if the bindings are wrong. */
  traceOf(
    bindings: object,
    request: Request,
    ctx: TracedHandler['ctx'],
    startedMs: number,
  ): RequestTrace | undefined {
    try {
      const bound = this.#bound.get(bindings) ?? this.of(bindings, { req: request });
      return bound.tracing && new RequestTrace(bound.tracing, { request, ctx, startedMs });
    } catch {
      return undefined;
    }
  }
}

/** The part of hono's context that names the host of a request. */
interface Asked {
  readonly req: { readonly url: string };
}

/**
 * An isolate with its bindings: configuration, database, tiers, and reads through the cache. A warm hit allocates only
 * the objects of its own request.
 */
export class BoundIsolate implements ViewPorts {
  readonly isolate: Isolate;
  readonly env: Env;
  readonly registry: RegistryPorts;
  /** The span that calls are within; those of a request that nobody traces are within none. */
  readonly span: Span;
  readonly tiers: readonly Tier[];
  readonly #parts: BoundParts;
  readonly #within = new WeakMap<Span, BoundIsolate>();
  readonly #onMoved: () => void;
  readonly #pingOrigin = async () => await this.db.execute(sql`select 1`);
  #db: ReturnType<typeof connect> | undefined;

  constructor(isolate: Isolate, env: Env, parts = new BoundParts(isolate, env), span: Span = NO_SPAN) {
    this.isolate = isolate;
    this.env = env;
    this.span = span;
    this.#parts = parts;
    this.tiers = parts.tiers.map((tier) => (tier.name === 'memory' ? tier : spanned(span, tier.name, tier)));
    this.registry = registryOf({
      ...{ bucket: env.MODELS, db: () => this.db, models: isolate.models, runtime: isolate.runtime, span },
      ...{ observation: parts.observation, parityShare: parts.config.parityShare },
    });
    // An invalidation may have made entries stale, so the next answer starts to fill the keys that are expected next.
    this.#onMoved = () => isolate.warmer.moved();
  }

  /** The same isolate, whose calls are within a span. */
  in(span: Span): BoundIsolate {
    if (!span.isRecording || span === this.span) return this;
    const known = this.#within.get(span);
    if (known !== undefined) return known;
    const traced = new BoundIsolate(this.isolate, envIn(this.env, span), this.#parts, span);
    this.#within.set(span, traced);
    return traced;
  }

  get db(): ReturnType<typeof connect> {
    this.#db ??= connect(this.config.database, this.span);
    return this.#db;
  }

  get config(): Config {
    return this.#parts.config;
  }

  get tracing(): Tracing | undefined {
    return this.#parts.tracing;
  }

  get observation(): Observation {
    return this.#parts.observation;
  }

  get charging(): Charging {
    return this.#parts.charging;
  }

  get lineageShard(): number {
    return this.#parts.lineageShard;
  }

  get ticketKey(): Uint8Array {
    return this.#parts.ticketKey;
  }

  get cursorKey(): Uint8Array {
    return this.#parts.cursorKey;
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
    return this.#parts.tokens !== undefined;
  }

  peekToken(hash: string): TokenHolder | undefined {
    return this.#parts.tokens?.peek(hash);
  }

  async verifyToken(text: string, hash: string, ctx: KeepsAlive): Promise<TokenVerdict> {
    const { oidc } = this.config;
    const { tokens } = this.#parts;
    if (tokens === undefined || oidc === undefined) return { verdict: 'invalid' };
    return await tokens.verify(text, hash, {
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
    const known = readFromMemory(request, ports);
    if (known !== undefined) return this.#answered(request, known, ports.context, scope);
    const outer = this.span.isRecording ? this.span : scope.span;
    const found = outer.isRecording
      ? readInSpan(outer, request.view, (span) => readFurther(request, this.in(span).#ports(scope)))
      : readFurther(request, ports);
    return found.then((late) => this.#answered(request, late, ports.context, scope));
  }

  standInIn(scope: RequestScope, request: ReadRequest): CachedAnswer | undefined {
    return standInFromMemory(request, this.#ports(scope));
  }

  async load(view: ViewDefinition, request: ViewRequest, now: number, span: Span = NO_SPAN): Promise<Loaded> {
    const here = this.in(span);
    const watched = watchShards(here);
    const ports = {
      ...asOfPorts(here),
      shards: watched.shards,
    };
    const loaded = await loadView(view, request, now, ports);
    return signCursors(this.cursorKey, view, request, asOfMoment(loaded, await watched.moment()));
  }

  /** What a read of features through the isolate's memory needs. */
  rowPorts(scope: RequestScope): RowPorts {
    const { rows: cache, follower, catalog } = this.isolate;
    return {
      ...{ cache, follower, features: catalog.features },
      context: this.#context(scope),
      watch: () => watchShardsIn(this, scope),
      wasReplaced: (entity, version) => guarded(() => wasReplaced(this.db, entity, version)),
    };
  }

  /** The states of the phases, at most two seconds old; without the clock the last known ones. */
  phases(scope: RequestScope): PhaseStates | Promise<PhaseStates> {
    return phasesOf(this.isolate.follower, this.#context(scope), systemTime);
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
    if (this.isolate.phases.cache !== 'on') return;
    const read = async (recipe: Parameters<typeof refillRead>[1]): Promise<CachedAnswer> => {
      const view = this.#parts.viewNamed.get(recipe.view);
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
      recentFills: this.#parts.recentFills,
      digest: sha256Hex,
      pingOrigin: this.#pingOrigin,
      random: systemRandom,
      refreshing: this.#parts.refreshing,
      filled: this.observation.filled,
      refilled: this.observation.refilled,
      span: this.span,
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
