/**
 * The worker of `index.ts` as `npm run chaos` runs it, with routes under `/chaos/` by which an experiment hangs, ends or
 * empties real Durable Objects of the runtime, and sets the wall clock of an isolate. Everything else is the product.
 */

// First: the product keeps the function that reads the clock when it is loaded.
import './chaos-clock.ts';
import { durableObjects } from '../../../src/composition/durable-objects.ts';
import type { Env } from '../../../src/composition/env.ts';
import { createWorker } from '../../../src/composition/worker.ts';
import { sleep } from '../../../src/platform/clock.ts';
import { catalog } from '../catalog/index.ts';
import { setSkew } from './chaos-clock.ts';

/**
 * - `hang`: the object's input gate is closed, so it takes no call, as while its code waits for its own storage.
 * - `gone`: the object ends in the middle of what it does, and cannot start.
 * - `lose`: its storage is deleted, and it ends.
 */
type ObjectFault = 'hang' | 'gone' | 'lose';

/** How often an object that hangs looks whether it may go on, in milliseconds. */
const HANGING_PAUSE_MS = 20;

/** The objects of this isolate that hang, and those that cannot start, by class and name. */
const hanging = new Set<string>();
const gone = new Set<string>();

/** @throws Error while an object of this name cannot start. */
function assertCanStart(className: string, { id }: DurableObjectState): void {
  if (gone.has(`${className}/${id.name}`)) throw new Error('An experiment keeps this object from starting.');
}

async function disturb(className: string, ctx: DurableObjectState, fault: ObjectFault): Promise<void> {
  const key = `${className}/${ctx.id.name}`;
  switch (fault) {
    case 'hang':
      hanging.add(key);
      void ctx.blockConcurrencyWhile(async () => {
        while (hanging.has(key)) await sleep(HANGING_PAUSE_MS);
      });
      return;
    case 'gone':
      gone.add(key);
      return ctx.abort('An experiment ends this object.');
    case 'lose':
      await ctx.storage.deleteAll();
      return ctx.abort('An experiment has deleted the storage of this object.');
  }
}

const classes = durableObjects(catalog);

export const {
  Alerts,
  CacheStats,
  ChangeFeed,
  Datasets,
  DriftWatches,
  Feedback,
  FillGate,
  Idempotency,
  KafkaSource,
  QualityWindow,
  QueuedEvents,
  RateLimiter,
  Rollouts,
  TrainingRuns,
} = classes;

export class TagClock extends classes.TagClock {
  constructor(ctx: DurableObjectState, env: Env) {
    assertCanStart('TagClock', ctx);
    super(ctx, env);
  }

  async disturb(fault: ObjectFault): Promise<void> {
    await disturb('TagClock', this.ctx, fault);
  }

  /** Whether it answers calls. */
  async answers(): Promise<true> {
    return true;
  }
}

export class FeatureShard extends classes.FeatureShard {
  constructor(ctx: DurableObjectState, env: Env) {
    assertCanStart('FeatureShard', ctx);
    super(ctx, env);
  }

  async disturb(fault: ObjectFault): Promise<void> {
    await disturb('FeatureShard', this.ctx, fault);
  }

  /** Whether it answers calls. */
  async answers(): Promise<true> {
    return true;
  }
}

export class OutboxRelay extends classes.OutboxRelay {
  constructor(ctx: DurableObjectState, env: Env) {
    assertCanStart('OutboxRelay', ctx);
    super(ctx, env);
  }

  async disturb(fault: ObjectFault): Promise<void> {
    await disturb('OutboxRelay', this.ctx, fault);
  }

  /** Whether it answers calls. */
  async answers(): Promise<true> {
    return true;
  }
}

type DisturbedClass = 'TagClock' | 'FeatureShard' | 'OutboxRelay';

/** What an experiment sends to `PUT /chaos/objects`. */
interface Disturbance {
  readonly className: DisturbedClass;
  readonly names: readonly string[];
  readonly fault: ObjectFault;
}

/** Within this time an object that does not hang answers, in milliseconds. */
const ANSWER_MS = 1_000;

function stubOf(env: Env, className: DisturbedClass, name: string) {
  const namespaces = {
    TagClock: env.TAG_CLOCK,
    FeatureShard: env.FEATURE_SHARD,
    OutboxRelay: env.OUTBOX_RELAY,
  };
  // The bindings name the classes of the product, in whose place those above run.
  return (namespaces[className] as unknown as DurableObjectNamespace<TagClock>).getByName(name);
}

/** Disturbs objects; an object that ends cannot answer, so its error is what was asked for. */
async function disturbObjects(env: Env, { className, names, fault }: Disturbance): Promise<void> {
  await Promise.all(
    names.map(async (name) => {
      const disturbing = stubOf(env, className, name).disturb(fault);
      await (fault === 'hang' ? disturbing : disturbing.catch(() => undefined));
    }),
  );
}

async function answersCalls(env: Env, className: DisturbedClass, name: string): Promise<boolean> {
  const answer = stubOf(env, className, name)
    .answers()
    .catch(() => false);
  return await Promise.race([answer, sleep(ANSWER_MS).then(() => false)]);
}

/** Turns every bit of every object in R2; once more, and they are as they were. */
async function turnBits({ MODELS }: Env): Promise<void> {
  const { objects } = await MODELS.list();
  for (const { key } of objects) {
    const bytes = new Uint8Array((await (await MODELS.get(key))?.arrayBuffer()) ?? []);
    await MODELS.put(
      key,
      bytes.map((byte) => byte ^ 0xff),
    );
  }
}

async function control(request: Request, env: Env, ctx: ExecutionContext): Promise<Response> {
  const { pathname } = new URL(request.url);
  switch (`${request.method} ${pathname}`) {
    case 'PUT /chaos/objects':
      await disturbObjects(env, await request.json<Disturbance>());
      return Response.json({});
    case 'POST /chaos/objects': {
      const { className, name } = await request.json<{ className: DisturbedClass; name: string }>();
      return Response.json({ answers: await answersCalls(env, className, name) });
    }
    case 'DELETE /chaos/objects':
      hanging.clear();
      gone.clear();
      return Response.json({});
    case 'POST /chaos/bucket':
      await turnBits(env);
      return Response.json({});
    case 'POST /chaos/cron':
      // The caller does not wait for it: the work of a minute may hang with what it needs.
      ctx.waitUntil(Promise.resolve(worker.scheduled({ ...CRON, scheduledTime: Date.now() }, env, ctx)));
      return Response.json({});
    case 'PUT /chaos/clock':
      setSkew((await request.json<{ readonly ms: number }>()).ms);
      return Response.json({ now: Date.now() });
    default:
      return new Response(null, { status: 404 });
  }
}

const CRON = { cron: '* * * * *', noRetry: () => undefined };

const worker = createWorker(catalog);

export default {
  ...worker,
  async fetch(request, env, ctx): Promise<Response> {
    if (new URL(request.url).pathname.startsWith('/chaos/')) return await control(request, env, ctx);
    return await worker.fetch(request, env, ctx);
  },
} satisfies ExportedHandler<Env>;
