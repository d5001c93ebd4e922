import { setTimeout as sleep } from 'node:timers/promises';
import * as z from 'zod';
import type { Answer } from './client.ts';
import { customerDep } from './history.ts';
import { pick } from './products.ts';
import type { Purchasing } from './purchases.ts';
import { type Reading, readAs, type Session } from './readers.ts';

/**
 * Readers of the features of customers who buy, and of predictions from them. They ask for the few customers that are
 * being changed, so that an answer from memory meets a fold that has just been made.
 */

const SESSION_READERS = 4;
const OTHER_READERS = 4;
/** Reads of one session, in pairs, before the reader begins another. */
const SESSION_PAIRS = 12;
/** Between two reads of a reader, in milliseconds: so that writers get their share of the machine. */
const PAUSE_MS_MAX = 20;
const PREDICTION_SHARE = 0.3;
/** Of requests to a model: longer than anything that it waits for, so that no other answer stands in. */
const DEADLINE_MS = 10_000;
/** The feature that has the number of purchases. */
const COUNTED = 'purchases';
const COUNTED_NAME = 'purchases_365d';
/** Without a purchase the model counts 100 days since the last one, and answers 301; those of a customer are less. */
const WITHOUT_PURCHASE_MIN = 250;

export interface FeatureReading extends Purchasing {
  /** What a read appends to the name of each feature for its version. */
  readonly suffixes: ReadonlyMap<string, string>;
}

/** What is read of a customer: the features, versions of some of them, or the prediction. */
type Kind = 'features' | 'versions' | 'prediction';

/** Starts all readers, and settles once they have stopped. */
export async function runFeatureReaders(context: FeatureReading): Promise<void> {
  const { runtime, customers, signal } = context;
  const last = runtime.isolates - 1;
  const others = Array.from({ length: OTHER_READERS }, async (_, reader) => {
    const isolate = reader % runtime.isolates;
    // The last isolate has bounded and eventual readers alone: strong ones would keep its mirror young for them.
    const levels =
      isolate === last ? (['bounded', 'eventual'] as const) : (['strong', 'bounded', 'eventual'] as const);
    while (!signal.aborted) {
      const customer = pick(customers.active);
      const kind = Math.random() < PREDICTION_SHARE ? 'prediction' : 'features';
      await readAs(context, readingOf(context, kind, customer), {
        ...{ process: `reader ${reader}`, isolate, level: pick(levels) },
      });
      await sleep(Math.random() * PAUSE_MS_MAX);
    }
  });
  const sessions = Array.from({ length: SESSION_READERS }, async (_, reader) => {
    for (let round = 0; !signal.aborted; round += 1) await followSession(context, reader, round);
  });
  await Promise.all([...others, ...sessions]);
}

/**
 * A session asks a shard, then another isolate for what that one may still have in memory. Names of versions that are
 * asked for together for the first time are in no memory, so the first answer shows each fold as soon as it is made.
 */
async function followSession(context: FeatureReading, reader: number, round: number): Promise<void> {
  const { runtime, customers, signal } = context;
  const written = Math.random() < 0.5 ? customers.lastTokens[0] : undefined;
  const session: Session = { name: `session ${reader}/${round}`, token: written?.token };
  const customer = written?.customer ?? pick(customers.active);
  const process = `session reader ${reader}`;
  for (let pairs = 0; pairs < SESSION_PAIRS && !signal.aborted; pairs += 1) {
    const first = Math.floor(Math.random() * (runtime.isolates - 1));
    const second = (first + 1) % (runtime.isolates - 1);
    const fromMemory = Math.random() < PREDICTION_SHARE ? 'prediction' : 'features';
    const way = { process, level: 'bounded', session } as const;
    await readAs(context, readingOf(context, 'versions', customer), { ...way, isolate: first });
    await readAs(context, readingOf(context, fromMemory, customer), { ...way, isolate: second });
    await sleep(Math.random() * PAUSE_MS_MAX);
  }
}

/** One strong read of each kind, of every customer and through every isolate. */
export async function readAtTheEnd(context: FeatureReading): Promise<void> {
  const { runtime, customers, history } = context;
  for (const customer of customers.all)
    for (const kind of ['features', 'versions', 'prediction'] as const)
      for (let isolate = 0; isolate < runtime.isolates; isolate += 1) {
        const way = { process: 'last look', isolate, level: 'strong' } as const;
        if ((await readAs(context, readingOf(context, kind, customer), way)) === undefined)
          history.breaches.push(`At the end isolate ${isolate} does not answer ${kind} of ${customer}.`);
      }
}

function readingOf({ runtime, suffixes }: FeatureReading, kind: Kind, customer: string): Reading {
  const { authorization = '' } = runtime.headersFrom('EU');
  const headers = {
    authorization,
    'content-type': 'application/json',
    'millrace-deadline-ms': String(DEADLINE_MS),
  };
  // A purchase is owed once it is acknowledged: until then it may be stored and not folded.
  const common = { headers, view: kind, shape: 'row', sourceBoundMs: undefined } as const;
  if (kind === 'prediction')
    return {
      ...common,
      path: `/v1/customers/${customer}/expected-spend`,
      shownBy: (answer) => versionOf(customer, purchasesOfPrediction(answer)),
    };
  const name = kind === 'features' ? COUNTED_NAME : `${COUNTED_NAME}${suffixes.get(COUNTED) ?? ''}`;
  const others = kind === 'features' ? [] : [...suffixes].flatMap(([of, suffix]) => someOf(of, suffix));
  return {
    ...common,
    path: '/v1/features/read',
    method: 'POST',
    body: JSON.stringify({ entity: 'customer', keys: [customer], features: [name, ...others] }),
    shownBy: (answer) => versionOf(customer, purchasesOfFeatures(answer, name)),
  };
}

/** The read names of the customer's other features, by feature; one that is not here is not asked for. */
const OTHERS: Readonly<Record<string, readonly string[]>> = {
  purchases: ['purchases_30d'],
  spend_minor: ['spend_minor_90d'],
  last_purchase_at: ['last_purchase_at'],
  items: ['items'],
  product_views: ['product_views_7d'],
};

function someOf(feature: string, suffix: string): string[] {
  return (OTHERS[feature] ?? []).flatMap((name) => (Math.random() < 0.5 ? [`${name}${suffix}`] : []));
}

function versionOf(customer: string, purchases: number | string): [string, number | 'absent'][] | string {
  if (typeof purchases === 'string') return purchases;
  return [[customerDep(customer), purchases === 0 ? 'absent' : purchases]];
}

const Features = z.object({
  results: z.tuple([
    z.object({
      features: z.record(z.string(), z.object({ value: z.unknown(), status: z.string() })),
    }),
  ]),
});
const Prediction = z.object({ value: z.number(), source: z.string(), degraded: z.string().optional() });

/** How many purchases an answer shows; where it shows none that can be judged, the reason. */
function purchasesOfFeatures({ body }: Answer, name: string): number | string {
  const { value, status = 'missing' } = Features.parse(body).results[0].features[name] ?? {};
  return status === 'PRESENT' || status === 'NOT_FOUND' ? Number(value ?? 0) : status;
}

function purchasesOfPrediction({ body }: Answer): number | string {
  const { value, source, degraded } = Prediction.parse(body);
  if (degraded !== undefined || source !== 'model') return degraded ?? source;
  // Twice and once the number, three times the days since the last purchase, which are a small part of one, and 1.
  return value >= WITHOUT_PURCHASE_MIN ? 0 : Math.round((value - 1) / 3);
}
