import { sql } from 'drizzle-orm';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type DevDatabase, startDevDatabase } from '../../../scripts/dev/database.ts';
import { historyOf } from '../../../src/composition/history.ts';
import { joinHistory } from '../../../src/features/join-history.ts';
import { connect } from '../../../src/storage/postgres/connect.ts';
import {
  type RecordedCursor,
  type RecordedRange,
  readRecorded,
} from '../../../src/storage/postgres/history.ts';
import { catalog } from '../../support/catalog/index.ts';
import { FIXTURE } from '../../support/node/fixture.ts';
import { memoryDatabase } from '../../support/node/memory-database.ts';

const POSTGRES_URL = process.env['TEST_DATABASE_URL'];
const POSTGRES_TITLE = POSTGRES_URL ? 'Postgres' : 'Postgres (skipped: TEST_DATABASE_URL is not set)';
const NOW = Date.UTC(2026, 2, 1);
const DAY_MS = 86_400_000;

function readsInOrder(start: () => Promise<{ database: DevDatabase; stop: () => Promise<void> }>): void {
  let stop: () => Promise<void>;
  let db: ReturnType<typeof connect>;

  /** `recorded` in microseconds after `NOW`, `occurred` in milliseconds. */
  const event = (seq: number, occurred: number, recorded: number, type = 'a', data: object = {}) =>
    db.execute(sql`insert into millrace.events (seq, source, id, type, data, occurred_at, recorded_at, batch)
      values (${seq}, '/s', ${String(seq)}, ${type}, ${JSON.stringify(data)},
        ${new Date(NOW + occurred).toISOString()}::timestamptz,
        ${new Date(NOW).toISOString()}::timestamptz + ${recorded} * interval '1 microsecond', ${crypto.randomUUID()})`);

  beforeAll(async () => {
    const started = await start();
    stop = started.stop;
    const { connectionString: url, endpoint } = started.database;
    db = connect({ url, endpoint });
    await event(1, 0, 5_000);
    await event(2, 3, 2_999_000);
    // The transaction of number 4 began before that of number 3.
    await event(3, 2, 5_700);
    await event(4, 2, 5_300);
    await event(5, 9, 8_000);
    await event(6, 9, 9_000);
    await event(7, 4, 4_001, 'b');
    await event(8, 1, 1_000, 'c');
  });
  afterAll(() => stop());

  async function numbersOf(range: Omit<RecordedRange, 'types'>, limit: number): Promise<number[]> {
    const numbers: number[] = [];
    for (let after: RecordedCursor | null = null; ; ) {
      const { events, next } = await readRecorded(db, { types: ['a', 'b'], ...range }, { after, limit });
      expect(events.length).toBeLessThanOrEqual(limit);
      if (next === null) return numbers;
      numbers.push(...events.map(({ seq }) => seq));
      after = next;
    }
  }

  it.each([1, 2, 100])('reads each order in pages of %i', async (limit) => {
    const all = { to: NOW + DAY_MS, known: NOW + DAY_MS };
    expect(await numbersOf({ order: 'happened', ...all }, limit)).toEqual([1, 3, 4, 2, 7, 5, 6]);
    expect(await numbersOf({ order: 'recorded', ...all }, limit)).toEqual([7, 1, 4, 3, 6, 2]);
    expect(await numbersOf({ order: 'early', ...all }, limit)).toEqual([5]);
  });

  it('leaves out what is after the end, was stored later, or happened before the beginning', async () => {
    const known = NOW + DAY_MS;
    expect(await numbersOf({ order: 'happened', to: NOW + 3, known }, 9)).toEqual([1, 3, 4, 2]);
    expect(await numbersOf({ order: 'happened', to: NOW + 3, known: NOW + 6 }, 9)).toEqual([1, 3, 4]);
    expect(await numbersOf({ order: 'recorded', to: NOW + 5, known }, 9)).toEqual([7, 1]);
    expect(await numbersOf({ order: 'happened', to: NOW + 9, known, from: NOW + 4 }, 9)).toEqual([7, 5, 6]);
  });

  it('rounds the moment of storing up, so that an event is known in no millisecond before it', async () => {
    const range = { order: 'recorded', types: ['a', 'b'], to: NOW + 9, known: NOW + 9 } as const;
    const { events } = await readRecorded(db, range, { after: null, limit: 3 });
    expect(events).toEqual([
      { seq: 7, type: 'b', occurredAt: NOW + 4, recordedAt: NOW + 5, data: {} },
      { seq: 1, type: 'a', occurredAt: NOW, recordedAt: NOW + 5, data: {} },
      { seq: 4, type: 'a', occurredAt: NOW + 2, recordedAt: NOW + 6, data: {} },
    ]);
  });

  it('joins events that were stored under an earlier version of their type', async () => {
    const seen = { sku: 'A1', customerId: 'c1' };
    await event(20, -DAY_MS, -DAY_MS * 1_000, 'shop.product-view.v1', seen);
    await event(21, -DAY_MS, -DAY_MS * 1_000, 'shop.product-view.v2', { ...seen, device: 'phone' });
    const features = catalog.features.filter(({ name }) => name === 'product_views');
    const request = { entity: 'customer', key: 'c1', at: NOW };
    const rows = await joinHistory(features, [request], historyOf(db, catalog));
    expect(rows.map((row) => row['product_views_7d']?.value)).toEqual([2]);
  });
}

describe('history in the order of time on PGlite', () => {
  readsInOrder(async () => {
    const database = await startDevDatabase(await memoryDatabase(FIXTURE.migrationsDir));
    return { database, stop: () => database.close() };
  });
});

describe.skipIf(!POSTGRES_URL)(`history in the order of time on ${POSTGRES_TITLE}`, () => {
  const name = `recorded_${process.pid}`;

  readsInOrder(async () => {
    const url = new URL(POSTGRES_URL ?? '');
    url.pathname = `/${name}`;
    const admin = new pg.Client({ connectionString: POSTGRES_URL });
    await admin.connect();
    await admin.query(`create database ${name}`);
    const database = await startDevDatabase({ databaseUrl: url.href, migrationsDir: FIXTURE.migrationsDir });
    const stop = async () => {
      await database.close();
      await admin.query(`drop database ${name} with (force)`);
      await admin.end();
    };
    return { database, stop };
  });
});
