import type { InvalidatedChanges } from '../cache/as-of.ts';
import type { ClockFollower, FollowerContext } from '../cache/clock/follower.ts';
import type { SyncAnswer, SyncRequest } from '../cache/clock/mirror.ts';
import { slotsOf } from '../cache/clock/slots.ts';
import type { Token } from '../cache/clock/token.ts';
import { clockAt } from '../cache/clock/wire.ts';
import {
  type CachedAnswer,
  type ReadRequest,
  type ReadThroughPorts,
  readThrough,
} from '../cache/read-through.ts';
import type { Tier } from '../cache/tiers/tier.ts';
import { refillRead } from '../cache/warming/refill.ts';
import type { Warmer } from '../cache/warming/warmer.ts';
import type { Catalog } from '../define/catalog.ts';
import type { Loaded, ViewDefinition, ViewRequest } from '../define/view.ts';
import { loadView } from '../features/load-view.ts';
import type { ShardPort } from '../features/store.ts';
import type { Observation } from '../operations/observation.ts';
import { systemTime } from '../platform/clock.ts';
import { sha256Hex } from '../platform/digest.ts';
import { Failure } from '../platform/failure.ts';
import { log } from '../platform/logger.ts';
import { systemRandom } from '../platform/random.ts';
import { type RequestPlace, regionOf } from '../platform/regions.ts';
import type { connect } from '../storage/postgres/connect.ts';
import { reflect } from '../storage/postgres/reflecting.ts';
import type { Env } from './env.ts';
import { featureShard, fillGate, regionalClock, rootClock } from './objects.ts';

/** What reading needs of the request that it is for. */
export interface RequestScope {
  /** Lets work outlive the request. */
  keepAlive(promise: Promise<unknown>): void;
  /** Asked for only where it matters: reading it costs more than a hit. */
  place(): RequestPlace;
}

/** What an isolate reads with. */
export interface ReadingSettings {
  readonly catalog: Pick<Catalog, 'views'>;
  readonly follower: ClockFollower;
  readonly tiers: readonly Tier[];
  readonly warmer: Warmer;
  readonly isWarming: boolean;
  readonly invalidated: InvalidatedChanges;
  readonly observation: Observation;
  readonly db: ReturnType<typeof connect>;
}

/**
 * Reads through the cache. One for an isolate's bindings: a warm hit makes nothing for itself but what belongs to its
 * request.
 */
export class CachedReads {
  readonly #env: Env;
  readonly #settings: ReadingSettings;
  readonly #viewNamed: ReadonlyMap<string, ViewDefinition>;
  readonly #refreshing = new Map<string, number>();
  readonly #onMoved: () => void;

  constructor(env: Env, settings: ReadingSettings) {
    this.#env = env;
    this.#settings = settings;
    this.#viewNamed = new Map(settings.catalog.views.map((view) => [view.name, view]));
    // Entries may have died: what is expected to be asked for is filled behind the next answers.
    this.#onMoved = () => settings.warmer.moved();
  }

  /** The answer at once where it is at hand: a promise costs a warm hit more than the look-up. */
  read(request: ReadRequest, scope: RequestScope): CachedAnswer | Promise<CachedAnswer> {
    const ports = this.#ports(scope);
    const answer = readThrough(request, ports);
    if (!(answer instanceof Promise)) return this.#answered(request, answer, ports.context, scope);
    return answer.then((late) => this.#answered(request, late, ports.context, scope));
  }

  /** Reads a view's answer from the origin as of `now`, and as of which moment of the clock it is. */
  load(view: ViewDefinition, request: ViewRequest, now: number): Promise<Loaded> {
    const { follower, invalidated, db } = this.#settings;
    const { epoch } = follower.mirror.clock;
    const { withTimeout } = systemTime;
    const reflection = reflect(db.$client, epoch);
    const invalidate = (tags: readonly string[]) => this.invalidate(tags);
    const shards: Pick<ShardPort, 'read'> = {
      read: (shard, entity, keys, asOf) => featureShard(this.#env, shard).read(entity, [...keys], asOf),
    };
    return loadView(view, request, now, { epoch, reflection, invalidated, invalidate, withTimeout, shards });
  }

  /** Returns the token once the root clock has the invalidation on disk. */
  async invalidate(tags: readonly string[]): Promise<Token> {
    try {
      return await rootClock(this.#env).invalidate(slotsOf(tags));
    } catch (error) {
      throw new Failure('clock_unavailable', 'The tag clock does not answer.', {
        retryAfterS: 1,
        cause: error,
      });
    }
  }

  /** The newest moment of the root clock: everything that was invalidated before the call is below it. */
  async newestToken(scope: RequestScope): Promise<Token> {
    const { follower } = this.#settings;
    await follower.ensure({ maxAgeMs: 0, atLeast: undefined }, follower.begin(), this.#context(scope));
    const { epoch, seq } = follower.mirror.clock;
    return { epoch, seq };
  }

  /** Fills ahead what is expected to be asked for next, behind whatever is under way. */
  warm(scope: RequestScope): void {
    const { warmer, isWarming } = this.#settings;
    warmer.moved();
    if (isWarming) this.#refill(scope);
  }

  #answered(
    request: ReadRequest,
    answer: CachedAnswer,
    context: FollowerContext,
    scope: RequestScope,
  ): CachedAnswer {
    const { observation, warmer, isWarming } = this.#settings;
    observation.answered(request, answer, context);
    if (isWarming && request.policy.warm && request.input !== undefined) {
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
    this.#settings.warmer.refill({ read, keepAlive: (promise) => scope.keepAlive(promise) });
  }

  #ports(scope: RequestScope): ReadThroughPorts {
    const { follower, tiers, observation } = this.#settings;
    return {
      follower,
      context: this.#context(scope),
      tiers,
      time: systemTime,
      gateOf: this.#gateOf,
      digest: sha256Hex,
      random: systemRandom,
      refreshing: this.#refreshing,
      filled: observation.filled,
    };
  }

  readonly #gateOf = (key: string) => fillGate(this.#env, key);

  #context(scope: RequestScope): FollowerContext {
    return {
      parent: { sync: (request) => this.#askAbove(request, scope) },
      keepAlive: (promise) => scope.keepAlive(promise),
      onMoved: this.#onMoved,
    };
  }

  /** Asks the clock of the region, or the root itself while that is out of reach. */
  async #askAbove(request: SyncRequest, scope: RequestScope): Promise<SyncAnswer> {
    const region = regionOf(scope.place());
    try {
      return await clockAt(regionalClock(this.#env, region)).sync(request);
    } catch (error) {
      const message = 'A regional clock does not answer; asking the root.';
      log('warn', message, { 'event.action': 'clock-sync', region }, error);
      return await clockAt(rootClock(this.#env)).sync(request);
    }
  }
}
