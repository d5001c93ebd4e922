import { sql } from 'drizzle-orm';
import type { FeatureShard } from '../../../durable-objects/feature-shard/object.ts';
import { type ChangesPorts, consumeChanges } from '../../../queues/changes/consumer.ts';
import { consumeDead } from '../../../queues/dead/consumer.ts';
import { consumeEvents, type EventsPorts } from '../../../queues/events/consumer.ts';
import type { EventsMessage } from '../../../queues/events/message.ts';
import { hashesToInvalidate } from '../../../src/cache/entry.ts';
import { keepDead } from '../../../src/composition/consumers.ts';
import type { Env } from '../../../src/composition/env.ts';
import { foldStored } from '../../../src/composition/folding.ts';
import { changesQueue, eventsQueue } from '../../../src/composition/queueing.ts';
import type { FoldableEvent } from '../../../src/features/fold.ts';
import { shardsOf } from '../../../src/features/layout.ts';
import { foldAndInvalidate } from '../../../src/features/shards.ts';
import { replayDeadLetters } from '../../../src/pipeline/dead-letters.ts';
import { acceptance, eventsMessage, type IngestReport, ingest } from '../../../src/pipeline/ingest.ts';
import { type SharedStoring, storeShared } from '../../../src/pipeline/shared-storing.ts';
import { type StoreOutcome, storeMessages } from '../../../src/pipeline/store.ts';
import { sha256Hex } from '../../../src/platform/digest.ts';
import { Failure } from '../../../src/platform/failure.ts';
import { GroupCommit } from '../../../src/platform/group-commit.ts';
import { newId } from '../../../src/platform/ids.ts';
import { seededRandom } from '../../../src/platform/random.ts';
import type { Lane } from '../../../src/storage/lane.ts';
import { isOutage } from '../../../src/storage/outage.ts';
import { classifyFault, guarded } from '../../../src/storage/postgres/connect.ts';
import { storeEvents } from '../../../src/storage/postgres/event-store.ts';
import {
  closeReleased,
  keepRefused,
  listQuarantine,
  readQuarantined,
} from '../../../src/storage/postgres/quarantine.ts';
import { sendChunked } from '../../../src/storage/queue.ts';
import { catalog } from '../../support/catalog/index.ts';
import { SERVED_CELLS } from '../../support/served-cells.ts';
import { type ObjectStorage, objectStorage } from './cloudflare-workers.ts';
import type { SimulatedDatabase } from './database.ts';
import { Machine, type Process } from './machine.ts';
import { OpenTransactions } from './open-transactions.ts';
import { SimulatedQueue, summaryOf } from './queues.ts';
import { SimulatedRelay } from './relay.ts';
import { cloudEventOf, type PlannedRequest, type Schedule } from './schedule.ts';
import { servedShard } from './served-shard.ts';

/** The queues of wrangler.toml that are simulated, by binding. */
const QUEUES = {
  EVENTS: 'millrace-events',
  EVENTS_BULK: 'millrace-events-bulk',
  CHANGES: 'millrace-changes',
  CHANGES_BULK: 'millrace-changes-bulk',
  DEAD: 'millrace-dead',
} as const;
/** When a run begins, milliseconds since the Unix epoch: 2026-11-21. */
const BEGIN_MS = 1_795_219_200_000;
/** How long an outage may last, in seconds; the longer one outlasts what the platform retries. */
const OUTAGE_S_MAX = 600;
const LONG_OUTAGE_S_MAX = 4 * 3_600;
/** Enough for the longest outage and every other fault of a schedule. */
const REPLAYS_MAX = 100;
/** Clients at the same time: while one stores its events, the others share a transaction. */
const CLIENTS_MAX = 4;
/** Tries of a client that wants its events stored, before it is content with the queue. */
const WAITS_MAX = 3;

/** The shards have few cells here, and yet every walk over them takes several steps. */
const STEP_LIMITS = { rows: 3, keys: 2 };

export interface ServedCell {
  readonly name: string;
  readonly amount: number;
  readonly lastAt: number;
}

/** The pipeline as it is deployed, on a real database, with a platform that fails as the schedule says. */
export class World {
  readonly schedule: Schedule;
  readonly machine: Machine;
  /** By binding. */
  readonly queues: Readonly<Record<keyof typeof QUEUES, SimulatedQueue>>;
  readonly #database: SimulatedDatabase;
  readonly #env: Env;
  readonly #others: OpenTransactions;
  readonly #relay: SimulatedRelay;
  /** The requests that wait for their events. A process that opens a group may be killed, and the others go on. */
  readonly #shared: SharedStoring;
  readonly shards = new Map<string, { shard: FeatureShard; readonly own: ObjectStorage }>();
  /** What a reader of the features saw and must never see. */
  readonly seen: string[] = [];
  /** The moment of each slot's last invalidation, and those of each key's last fold that changed something. */
  readonly invalidatedAt = new Map<number, number>();
  /** The outbox numbers of the changes that the feed has. */
  readonly told = new Set<number>();
  readonly foldedAt = new Map<string, number>();
  clockSeq = 0;
  isMended = false;
  #requested = 0;
  #clients = 0;
  #processes = 0;

  constructor(schedule: Schedule, database: SimulatedDatabase) {
    this.schedule = schedule;
    this.#database = database;
    const machine = () => this.machine;
    const { attemptsBefore } = schedule;
    const dead = new SimulatedQueue(QUEUES.DEAD, { machine, attemptsBefore });
    const queue = (name: string) =>
      new SimulatedQueue(name, { machine, attemptsBefore, giveUp: (body) => dead.put(body, 0) });
    this.queues = {
      EVENTS: queue(QUEUES.EVENTS),
      EVENTS_BULK: queue(QUEUES.EVENTS_BULK),
      CHANGES: queue(QUEUES.CHANGES),
      CHANGES_BULK: queue(QUEUES.CHANGES_BULK),
      DEAD: dead,
    };
    this.machine = new Machine({
      random: seededRandom(schedule.seed ^ 0x5bd1e995),
      rates: schedule.faults,
      faultsMax: schedule.faultsMax,
      outageSMax: attemptsBefore > 0 ? LONG_OUTAGE_S_MAX : OUTAGE_S_MAX,
      begin: () => this.#begin(),
      nextS: () =>
        Math.min(
          this.#relay.nextS(),
          ...Object.values(this.queues).map((queue) => queue.nextS()),
          this.#others.nextS(),
        ),
    });
    this.#relay = new SimulatedRelay(machine, () => this.#env);
    // Every call ends here, answered or not, so nothing waits for a deadline.
    const time = { now: () => this.now, withTimeout: async <T>(promise: Promise<T>) => await promise };
    this.#shared = new GroupCommit({ items: 100, bytes: 1_000_000, gatherMs: 60_000, waitMs: 60_000 }, time);
    this.#others = new OpenTransactions(database, {
      machine,
      count: schedule.openTransactions,
      wake: () => this.#relay.wake(),
    });
    if (schedule.garbage) this.queues.EVENTS.put({ v: 9, from: 'another version' }, 0, 0);
    this.#env = this.#makeEnv();
  }

  [Symbol.dispose](): void {
    for (const { own } of this.shards.values()) own.close();
  }

  /** Sends every open dead letter to its queue, as an operator would, until it is answered. */
  async replayDead(): Promise<void> {
    const { db } = this.#database;
    for (let tries = 0; tries < REPLAYS_MAX; tries += 1) {
      const done = await this.inNewProcess('admin', async () => {
        const open = await listQuarantine(db, { reason: 'dead_letter', state: 'open', limit: 100 });
        await replayDeadLetters(
          open.map(({ id }) => id),
          {
            read: (ids) => readQuarantined(db, ids),
            sendEvents: (message) => this.#env.EVENTS.send(message),
            sendSink: () => Promise.reject(new Error('Nothing goes to Kafka here.')),
            sendChanges: (message) => this.#env.CHANGES.send(message),
            resolve: (ids, keptUntil) => closeReleased(db, ids, keptUntil),
          },
        );
      });
      if (done) return;
      this.machine.nowS += OUTAGE_S_MAX;
    }
    throw new Error('The dead letters could not be replayed.');
  }

  /** Milliseconds since the Unix epoch. */
  get now(): number {
    return BEGIN_MS + Math.round(this.machine.nowS * 1_000);
  }

  /** The cells that all shards serve. */
  cells(): ServedCell[] {
    return [...this.shards.keys()].flatMap((shard) => this.cellsOf(shard));
  }

  /** The cells that a shard serves; the name tells shard, key, feature, day and item. */
  cellsOf(shard: string): ServedCell[] {
    const rows = this.shards.get(shard)?.own.rows(`select * from (${SERVED_CELLS}) where retired = 0`);
    return (rows ?? []).map((row) => ({
      name: [shard, row['key'], row['feature'], row['bucket'], row['item']].join(' '),
      amount: Number(row['amount']),
      lastAt: Number(row['lastAt']),
    }));
  }

  /** What may begin by itself now. */
  #begin() {
    const found: { label: string; go: () => void }[] = [];
    const [next] = this.schedule.requests.slice(this.#requested);
    if (next !== undefined && this.#clients < CLIENTS_MAX) {
      const go = () => {
        this.#requested += 1;
        this.#clients += 1;
        void this.#send(next).finally(() => {
          this.#clients -= 1;
        });
      };
      found.push({ label: `a client sends ${next.events.map(({ id }) => id).join(' ')}`, go });
    }
    for (const queue of Object.values(this.queues)) {
      const go = queue.delivery((batch) =>
        this.inNewProcess(queue.name.replace('millrace-', ''), () => {
          this.machine.note(
            `${this.machine.process?.name} is given ${batch.messages.map(summaryOf).join(', ')}`,
          );
          return this.#consume(batch);
        }),
      );
      if (go !== undefined) found.push({ label: `${queue.name} delivers`, go });
    }
    for (const [name, { own }] of this.shards)
      if (own.alarmAt !== null && own.alarmAt <= this.now)
        found.push({ label: `the alarm of ${name}`, go: () => void this.#upkeep(name, own) });
    return [...found, ...this.#relay.begin(), ...this.#others.begin()];
  }

  async #consume(batch: MessageBatch): Promise<void> {
    const lane = batch.queue.endsWith('-bulk') ? 'bulk' : 'live';
    switch (batch.queue) {
      case QUEUES.EVENTS:
      case QUEUES.EVENTS_BULK:
        return await consumeEvents(batch, this.#eventsPorts(lane));
      case QUEUES.CHANGES:
      case QUEUES.CHANGES_BULK:
        return await consumeChanges(batch, this.#changesPorts(lane));
      default:
        return await consumeDead(batch, { ...this.#batchPorts(), queue: this.#env.DEAD });
    }
  }

  async inNewProcess(name: string, work: () => Promise<unknown>): Promise<boolean> {
    this.#processes += 1;
    const process: Process = { name: `${name} ${this.#processes}`, alive: true };
    try {
      await this.machine.run(process, work);
      return process.alive;
    } catch (error) {
      if (process.alive) this.machine.note(`${process.name} fails: ${String(error)}`);
      return false;
    }
  }

  /** A client sends again until it is answered that its events are taken. */
  async #send({ events, waits, lane }: PlannedRequest): Promise<void> {
    for (let tries = 0; ; tries += 1) {
      const answered = await this.inNewProcess('gateway', () =>
        this.#ingest(events.map(cloudEventOf), waits && tries < WAITS_MAX, lane),
      );
      if (answered) return;
    }
  }

  #ingest(raw: readonly unknown[], wanted: boolean, lane: Lane): Promise<IngestReport> {
    const { armRelay, sweepOutbox } = this.#eventsPorts('live');
    const { take } = acceptance(wanted, {
      types: catalog.eventTypes,
      enqueue: (items, receivedAt) =>
        sendChunked(eventsQueue(this.#env, lane), items, (chunk) => eventsMessage(chunk, receivedAt)),
      store: (message) =>
        storeShared(message, this.#shared, {
          store: async (messages) => {
            const outcome = await guarded(async () => {
              await armRelay();
              return await this.#store(messages, 'live');
            });
            await sweepOutbox();
            return { outcome, token: '' };
          },
          keepAlive: () => undefined,
        }),
    });
    return ingest(raw, this.now, { types: catalog.eventTypes, take });
  }

  #batchPorts() {
    const { db } = this.#database;
    const letters = (dead: Parameters<typeof keepDead>[1]) => keepDead(db, dead);
    return { keepDead: letters, isOutage };
  }

  /** The ports of the consumers, on the simulated platform. */
  #eventsPorts(lane: Lane): EventsPorts {
    const { db } = this.#database;
    return {
      ...this.#batchPorts(),
      queue: eventsQueue(this.#env, lane),
      probe: () => db.execute(sql`select 1`),
      store: (messages) => this.#store(messages, lane),
      sweepOutbox: () => this.#relay.sweep(lane),
      armRelay: () => this.#relay.arm(),
    };
  }

  async #store(messages: readonly EventsMessage[], lane: Lane): Promise<StoreOutcome> {
    const { db } = this.#database;
    return await storeMessages(messages, {
      types: catalog.eventTypes,
      storeEvents: (events) => storeEvents(db, events, newId(), lane),
      keepRefused: async (refused) => void (await keepRefused(db, refused)),
      classifyFault,
      fingerprint: sha256Hex,
    });
  }

  #changesPorts(lane: Lane): ChangesPorts {
    const fold = (name: string, entity: string, events: readonly FoldableEvent[]) =>
      this.machine.call('objects', `fold ${events.map(({ seq }) => seq).join(' ')} at ${name}`, () =>
        this.#fold(name, entity, events),
      );
    const appendToFeed: ChangesPorts['appendToFeed'] = (changes) =>
      this.machine.call('objects', `append ${changes.length} changes to the feed`, () => {
        for (const { change } of changes) this.told.add(change);
      });
    return {
      ...this.#batchPorts(),
      queue: changesQueue(this.#env, lane),
      // Nothing waits for lineage, and it never fails.
      fold: (events) =>
        foldAndInvalidate(events, {
          fold: (own) => foldStored(catalog, own, { fold }, () => undefined),
          invalidate: (tags) => this.invalidate(tags),
          announced: (name, announcement, at) =>
            this.machine.call('objects', `tell ${name}`, () => this.shard(name).announced(announcement, at)),
          keepAlive: () => undefined,
        }),
      appendToFeed,
      // No topic is configured here.
      enqueueForKafka: async () => undefined,
      probe: async () => {
        const entities = [...new Set(catalog.features.map(({ entity }) => entity.name))];
        await Promise.all([
          this.machine.call('objects', 'ask the clock', () => this.clockSeq),
          appendToFeed([]),
          ...entities.flatMap((entity) => shardsOf(entity).map((shard) => fold(shard, entity, []))),
        ]);
      },
    };
  }

  async invalidate(tags: readonly string[]): Promise<{ epoch: string; seq: number }> {
    try {
      return await this.#invalidate(hashesToInvalidate(tags));
    } catch (cause) {
      throw new Failure('clock_unavailable', 'The tag clock does not answer.', { retryAfterS: 1, cause });
    }
  }

  async #invalidate(hashes: readonly number[]): Promise<{ epoch: string; seq: number }> {
    return await this.machine.call('objects', `invalidate ${hashes.length} tags`, () => {
      this.clockSeq += 1;
      for (const tag of hashes) this.invalidatedAt.set(tag, this.clockSeq);
      return { epoch: 'e', seq: this.clockSeq };
    });
  }

  async #fold(name: string, entity: string, events: readonly FoldableEvent[]) {
    if (!this.isMended && JSON.stringify(events).includes('folding-fails')) throw new Error('A defect.');
    const outcome = await this.shard(name).fold(name, entity, events);
    if (outcome.folded > 0)
      for (const key of outcome.keys) this.foldedAt.set(`features:${entity}:${key}`, this.clockSeq);
    return outcome;
  }

  /** A shard as a call reaches it: it may have been evicted since the last one. */
  shard(name: string): FeatureShard {
    const held = this.shards.get(name);
    if (held !== undefined && !this.machine.chance(0.1)) return held.shard;
    const own = held?.own ?? objectStorage();
    const ports = { features: catalog.features, now: () => this.now, limits: STEP_LIMITS };
    const shard = servedShard(name, own.storage, ports, held === undefined);
    this.shards.set(name, { shard, own });
    return shard;
  }

  async #upkeep(name: string, own: ObjectStorage): Promise<void> {
    own.alarmAt = null;
    await this.machine.whileUnderWay(() => this.shard(name).alarm());
  }

  #makeEnv(): Env {
    const { connectionString, endpoint } = this.#database.database;
    const root = { invalidateTags: (hashes: readonly number[]) => this.#invalidate(hashes) };
    const env = {
      DATABASE_URL: connectionString,
      DATABASE_ENDPOINT: endpoint,
      ...Object.fromEntries(Object.entries(this.queues).map(([name, { binding }]) => [name, binding])),
      TAG_CLOCK: { getByName: () => root },
    };
    return env as unknown as Env;
  }
}
