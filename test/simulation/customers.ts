import type { CachedAnswer } from '../../src/cache/cached-answer.ts';
import { formatToken, type Token } from '../../src/cache/clock/clock.ts';
import type { Consistency, ReadRequest } from '../../src/cache/read-through.ts';
import { cachePolicy } from '../../src/define/cache-policy.ts';
import type { ClockMoment, Loaded } from '../../src/define/view.ts';
import type { FoldableEvent } from '../../src/features/fold.ts';
import { readRows } from '../../src/features/row-cache.ts';
import { laterMoment, SeenFolds, type SeenPorts } from '../../src/features/seen-folds.ts';
import {
  type AnnouncePorts,
  type Folded,
  foldAndInvalidate,
  foldEvents,
  shardOf,
  type Untold,
} from '../../src/features/shards.ts';
import { type ChampionPorts, inMoment, predictPorts } from '../../src/gateway/champion.ts';
import type { Manifest } from '../../src/inference/bundle.ts';
import type { Graph } from '../../src/inference/graph.ts';
import type { LoadedModels } from '../../src/inference/loaded-models.ts';
import { predict } from '../../src/inference/predict.ts';
import type { RegistryPorts } from '../../src/inference/registry.ts';
import { Failure } from '../../src/platform/failure.ts';
import type { ChangedEvent, PendingChange } from '../../src/storage/postgres/outbox.ts';
import { purchases } from '../support/catalog/features.ts';
import { expectedSpend } from '../support/catalog/models.ts';
import type { Deployment } from './deployment.ts';
import type { IsolateMachine } from './machines.ts';
import { Machine, never } from './network.ts';
import { CHAMPION_ROW, type OpenWrite, rowTag, type Shown } from './origin.ts';
import type { Refusal } from './reach.ts';
import { ENTITY, FEATURES, ShardMachine } from './shard.ts';
import { CUSTOMERS, customerOf } from './steps.ts';

/** As `src/composition` has them, in milliseconds. */
const SHARD_READ_MS = 900;
const SHARD_WRITE_MS = 5_000;
const CHAMPION_MS = 600;
/** Between two deliveries of one message of the queue, in milliseconds at most. */
const REDELIVERY_MS_MAX = 4_000;
/** When every purchase happened: a day before any clock of this world. */
const BOUGHT_AT = 1e9 - 86_400_000;

/** Reads of features have one bound. */
export const FEATURES_POLICY = cachePolicy({ boundMs: 2_000 });

const SIGNATURES = Object.entries(expectedSpend.inputs).map(([name, { datatype, columns }]) => ({
  ...{ name, datatype },
  shape: [-1, Object.keys(columns).length],
}));

/** The number of purchases, which the model gets as it is. */
const GRAPH: Graph = {
  inputs: SIGNATURES,
  outputs: [],
  run: async ({ count }) => {
    const value = { datatype: 'FP32', shape: [1, 1], data: Float32Array.of(Number(count?.data[0])) } as const;
    return { variable: value, doubled: value };
  },
};

function manifestOf(version: number): Manifest {
  return {
    name: expectedSpend.name,
    version: version.toString(16).padStart(12, '0'),
    model: { sha256: '0'.repeat(64), bytes: 1 },
    inputs: SIGNATURES,
    outputs: [{ name: 'variable', datatype: 'FP32', shape: [-1, 1] }],
    ...{ metrics: {}, baseline: {}, trainedFrom: {} },
  };
}

/** What reads of a world do beside those of customers. */
export interface Reading {
  /** Reads through the cache of an isolate. */
  readonly through: (isolate: IsolateMachine, request: ReadRequest) => CachedAnswer | Promise<CachedAnswer>;
  /** Loads row `CHAMPION_ROW` with the moment that covers it. */
  readonly loadChampion: (
    isolate: IsolateMachine,
    load: (version: number) => Promise<Loaded>,
  ) => Promise<Loaded>;
  readonly contextOf: (isolate: IsolateMachine) => Parameters<IsolateMachine['follower']['ensure']>[2];
}

/** No rollout is under way. */
const NO_ROLLOUTS: ChampionPorts['rollouts'] = {
  saw: () => undefined,
  pause: async () => undefined,
  beginShadow: () => false,
  endShadow: () => undefined,
};

/**
 * Customers who buy, the shards that count their purchases, and a model that is asked about them. The versions of a
 * customer are the numbers of purchases in the order of their folds, so a feature shows its version.
 */
export class Customers {
  readonly #deployment: Deployment;
  readonly #reading: Reading;
  readonly #shards: ReadonlyMap<string, ShardMachine>;
  readonly #consumer = new Machine('consumer');
  /** What each folded event has made. */
  readonly #folds = new Map<number, OpenWrite>();
  readonly #versions = new Map<string, number>();
  readonly refusals: Refusal[] = [];
  #events = 0;

  constructor(deployment: Deployment, reading: Reading) {
    this.#deployment = deployment;
    this.#reading = reading;
    const names = new Set(CUSTOMERS.map((customer) => shardOf(ENTITY, customer)));
    this.#shards = new Map(
      [...names].map((name) => [name, new ShardMachine(name, (event) => this.#folded(event))]),
    );
    deployment.join([...this.#shards.values(), this.#consumer]);
    deployment.published = (changes) => this.#enqueue(changes);
    deployment.commit('the first version', [{ row: CHAMPION_ROW, kind: 'update' }]);
  }

  [Symbol.dispose](): void {
    for (const shard of this.#shards.values()) shard.close();
  }

  /** The machine that has a customer's features. */
  shardOf(customer: string): ShardMachine {
    return this.#shard(shardOf(ENTITY, customer));
  }

  /** A purchase that does not exist yet. A client that has no answer sends the same once more. */
  newPurchase(customer: string): ChangedEvent {
    this.#events += 1;
    const data = {
      ...{ invoice: String(this.#events), sku: 'z1', description: 'sold', unitPrice: 1, quantity: 1 },
      ...{ customerId: customer, country: 'EIRE' },
    };
    return { seq: this.#events, type: purchases.eventType, occurredAt: BOUGHT_AT, data };
  }

  /** Stores a purchase, and waits until reads with the token show it (`src/composition/storing.ts`). */
  async buy(isolate: IsolateMachine, event: ChangedEvent): Promise<Token | undefined> {
    const { network, relay } = this.#deployment;
    const { life, follower } = isolate;
    try {
      await network.call(isolate, relay, () => relay.arm());
      await this.#deployment.toOrigin(isolate, () => this.#deployment.origin.store(event));
      const [swept, folded] = await Promise.all([
        network.call(isolate, relay, () => relay.sweeper.sweepLive()),
        isolate.folds.add([{ item: event, bytes: 100, keys: [String(event.seq)] }], {
          ...this.#foldPorts(isolate),
          read: async (events) => events,
          fold: (events, untold) => this.#fold(isolate, events, untold),
          onTimeout: () => new Error('The fold took too long.'),
        }),
      ]);
      const at = swept === undefined ? null : laterMoment(swept, folded);
      if (at === null)
        await follower.ensure(
          { maxAgeMs: 0, atLeast: undefined },
          follower.begin(),
          this.#reading.contextOf(isolate),
        );
      if (isolate.life !== life) return await never();
      const { epoch, seq } = at ?? follower.mirror.clock;
      return this.#acknowledge(event, { epoch, seq });
    } catch (error) {
      this.#deployment.log(() => `${isolate.name} has no answer to purchase ${event.seq}: ${error}`);
      return undefined;
    }
  }

  /** The features of a customer, as an answer of the cache. */
  async features(isolate: IsolateMachine, key: string, consistency: Consistency): Promise<CachedAnswer> {
    const customer = customerOf(key);
    const { time, follower, rows: cache } = isolate;
    const asked = { entity: ENTITY, keys: [customer], now: time.now() };
    const read = await readRows(asked, consistency, {
      ...{ cache, follower, features: FEATURES },
      context: this.#reading.contextOf(isolate),
      watch: () => this.#watch(isolate),
      wasReplaced: async () => false,
    });
    const body = JSON.stringify(shownOf(customer, Number(read.rows[0]?.['purchases_365d']?.value ?? 0)));
    const { epoch, seq } = follower.mirror.clock;
    const entry = { body, etag: '', tagHashes: [], epoch, stamp: seq, fillMs: 0, filledAt: 0 };
    const times = { ageS: 0, ttlS: 0, maxAgeS: 0, judgedSeq: seq, mirrorAgeMs: 0 };
    const token = read.token === undefined ? undefined : formatToken(read.token);
    const isHit = read.missed === 0;
    const source = isHit
      ? ({ hit: true, tier: 'memory', stale: false } as const)
      : ({
          ...({ hit: false, stored: false, collapsed: false } as const),
          forward: read.isBypassed ? 'bypass' : 'uri-miss',
        } as const);
    return { entry, source, ...times, token, unverified: undefined };
  }

  /** Makes a prediction for a customer, as a fill of the model's path does it. */
  async predict(isolate: IsolateMachine, key: string, consistency: Consistency): Promise<Loaded> {
    const customer = customerOf(key);
    const watched = this.#watch(isolate);
    const deadline = { within: async <T>(work: Promise<T>) => await work } as ChampionDeadline;
    const ports = { ...this.#championPorts(isolate), predicted: () => undefined };
    const predicting = predictPorts(
      ports,
      expectedSpend,
      consistency,
      { deadline, watched },
      async () => undefined,
    );
    const request = { key: customer, request: {}, pointerPrefix: '', include: [] };
    const now = () => isolate.time.now();
    const loaded = await predict(expectedSpend, request, { ...predicting, now, newId: () => '' });
    const { value, model } = loaded.value as { value: number; model: { version: string | null } };
    const version = Number.parseInt(model.version ?? '0', 16);
    const shown = { ...shownOf(customer, Math.max(0, value)), [rowTag(CHAMPION_ROW)]: version };
    return await inMoment({ ...loaded, value: shown }, watched, deadline);
  }

  #championPorts(isolate: IsolateMachine): ChampionPorts {
    const registry = {
      store: { get: () => Promise.reject(new Error('There is no copy.')) },
      rollout: async () => undefined,
    } as unknown as RegistryPorts;
    const models = {
      get: async (_: unknown, manifest: Manifest) => ({ manifest, graph: GRAPH, candidates: undefined }),
      loaded: () => undefined,
    } as unknown as LoadedModels;
    const championIn = (version: number): RegistryPorts['champion'] => {
      const manifest = JSON.stringify(manifestOf(version));
      return async () => ({ manifest, previous: null, revision: version });
    };
    return {
      read: (request) => this.#reading.through(isolate, request),
      standIn: () => undefined,
      registry,
      loadChampion: async (load) => {
        const loading = this.#reading.loadChampion(isolate, (version) =>
          load({ ...registry, champion: championIn(version) }),
        );
        // As with a copy in R2 that does not answer either.
        const failed = (cause?: unknown) =>
          new Failure('model_unavailable', 'The database does not name the champion.', { cause });
        return await isolate.time.withTimeout(loading, CHAMPION_MS, failed).catch((error: unknown) => {
          throw failed(error);
        });
      },
      watch: () => this.#watch(isolate),
      models,
      keepAlive: () => undefined,
      deadlineMs: Number.POSITIVE_INFINITY,
      rollouts: NO_ROLLOUTS,
      served: () => undefined,
      watched: () => undefined,
      phases: () => isolate.follower.mirror.clock.phases.states,
      phasesKnown: () => isolate.follower.mirror.clock.phases.states,
    };
  }

  #watch(isolate: IsolateMachine): SeenFolds {
    const { follower, ended, time } = isolate;
    const within = <T>(ms: number, work: Promise<T>) =>
      time.withTimeout(work, ms, () => away(new Error('The shard did not answer in time.')));
    const ports: SeenPorts = {
      epoch: follower.mirror.clock.epoch,
      ended,
      currentEpoch: () => this.#deployment.toRoot(isolate, () => this.#deployment.root.epoch),
      invalidate: (tags) => this.#deployment.invalidateFrom(isolate, tags),
      withTimeout: time.withTimeout,
      shards: {
        read: (name, _, keys, now) =>
          within(
            SHARD_READ_MS,
            this.#call(isolate, name, (shard) => {
              const read = shard.readWithFolds(keys, now);
              this.#deployment.log(
                () => `${name} shows ${keys.join()} to ${isolate.name}, open ${read.folds.open.join()}`,
              );
              return read;
            }),
          ),
        readVersions: () => {
          throw new Error('No reader of the simulation names a version.');
        },
        announced: (name, announcement, at) =>
          within(
            SHARD_WRITE_MS,
            this.#call(isolate, name, (shard) => shard.announced(announcement, at)),
          ),
      },
      keepAlive: (work) => void work,
    };
    return new SeenFolds(ports);
  }

  #foldPorts(from: Machine): AnnouncePorts {
    return {
      fold: (events) => this.#fold(from, events, new Map()),
      invalidate: (tags) => this.#invalidateFrom(from, tags),
      announced: (name, announcement, at) =>
        this.#call(from, name, (shard) => shard.announced(announcement, at)),
      keepAlive: (work) => void work,
    };
  }

  /** Folds events; a call to a shard tells it what was invalidated before. */
  #fold(from: Machine, events: readonly FoldableEvent[], untold: Untold): Promise<Folded> {
    return foldEvents(FEATURES, events, {
      fold: (name, _, own) => {
        const told = untold.get(name);
        untold.delete(name);
        return this.#call(from, name, (shard) => shard.fold(own, told));
      },
    });
  }

  async #invalidateFrom(from: Machine, tags: readonly string[]): Promise<ClockMoment> {
    return await this.#deployment.toRoot(from, () => this.#deployment.invalidate(tags), true);
  }

  /** A call to a shard. Errors of the way there say that it is away, as the platform's do. */
  async #call<T>(from: Machine, name: string, work: (shard: ShardMachine) => T): Promise<T> {
    const shard = this.#shard(name);
    const answered = await this.#deployment.network
      .call(from, shard, () => {
        try {
          return { value: work(shard) };
        } catch (error) {
          return { error };
        }
      })
      .catch((error: unknown) => {
        throw away(error);
      });
    if ('error' in answered) throw answered.error;
    return answered.value as T;
  }

  #shard(name: string): ShardMachine {
    const shard = this.#shards.get(name);
    if (shard === undefined) throw new RangeError(`There is no shard ${name}.`);
    return shard;
  }

  #folded(event: FoldableEvent): void {
    const { customerId } = event.data as { customerId: string };
    const version = (this.#versions.get(customerId) ?? 0) + 1;
    this.#versions.set(customerId, version);
    const at = this.#deployment.moment();
    const write: OpenWrite = { dep: depOf(customerId), version, absent: false, begun: at, committed: at };
    this.#deployment.origin.writes.push(write);
    this.#folds.set(event.seq, write);
    this.#deployment.log(() => `purchase ${event.seq} is folded: ${write.dep} v${version}`);
  }

  #acknowledge({ seq }: ChangedEvent, token: Token): Token {
    const write = this.#folds.get(seq);
    const at = this.#deployment.moment();
    if (write === undefined)
      this.refusals.push({ rule: 'not-folded', what: `purchase ${seq}`, begunMs: at.ms, endedMs: at.ms });
    else if (write.acknowledged === undefined) Object.assign(write, { acknowledged: at, token });
    this.#deployment.log(() => `purchase ${seq} is acknowledged with ${formatToken(token)}`);
    return token;
  }

  /** The queue delivers each event some time later, at times twice, until it is folded and invalidated. */
  #enqueue(changes: readonly PendingChange[]): void {
    for (const { event } of changes) if (event !== null) this.#deliverLater(event);
  }

  #deliverLater(event: ChangedEvent): void {
    const { scheduler, chance } = this.#deployment;
    const afterMs = Math.round(chance.between('queue', 1, REDELIVERY_MS_MAX));
    scheduler.setTimer(afterMs, () => {
      const folding = foldAndInvalidate([event], this.#foldPorts(this.#consumer));
      void folding.catch(() => this.#deliverLater(event));
      if (chance.happens('queue', 0.2)) this.#deliverLater(event);
    });
  }
}

type ChampionDeadline = Parameters<typeof inMoment>[2];

const depOf = (customer: string) => `purchases:${customer}`;

function shownOf(customer: string, purchases: number): Shown {
  return { [depOf(customer)]: purchases };
}

/** An error as that of an object that may be reached later. */
function away(cause: unknown): Error {
  return Object.assign(new Error('The shard is away.', { cause }), { retryable: true });
}
