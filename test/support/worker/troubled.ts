/**
 * The worker of `index.ts` whose peers hang, answer late or fail on command.
 *
 * `PUT /test/troubles` with `{ "<peer>": "hang" | "late" | "fail" | "wrong" }` replaces what is wrong with the peers, and closes all
 * breakers; with `?breakers=keep` it leaves them. The header `isolate` names the isolate that answers a request: each name has
 * state of its own, as isolates of the platform have, but for the breakers. The header `hanging` names a peer that hangs for
 * this request alone; such a request finds all breakers closed.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { durableObjects } from '../../../src/composition/durable-objects.ts';
import type { Env } from '../../../src/composition/env.ts';
import { createWorker } from '../../../src/composition/worker.ts';
import { recipeOf } from '../../../src/define/training-recipe.ts';
import { resetBreakers } from '../../../src/platform/breakers.ts';
import { sleep } from '../../../src/platform/clock.ts';
import { catalog as fixture } from '../catalog/index.ts';

/** The fixture's catalog, with a model that can be trained, so that a start of a training reaches its object. */
const training = recipeOf({ kind: 'trees', trees: 2 }, 'regression');
const catalog = {
  ...fixture,
  models: fixture.models.map((model) => (model.name === 'expected-spend' ? { ...model, training } : model)),
};

type Trouble = 'hang' | 'late' | 'fail' | 'wrong';

/** How late an answer comes, in milliseconds. */
const LATE_MS = 10_000;

let troubles: ReadonlyMap<string, Trouble> = new Map();
/** The peer that hangs for the request that is being answered. */
const hanging = new AsyncLocalStorage<string | null>();

/** Calls a peer, which takes effect and answers as its trouble lets it. */
async function call<T>(peer: string, answer: () => Promise<T>): Promise<T> {
  switch (hanging.getStore() === peer ? 'hang' : troubles.get(peer)) {
    case 'hang':
      return await new Promise<never>(() => undefined);
    case 'late': {
      const answered = answer();
      await sleep(LATE_MS);
      return await answered;
    }
    case 'fail':
      // As the platform marks errors of objects that may answer later.
      throw Object.assign(new Error('Network connection lost.'), { retryable: true });
    case 'wrong':
      return garbled(await answer());
    case undefined:
      return await answer();
  }
}

/** What a peer answers whose answers are of another format: a proxy's page of an error, with status 200. */
const PAGE = '<!doctype html><title>502 Bad Gateway</title>';

/** The answer with other bytes in it. */
function garbled<T>(answer: T): T {
  if (answer instanceof Response)
    return new Response(PAGE, { headers: { 'content-type': 'text/html' } }) as T;
  const bytes = () => new TextEncoder().encode(PAGE);
  if (answer instanceof ArrayBuffer) return bytes().buffer as T;
  if (typeof answer !== 'object' || answer === null || !('arrayBuffer' in answer)) return answer;
  const object = {
    arrayBuffer: async () => bytes().buffer,
    body: new Blob([PAGE]).stream(),
    size: PAGE.length,
  };
  return new Proxy(answer, {
    get: (target, name) => Reflect.get(name in object ? object : target, name, target),
  });
}

/** The binding, each of whose methods is a call of the peer. */
function troubled<Binding extends object>(peer: string, binding: Binding): Binding {
  return new Proxy(binding, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name, target);
      if (typeof member !== 'function' || typeof name === 'symbol') return member;
      return (...sent: unknown[]) => call(peer, async () => await Reflect.apply(member, target, sent));
    },
  });
}

/** The namespace, whose stubs are troubled. */
function troubledObjects<Namespace extends object>(
  peerOf: (name: string) => string,
  namespace: Namespace,
): Namespace {
  return new Proxy(namespace, {
    get(target, method) {
      const member: unknown = Reflect.get(target, method, target);
      if (typeof member !== 'function') return member;
      return (...sent: unknown[]) => {
        const made: unknown = Reflect.apply(member, target, sent);
        const name: unknown = sent[0];
        return method === 'getByName' && typeof name === 'string' && typeof made === 'object' && made !== null
          ? troubled(peerOf(name), made)
          : made;
      };
    },
  });
}

const made = new WeakMap<Env, Env>();

function troubledEnv(env: Env): Env {
  const known = made.get(env);
  if (known !== undefined) return known;
  const objects = <Namespace extends object>(peer: string, namespace: Namespace) =>
    troubledObjects(() => peer, namespace);
  const changed: Env = {
    ...env,
    CACHE: troubled('kv', env.CACHE),
    MODELS: troubled('artifacts', env.MODELS),
    EVENTS: troubled('queue', env.EVENTS),
    EVENTS_BULK: troubled('queue', env.EVENTS_BULK),
    CHANGES: troubled('queue', env.CHANGES),
    CHANGES_BULK: troubled('queue', env.CHANGES_BULK),
    SINK: troubled('queue', env.SINK),
    DEAD: troubled('queue', env.DEAD),
    TAG_CLOCK: troubledObjects((name) => (name === 'root' ? 'root-clock' : 'regional-clock'), env.TAG_CLOCK),
    FEATURE_SHARD: objects('feature-shard', env.FEATURE_SHARD),
    OUTBOX_RELAY: objects('outbox-relay', env.OUTBOX_RELAY),
    FILL_GATE: objects('fill-gate', env.FILL_GATE),
    CACHE_STATS: objects('cache-stats', env.CACHE_STATS),
    QUEUED_EVENTS: objects('queued-events', env.QUEUED_EVENTS),
    KAFKA_SOURCE: objects('kafka-source', env.KAFKA_SOURCE),
    CHANGE_FEED: objects('change-feed', env.CHANGE_FEED),
    QUALITY_WINDOW: objects('quality-window', env.QUALITY_WINDOW),
    RATE_LIMITER: objects('rate-limiter', env.RATE_LIMITER),
    IDEMPOTENCY: objects('idempotency', env.IDEMPOTENCY),
    DATASETS: objects('datasets', env.DATASETS),
    TRAINING_RUNS: objects('training-runs', env.TRAINING_RUNS),
    ROLLOUTS: objects('rollouts', env.ROLLOUTS),
    FEEDBACK: objects('feedback', env.FEEDBACK),
    DRIFT_WATCHES: objects('drift-watches', env.DRIFT_WATCHES),
    ALERTS: objects('alerts', env.ALERTS),
  };
  made.set(env, changed);
  return changed;
}

/** The database and the Kafka bridge are reached by `fetch`, whose signal ends also a call that hangs. */
const platformFetch = globalThis.fetch;
globalThis.fetch = async (input, init) => {
  const url = new Request(input).url;
  const peer = url.includes('/kafka') ? 'kafka' : url.includes('/issuer') ? 'issuer' : 'database';
  const aborted = Promise.withResolvers<never>();
  init?.signal?.addEventListener('abort', () => aborted.reject(init.signal?.reason));
  return await Promise.race([call(peer, () => platformFetch(input, init)), aborted.promise]);
};

const platformCaches = caches;
Object.defineProperty(globalThis, 'caches', {
  value: { default: troubled('colo-cache', platformCaches.default) },
});

const classes = durableObjects(catalog);
export const { CacheStats, ChangeFeed, FillGate, Idempotency, QualityWindow, QueuedEvents, RateLimiter } =
  classes;
export class TagClock extends classes.TagClock {
  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, troubledEnv(env));
  }
}
export class FeatureShard extends classes.FeatureShard {
  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, troubledEnv(env));
  }
}
export class OutboxRelay extends classes.OutboxRelay {
  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, troubledEnv(env));
  }
}
export class Datasets extends classes.Datasets {
  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, troubledEnv(env));
  }
}
export class TrainingRuns extends classes.TrainingRuns {
  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, troubledEnv(env));
  }
}
export class Rollouts extends classes.Rollouts {
  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, troubledEnv(env));
  }
}
export class Feedback extends classes.Feedback {
  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, troubledEnv(env));
  }
}
export class DriftWatches extends classes.DriftWatches {
  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, troubledEnv(env));
  }
}
export class Alerts extends classes.Alerts {
  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, troubledEnv(env));
  }
}
export class KafkaSource extends classes.KafkaSource {
  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, troubledEnv(env));
  }
}

const isolates = new Map<string, ReturnType<typeof createWorker>>();

function isolateOf(name: string): ReturnType<typeof createWorker> {
  const isolate = isolates.get(name) ?? createWorker(catalog);
  isolates.set(name, isolate);
  return isolate;
}

export default {
  async fetch(request, env, ctx): Promise<Response> {
    const url = new URL(request.url);
    if (url.pathname === '/test/troubles') {
      if (url.searchParams.get('breakers') !== 'keep') resetBreakers();
      troubles = new Map(Object.entries(await request.json<Record<string, Trouble>>()));
      return new Response(null, { status: 204 });
    }
    const name = request.headers.get('isolate') ?? 'main';
    const hung = request.headers.get('hanging');
    if (hung !== null) resetBreakers();
    const answer = async () => await isolateOf(name).fetch(request, troubledEnv(env), ctx);
    return await hanging.run(hung, answer);
  },
  async queue(batch, env, ctx): Promise<void> {
    await isolateOf('main').queue(batch, troubledEnv(env), ctx);
  },
  async scheduled(controller, env, ctx): Promise<void> {
    await isolateOf('main').scheduled(controller, troubledEnv(env), ctx);
  },
} satisfies ExportedHandler<Env>;
