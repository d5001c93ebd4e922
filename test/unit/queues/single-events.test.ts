import { join } from 'node:path';
import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import * as z from 'zod';
import { GROUP_BYTES_MAX } from '../../../queues/batch.ts';
import { consumeEvents, type EventsPorts } from '../../../queues/events/consumer.ts';
import type { EventsMessage } from '../../../queues/events/message.ts';
import { type DevDatabase, startDevDatabase } from '../../../scripts/dev/database.ts';
import { storeMessages } from '../../../src/pipeline/store.ts';
import { sha256Hex } from '../../../src/platform/digest.ts';
import { QUEUE_CONSUMER_MESSAGES_MAX } from '../../../src/platform/limits.ts';
import { classifyFault, connect } from '../../../src/storage/postgres/connect.ts';
import { storeEvents } from '../../../src/storage/postgres/event-store.ts';
import * as millrace from '../../../src/storage/postgres/schema.ts';
import { catalog } from '../../support/catalog/index.ts';
import { memoryDatabase } from '../../support/node/memory-database.ts';

const NOW = Date.UTC(2026, 10, 28, 12);
/** Characters of a text extension that makes a message large with few events. */
const NOTE_CHARACTERS = 4_000;

let database: DevDatabase;
let db: ReturnType<typeof connect>;
beforeAll(async () => {
  const migrationsDir = join(import.meta.dirname, '../../support/catalog/migrations');
  database = await startDevDatabase(await memoryDatabase(migrationsDir));
  db = connect({ url: database.connectionString, endpoint: database.endpoint });
});
afterAll(async () => {
  vi.restoreAllMocks();
  await database.close();
});

/** A message with these events, as ingest makes it. */
function messageOf(ids: readonly string[], note?: string): EventsMessage {
  const [definition] = catalog.eventTypes.values();
  if (definition === undefined) throw new Error('The fixture catalog has no event.');
  const accepted = ids.map((id) => ({
    ...{ source: '/single', id, type: definition.currentType, subject: null },
    time: new Date(NOW).toISOString(),
    ...(note === undefined ? {} : { extensions: { note } }),
    data: definition.example,
  }));
  return { v: 1, receivedAt: NOW, accepted, refused: [] };
}

/** A batch of the platform, and the order in which its messages were acknowledged. */
function batchOf(bodies: readonly EventsMessage[]) {
  const acknowledged: number[] = [];
  const messages = bodies.map((body, index) => ({
    ...{ id: String(index), timestamp: new Date(NOW), attempts: 1, body },
    ack: () => void acknowledged.push(index),
    retry: () => undefined,
  }));
  const metrics = { backlogCount: 0, backlogBytes: 0 };
  const batch: MessageBatch = {
    ...{ queue: 'millrace-events', messages, metadata: { metrics } },
    ...{ ackAll: () => undefined, retryAll: () => undefined },
  };
  return { batch, acknowledged };
}

function portsOf(relay: () => Promise<unknown> = async () => undefined): EventsPorts {
  const refuse = async () => {
    throw new Error('Nothing is sent again.');
  };
  return {
    store: (messages) =>
      storeMessages(messages, {
        types: catalog.eventTypes,
        storeEvents: (events) => storeEvents(db, events, crypto.randomUUID()),
        keepRefused: async () => undefined,
        ...{ classifyFault, fingerprint: sha256Hex },
      }),
    ...{ sweepOutbox: relay, armRelay: async () => undefined },
    ...{ queue: { send: refuse, sendBatch: refuse }, keepDead: refuse },
    ...{ isOutage: () => false, probe: async () => undefined },
  };
}

const Sent = z.object({ queries: z.array(z.unknown()).optional() });

/** The transactions that some work sends to the database, each with the number of its statements. */
async function transactionsOf(work: () => Promise<unknown>): Promise<number[]> {
  const fetches = vi.spyOn(globalThis, 'fetch');
  try {
    await work();
    return fetches.mock.calls.map(
      ([, init]) => Sent.parse(JSON.parse(String(init?.body))).queries?.length ?? 1,
    );
  } finally {
    fetches.mockRestore();
  }
}

async function stored(): Promise<number> {
  const { rows } = await db.execute(sql`select count(*)::int as stored from ${millrace.events}`);
  return z.object({ stored: z.coerce.number() }).parse(rows[0]).stored;
}

const idsOf = (name: string, count: number) => Array.from({ length: count }, (_, at) => `${name}-${at}`);

describe('events of requests of their own', () => {
  it('are stored in one transaction for each hundred, with as many statements as one event takes', async () => {
    const [one] = await transactionsOf(() => consumeEvents(batchOf([messageOf(['one'])]).batch, portsOf()));
    const before = await stored();
    const all: number[] = [];
    for (const name of ['a', 'b', 'c', 'd', 'e', 'f']) {
      const { batch, acknowledged } = batchOf(
        idsOf(name, QUEUE_CONSUMER_MESSAGES_MAX).map((id) => messageOf([id])),
      );
      all.push(...(await transactionsOf(() => consumeEvents(batch, portsOf()))));
      expect(acknowledged).toHaveLength(QUEUE_CONSUMER_MESSAGES_MAX);
    }
    expect(all).toEqual(Array.from({ length: 6 }, () => one));
    expect((await stored()) - before).toBe(6 * QUEUE_CONSUMER_MESSAGES_MAX);
  });

  it('are stored in transactions of bounded bytes, however large the messages are', async () => {
    const messages = idsOf('large', 14).map((name) =>
      messageOf(idsOf(name, 20), 'x'.repeat(NOTE_CHARACTERS)),
    );
    const bytes = JSON.stringify(messages).length;
    const largest = Math.max(...messages.map((message) => JSON.stringify(message).length));
    const transactions = await transactionsOf(() => consumeEvents(batchOf(messages).batch, portsOf()));
    expect(transactions.length).toBeGreaterThan(1);
    expect(transactions.length).toBeLessThanOrEqual(Math.ceil(bytes / (GROUP_BYTES_MAX - largest)));
  });
});

describe('groups of a batch', () => {
  const messages = () =>
    idsOf(crypto.randomUUID(), 10).map((name) => messageOf(idsOf(name, 20), 'x'.repeat(NOTE_CHARACTERS)));

  it('are stored while the changes of the group before are relayed, and acknowledged after their own relay', async () => {
    const { batch, acknowledged } = batchOf(messages());
    const { promise: secondStored, resolve } = Promise.withResolvers<void>();
    const acknowledgedAtRelay: number[] = [];
    let stores = 0;
    const ports = portsOf(async () => {
      acknowledgedAtRelay.push(acknowledged.length);
      // The first relay ends only once the second group is stored: this hangs if the groups take turns.
      if (acknowledgedAtRelay.length === 1) await secondStored;
    });
    await consumeEvents(batch, {
      ...ports,
      store: async (group) => {
        await ports.store(group);
        stores += 1;
        if (stores === 2) resolve();
      },
    });
    expect(stores).toBeGreaterThanOrEqual(2);
    expect(acknowledgedAtRelay[0]).toBe(0);
    expect(acknowledgedAtRelay[1]).toBeGreaterThan(0);
    expect(acknowledgedAtRelay[1]).toBeLessThan(10);
    expect(acknowledged).toEqual(Array.from({ length: 10 }, (_, at) => at));
  });
});
