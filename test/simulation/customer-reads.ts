import type { CachedAnswer } from '../../src/cache/cached-answer.ts';
import { formatToken, type Token } from '../../src/cache/clock/clock.ts';
import type { Consistency, ReadRequest } from '../../src/cache/read-through.ts';
import { cachePolicy } from '../../src/define/cache-policy.ts';
import type { Loaded } from '../../src/define/view.ts';
import { type ReadRows, type RowsAsked, readRows } from '../../src/features/row-cache.ts';
import { laterMoment, SeenFolds, type SeenPorts } from '../../src/features/seen-folds.ts';
import type { ReadFeatures } from '../../src/features/shards.ts';
import {
  type ChampionPorts,
  featuresOfShards,
  inMoment,
  keptFeatures,
  predictPorts,
} from '../../src/gateway/champion.ts';
import type { Manifest } from '../../src/inference/bundle.ts';
import type { Graph } from '../../src/inference/graph.ts';
import type { LoadedModels } from '../../src/inference/loaded-models.ts';
import { predict } from '../../src/inference/predict.ts';
import type { RegistryPorts } from '../../src/inference/registry.ts';
import { Failure } from '../../src/platform/failure.ts';
import { expectedSpend } from '../support/catalog/models.ts';
import type { Deployment } from './deployment.ts';
import type { IsolateMachine } from './machines.ts';
import { CHAMPION_ROW, rowTag, type Shown } from './origin.ts';
import { ENTITY, FEATURES, type ShardMachine } from './shard.ts';
import { customerOf } from './steps.ts';

/** As `src/composition` has them, in milliseconds. */
const SHARD_READ_MS = 900;
const SHARD_WRITE_MS = 5_000;
const CHAMPION_MS = 600;

/** An answer that the isolate did not have in memory. */
const MISS = { hit: false, stored: false, collapsed: false } as const;

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

/** Calls the shard of a name from an isolate. */
type CallShard = <T>(from: IsolateMachine, name: string, call: (shard: ShardMachine) => T) => Promise<T>;

/** Reads of what is known of customers: their features, and what a model says of them. */
export class CustomerReads {
  readonly #deployment: Deployment;
  readonly #reading: Reading;
  readonly #call: CallShard;

  constructor(deployment: Deployment, reading: Reading, call: CallShard) {
    this.#deployment = deployment;
    this.#reading = reading;
    this.#call = call;
  }

  /** The features of a customer, as an answer of the cache. */
  async features(isolate: IsolateMachine, key: string, consistency: Consistency): Promise<CachedAnswer> {
    const customer = customerOf(key);
    const asked = { entity: ENTITY, keys: [customer], now: isolate.time.now() };
    const read = await this.#readRows(isolate, asked, consistency);
    const shown = shownOf(customer, Number(read.rows[0]?.['purchases_365d']?.value ?? 0));
    const isHit = read.missed === 0;
    const source = isHit
      ? ({ hit: true, tier: 'memory', stale: false } as const)
      : ({ ...MISS, forward: read.isBypassed ? 'bypass' : 'uri-miss' } as const);
    return answerOf(isolate, shown, source, read.token);
  }

  /** Makes a prediction for a customer, as a fill of the model's path does it. */
  async predict(isolate: IsolateMachine, key: string, consistency: Consistency): Promise<Loaded> {
    const watched = this.#watch(isolate);
    const features = featuresOfShards(watched);
    return (await this.#predicted(isolate, customerOf(key), consistency, watched, features)).loaded;
  }

  /** A prediction for a customer that no cache keeps (`src/gateway/routes/predictions.ts`). */
  async predictionNow(isolate: IsolateMachine, key: string, consistency: Consistency): Promise<CachedAnswer> {
    const watched = this.#watch(isolate);
    const features = keptFeatures(this.#championPorts(isolate), consistency, watched);
    const made = await this.#predicted(isolate, customerOf(key), consistency, watched, features);
    const { loaded, isMarked } = made;
    // A marked answer promises nothing.
    if (isMarked) throw new Failure('model_unavailable', 'The version may not be the champion any more.');
    const { epoch, seq } = isolate.follower.mirror.clock;
    // As `tokenAt` of the composition has it.
    const token = loaded.asOf === null ? undefined : laterMoment({ epoch, seq }, loaded.asOf);
    return answerOf(isolate, loaded.value as Shown, { ...MISS, forward: 'uri-miss' }, token ?? undefined);
  }

  async #predicted(
    isolate: IsolateMachine,
    customer: string,
    consistency: Consistency,
    watched: SeenFolds,
    features: ReadFeatures,
  ): Promise<{ readonly loaded: Loaded; readonly isMarked: boolean }> {
    const deadline = { within: async <T>(work: Promise<T>) => await work } as ChampionDeadline;
    const ports = { ...this.#championPorts(isolate), predicted: () => undefined };
    const by = { deadline, watched, features };
    const predicting = predictPorts(ports, expectedSpend, consistency, by, async () => undefined);
    const request = { key: customer, request: {}, pointerPrefix: '', include: [] };
    const now = () => isolate.time.now();
    const loaded = await predict(expectedSpend, request, { ...predicting, now, newId: () => '' });
    const { value, model, degraded } = loaded.value as {
      value: number;
      model: { version: string | null };
      degraded?: string;
    };
    const version = Number.parseInt(model.version ?? '0', 16);
    const shown = { ...shownOf(customer, Math.max(0, value)), [rowTag(CHAMPION_ROW)]: version };
    return {
      loaded: await inMoment({ ...loaded, value: shown }, watched, deadline),
      isMarked: degraded !== undefined,
    };
  }

  async #readRows(isolate: IsolateMachine, asked: RowsAsked, consistency: Consistency): Promise<ReadRows> {
    const { follower, rows: cache } = isolate;
    return await readRows(asked, consistency, {
      ...{ cache, follower, features: FEATURES },
      context: this.#reading.contextOf(isolate),
      watch: () => this.#watch(isolate),
      wasReplaced: async () => false,
    });
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
      readRows: (asked, consistency) => this.#readRows(isolate, asked, consistency),
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
}

type ChampionDeadline = Parameters<typeof inMoment>[2];

export const depOf = (customer: string) => `purchases:${customer}`;

function shownOf(customer: string, purchases: number): Shown {
  return { [depOf(customer)]: purchases };
}

/** What was made for a reader, as an answer of the cache. */
function answerOf(
  { follower }: IsolateMachine,
  shown: Shown,
  source: CachedAnswer['source'],
  moment: Token | undefined,
): CachedAnswer {
  const { epoch, seq } = follower.mirror.clock;
  const entry = {
    body: JSON.stringify(shown),
    etag: '',
    tagHashes: [],
    epoch,
    stamp: seq,
    fillMs: 0,
    filledAt: 0,
  };
  const times = { ageS: 0, ttlS: 0, maxAgeS: 0, judgedSeq: seq, mirrorAgeMs: 0 };
  const token = moment === undefined ? undefined : formatToken(moment);
  return { entry, source, ...times, token, unverified: undefined };
}

/** An error as that of an object that may be reached later. */
export function away(cause: unknown): Error {
  return Object.assign(new Error('The shard is away.', { cause }), { retryable: true });
}
