import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { type DevDatabase, startDevDatabase } from '../../../scripts/dev/database.ts';
import { EndedEpochs, InvalidatedChanges, loadAsOf } from '../../../src/cache/as-of.ts';
import type { Database, Loaded } from '../../../src/define/view.ts';
import { storeMessages } from '../../../src/pipeline/store.ts';
import { withTimeout } from '../../../src/platform/clock.ts';
import { classifyFault, connect } from '../../../src/storage/postgres/connect.ts';
import { deleteEntity, putEntity } from '../../../src/storage/postgres/entity-writes.ts';
import { countStored, type StorableEvent, storeEvents } from '../../../src/storage/postgres/event-store.ts';
import { markRelayed, readPending } from '../../../src/storage/postgres/outbox.ts';
import { reflect } from '../../../src/storage/postgres/reflecting.ts';
import { product } from '../../support/catalog/entities.ts';
import { catalog } from '../../support/catalog/index.ts';
import { customerPurchases, productList, productPage } from '../../support/catalog/views.ts';
import { FIXTURE } from '../../support/node/fixture.ts';
import { memoryDatabase } from '../../support/node/memory-database.ts';
import { line, NOW } from '../pipeline/purchases.ts';

/**
 * Where code runs matters by its round trips to the database in turn (docs/decisions/0010-the-worker-stays-at-the-edge.md).
 * They are counted where they leave the process: each statement or batch is one request.
 */
const EPOCH = '0f';

let database: DevDatabase;
let db: ReturnType<typeof connect>;

beforeAll(async () => {
  database = await startDevDatabase(await memoryDatabase(FIXTURE.migrationsDir));
  db = connect({ url: database.connectionString, endpoint: database.endpoint });
});
afterAll(() => database.close());

async function roundTripsOf(work: () => Promise<unknown>): Promise<number> {
  const sent = vi.spyOn(globalThis, 'fetch');
  try {
    await work();
    return sent.mock.calls.length;
  } finally {
    sent.mockRestore();
  }
}

const miss = (load: (reflecting: Database) => Promise<Loaded>) =>
  loadAsOf(load, {
    epoch: EPOCH,
    reflection: reflect(db.$client, EPOCH),
    invalidated: new InvalidatedChanges(),
    ended: new EndedEpochs(),
    currentEpoch: async () => EPOCH,
    invalidate: async () => ({ epoch: EPOCH, seq: 1 }),
    withTimeout,
  });
const asked = (input: object) => ({ input, variant: {}, principal: undefined, now: 0, features: {} });

it.each([
  ['one row and an aggregate', (from: Database) => productPage.load(from, asked({ sku: 'A1' }))],
  ['a page of a list', (from: Database) => productList.load(from, asked({ limit: 50 }))],
  ['a page of a history', (from: Database) => customerPurchases.load(from, asked({ id: 'c', limit: 50 }))],
])('a miss of %s is one round trip', async (_, load) => {
  expect(await roundTripsOf(() => miss(load))).toBe(1);
});

it('a write of a row is one round trip, and so is its deletion', async () => {
  const values = { description: null, unitPrice: 1 };
  expect(await roundTripsOf(() => putEntity(db, product, 'A1', values))).toBe(1);
  expect(await roundTripsOf(() => deleteEntity(db, product, 'A1'))).toBe(1);
});

it('storing a message of new events is one round trip', async () => {
  const accepted = Array.from({ length: 20 }, (_, index) => ({
    source: '/trips',
    id: String(index),
    type: 'shop.purchase.v1',
    subject: null,
    time: '2026-11-23T11:00:00.000Z',
    data: line,
  }));
  const ports = {
    types: catalog.eventTypes,
    storeEvents: (events: readonly StorableEvent[]) => storeEvents(db, events, crypto.randomUUID()),
    keepRefused: async () => undefined,
    classifyFault,
    fingerprint: async (text: string) => text,
  };
  const store = () => storeMessages([{ v: 1, receivedAt: NOW, accepted, refused: [] }], ports);
  expect(await roundTripsOf(store)).toBe(1);
  expect(await countStored(db, '/trips')).toBe(accepted.length);
});

it('a pass of the relay is two round trips: it reads the pending changes, and marks them', async () => {
  await putEntity(db, product, 'B2', { description: null, unitPrice: 1 });
  expect(
    await roundTripsOf(async () => {
      const { changes } = await readPending(db, { limit: 10 });
      expect(changes.length).toBeGreaterThan(0);
      const relayed = changes.map(({ outboxId }) => outboxId);
      await markRelayed(db, relayed, { epoch: EPOCH, seq: 1 });
    }),
  ).toBe(2);
});
