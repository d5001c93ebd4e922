import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { sql } from 'drizzle-orm';
import * as z from 'zod';
import { type Client, createClient } from '../../src/client/index.ts';
import { historyOf } from '../../src/composition/history.ts';
import type { Catalog } from '../../src/define/catalog.ts';
import { readNames } from '../../src/define/feature.ts';
import { answerOf } from '../../src/features/answer.ts';
import { keysOf } from '../../src/features/fold.ts';
import { joinHistory } from '../../src/features/join-history.ts';
import type { AsOfRequest } from '../../src/features/point-in-time.ts';
import { READ_KEYS_MAX, routeEvents } from '../../src/features/shards.ts';
import { asCurrent } from '../../src/pipeline/contracts/versions.ts';
import { type Random, seededRandom, shuffledIndices } from '../../src/platform/random.ts';
import type { connect } from '../../src/storage/postgres/connect.ts';
import { readHistory } from '../../src/storage/postgres/history.ts';

/** A CloudEvent in its JSON format. */
export interface SentEvent {
  readonly source: string;
  readonly id: string;
  readonly type: string;
  readonly time: string;
  readonly data: unknown;
}

/** A running worker with its database. */
export interface Deployment {
  readonly url: URL;
  readonly key: string;
  readonly catalog: Catalog;
  readonly db: ReturnType<typeof connect>;
}

export interface ParityPlan {
  readonly seed: number;
  /** How often the stream stops for reads. */
  readonly stops: number;
  /** How many pairs of an entity's key and a moment are read in all. */
  readonly pairs: number;
}

/** What the online store answered for one key at a stop. */
export interface Observation {
  readonly request: AsOfRequest & { readonly known: number };
  readonly features: unknown;
}

export interface Difference {
  readonly request: AsOfRequest;
  readonly feature: string;
  readonly online: unknown;
  readonly history: unknown;
}

/** Events of a request: the most that it may have. */
const REQUEST_EVENTS = 1_000;
const REQUESTS_AT_ONCE = 3;
/** Consecutive events that stay together when the stream is shuffled. */
const BLOCK_EVENTS = 100;
/** A share of the requests is sent a second time. */
const REPEATED_SHARE = 0.05;
const FOLDED_MS_MAX = 300_000;
/** One answer: an wait for events ends within it. */
const ANSWER_MS_MAX = 60_000;
/** Queued events are stored soon. */
const QUEUED_MS = 1_000;
const READY_MS_MAX = 120_000;
const PAGE_EVENTS = 2_000;

const Pipeline = z.object({
  outbox: z.object({ pending: z.int() }),
  features: z.object({ folded: z.record(z.string(), z.int()) }),
});
const Read = z.object({
  asOf: z.int(),
  results: z.array(z.object({ key: z.unknown(), features: z.record(z.string(), z.unknown()) })),
});

/**
 * Sends the events to a deployment in an order that has little to do with their times, so that most are late, and some
 * twice. At each of the stops it waits until what was stored is folded, and reads the features of random keys over HTTP.
 *
 * @param tell is called at each stop with the number of events sent.
 */
export async function observeOnline(
  deployment: Deployment,
  events: readonly SentEvent[],
  { seed, stops, pairs }: ParityPlan,
  tell: (sent: number, observed: number) => void = () => undefined,
): Promise<Observation[]> {
  const random = seededRandom(seed);
  const stream = inBlocks(events, random);
  const folded = new FoldedCounts(deployment);
  const observations: Observation[] = [];
  for (let stop = 1, sent = 0; stop <= stops; stop += 1) {
    // The stops are at random points of equal parts of the stream; the last is at its end.
    const until = stop === stops ? stream.length : Math.floor(((stop - random()) / stops) * stream.length);
    await sendAll(deployment, stream.slice(sent, until), random);
    sent = Math.max(sent, until);
    await folded.wait();
    const known = await databaseMoment(deployment);
    const wanted = Math.round((stop * pairs) / stops) - observations.length;
    const keys = randomKeys(deployment.catalog, stream, sent, wanted, random);
    for (const [entity, of] of Map.groupBy(keys, ([entity]) => entity))
      for (let from = 0; from < of.length; from += READ_KEYS_MAX) {
        const part = of.slice(from, from + READ_KEYS_MAX).map(([, key]) => key);
        observations.push(...(await readOnline(deployment, entity, part, known)));
      }
    tell(sent, observations.length);
  }
  return observations;
}

/** Every value of the observations that history answers otherwise, in any bit, with its status and time. */
export async function differencesOf(
  { catalog, db }: Pick<Deployment, 'catalog' | 'db'>,
  observations: readonly Observation[],
): Promise<Difference[]> {
  const requests = observations.map(({ request }) => request);
  const rows = await joinHistory(catalog.features, requests, historyOf(db, catalog));
  return observations.flatMap(({ request, features }, index) => {
    const derived = catalog.derived.filter(({ entity }) => entity.name === request.entity);
    const free = derived.filter(({ request: fields }) => Object.keys(fields.shape).length === 0);
    const stored = catalog.features.filter(({ entity }) => entity.name === request.entity);
    const names = [...stored.flatMap(readNames), ...free.map(({ name }) => name)];
    const asked = { names, now: request.at, derived, requests: new Map(names.map((name) => [name, {}])) };
    // As JSON has it, which keeps every double.
    const history = z
      .record(z.string(), z.unknown())
      .parse(JSON.parse(JSON.stringify(answerOf(rows[index] ?? {}, asked))));
    const online = z.record(z.string(), z.unknown()).parse(features);
    return [...new Set([...Object.keys(history), ...Object.keys(online)])]
      .filter((name) => !isDeepStrictEqual(history[name], online[name]))
      .map((name) => ({ request, feature: name, online: online[name], history: history[name] }));
  });
}

/** How many values of the observations have each status. */
export function statusesOf(observations: readonly Observation[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { features } of observations)
    for (const { status } of Object.values(
      z.record(z.string(), z.object({ status: z.string() })).parse(features),
    ))
      counts[status] = (counts[status] ?? 0) + 1;
  return counts;
}

function inBlocks(events: readonly SentEvent[], random: Random): SentEvent[] {
  const order = shuffledIndices(Math.ceil(events.length / BLOCK_EVENTS), random);
  return [...order].flatMap((block) => events.slice(block * BLOCK_EVENTS, (block + 1) * BLOCK_EVENTS));
}

async function sendAll(deployment: Deployment, events: readonly SentEvent[], random: Random): Promise<void> {
  const requests: (readonly SentEvent[])[] = [];
  for (let from = 0; from < events.length; from += REQUEST_EVENTS) {
    const request = events.slice(from, from + REQUEST_EVENTS);
    requests.push(request);
    if (random() < REPEATED_SHARE) requests.push(request);
  }
  await Promise.all(
    Array.from({ length: REQUESTS_AT_ONCE }, async () => {
      for (let request = requests.shift(); request !== undefined; request = requests.shift())
        await send(deployment, request);
    }),
  );
}

/** Returns once the events are stored or in quarantine. A request whose events are only queued is sent again. */
async function send(deployment: Deployment, events: readonly SentEvent[]): Promise<void> {
  const client = clientOf(deployment);
  for (;;) {
    const response = await client.fetch('/v1/events', {
      ...{ method: 'POST', isRepeatable: true, body: JSON.stringify(events) },
      contentType: 'application/cloudevents-batch+json',
      headers: { prefer: 'wait', 'millrace-lane': 'bulk' },
    });
    // 207 says that some are in quarantine.
    if (response.status !== 202) return;
    await sleep(QUEUED_MS);
  }
}

function clientOf({ url, key }: Deployment): Client {
  return createClient({ url: url.origin, key, deadlineMs: FOLDED_MS_MAX, attemptMs: ANSWER_MS_MAX });
}

/** Knows how many events the shards of each entity have folded once everything stored is folded. */
class FoldedCounts {
  readonly #deployment: Deployment;
  readonly #expected = new Map<string, number>();
  #seq = 0;

  constructor(deployment: Deployment) {
    this.#deployment = deployment;
  }

  async wait(): Promise<void> {
    await this.#count();
    const client = clientOf(this.#deployment);
    const deadline = performance.now() + FOLDED_MS_MAX;
    for (;;) {
      const { data } = await client.get('/v1/admin/pipeline');
      const { outbox, features } = Pipeline.parse(data);
      const left = [...this.#expected].map(([entity, events]) => events - (features.folded[entity] ?? 0));
      if (outbox.pending === 0 && left.every((events) => events === 0)) return;
      if (left.some((events) => events < 0)) throw new Error('More events are folded than are stored.');
      if (performance.now() > deadline) throw new Error(`${Math.max(...left)} stored events are not folded.`);
      await sleep(200);
    }
  }

  async #count(): Promise<void> {
    const { db, catalog } = this.#deployment;
    for (;;) {
      const page = { after: this.#seq, lastSeq: Number.MAX_SAFE_INTEGER, limit: PAGE_EVENTS };
      const events = await readHistory(db, {}, page);
      const current = events.map((event) => asCurrent(catalog.eventTypes, event));
      for (const { entity, events: own } of routeEvents(catalog.features, current).values())
        this.#expected.set(entity, (this.#expected.get(entity) ?? 0) + own.length);
      this.#seq = events.at(-1)?.seq ?? this.#seq;
      if (events.length < PAGE_EVENTS) return;
    }
  }
}

/**
 * A moment at which everything that is stored now was stored, and before anything that is stored after this call. Moments of storing are
 * rounded up, so two milliseconds lie between it and either.
 */
async function databaseMoment({ db }: Deployment): Promise<number> {
  await sleep(2);
  const { rows } = await db.execute(sql`select extract(epoch from clock_timestamp()) * 1000 as now`);
  const { now } = z.object({ now: z.coerce.number() }).parse(rows[0]);
  await sleep(2);
  return Math.floor(now);
}

/** Keys of random events: mostly of those that were sent, and some of those that were not. */
function randomKeys(
  { features, eventTypes }: Catalog,
  stream: readonly SentEvent[],
  sent: number,
  wanted: number,
  random: Random,
): [entity: string, key: string][] {
  const entities = [...Map.groupBy(features, ({ entity }) => entity.name)];
  const keys: [string, string][] = [];
  while (keys.length < wanted) {
    const [entity, own] = entities[Math.floor(random() * entities.length)] ?? ['', []];
    const among = random() < 0.9 && sent > 0 ? sent : stream.length;
    const event = stream[Math.floor(random() * among)];
    if (event === undefined) throw new Error('There are no events.');
    const foldable = asCurrent(eventTypes, { seq: 0, occurredAt: Date.parse(event.time), ...event });
    const of = keysOf(own, foldable);
    const key = of[Math.floor(random() * of.length)];
    if (key !== undefined) keys.push([entity, key]);
  }
  return keys;
}

async function readOnline(
  deployment: Deployment,
  entity: string,
  keys: readonly string[],
  known: number,
): Promise<Observation[]> {
  const client = clientOf(deployment);
  const deadline = performance.now() + READY_MS_MAX;
  for (;;) {
    // A bounded answer may be from the memory of an isolate, and so from before the stop.
    const response = await client.fetch('/v1/features/read', {
      ...{ method: 'POST', isRepeatable: true, consistency: 'strong', contentType: 'application/json' },
      body: JSON.stringify({ entity, keys }),
    });
    const text = await response.text();
    const { asOf, results } = Read.parse(JSON.parse(text));
    // A new deployment builds its features from history first, and says so of each value.
    if (!text.includes('"NOT_READY"')) return results.map(observedAt(entity, keys, asOf, known));
    if (performance.now() > deadline) throw new Error(`The features of "${entity}" are still not ready.`);
    await sleep(200);
  }
}

function observedAt(entity: string, keys: readonly string[], at: number, known: number) {
  return ({ features }: { readonly features: unknown }, index: number): Observation => ({
    request: { entity, key: keys[index] ?? '', at, known },
    features,
  });
}
