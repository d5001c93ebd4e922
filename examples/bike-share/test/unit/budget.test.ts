import { join } from 'node:path';
import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import * as z from 'zod';
import { type DevDatabase, startDevDatabase } from '../../../../scripts/dev/database.ts';
import { judge } from '../../../../src/pipeline/judge.ts';
import { connect } from '../../../../src/storage/postgres/connect.ts';
import { storeEvents } from '../../../../src/storage/postgres/event-store.ts';
import { memoryDatabase } from '../../../../test/support/node/memory-database.ts';
import { catalog } from '../../catalog/index.ts';

const NOW = Date.UTC(2026, 10, 28, 12);
const RIDE = 'bikes.ride.v1';
const MANY = 400;

let database: DevDatabase;
let db: ReturnType<typeof connect>;
beforeAll(async () => {
  const migrationsDir = join(import.meta.dirname, '../../migrations');
  database = await startDevDatabase(await memoryDatabase(migrationsDir));
  db = connect({ url: database.connectionString, endpoint: database.endpoint });
});
afterAll(async () => {
  vi.restoreAllMocks();
  await database.close();
});

const Sent = z.object({ queries: z.array(z.unknown()).optional() });

/** What a call of the database costs: round trips, statements, and bytes that are sent. */
async function costOf(work: () => Promise<unknown>) {
  const fetches = vi.spyOn(globalThis, 'fetch');
  try {
    await work();
    const bodies = fetches.mock.calls.map(([, init]) => String(init?.body));
    const statements = bodies.map((body) => Sent.parse(JSON.parse(body)).queries?.length ?? 1);
    return {
      roundTrips: bodies.length,
      statements: statements.reduce((sum, one) => sum + one, 0),
      bytes: bodies.reduce((sum, body) => sum + body.length, 0),
    };
  } finally {
    fetches.mockRestore();
  }
}

/** Rows of every table that storing an event writes to. */
async function rows(): Promise<Record<string, number>> {
  const names = [
    'millrace.events',
    'millrace.outbox',
    'millrace.quality_pending',
    'rides',
    'movements',
    'riders',
  ];
  const counted = names.map((name) => `(select count(*)::int from ${name}) as "${name}"`);
  const { rows: found } = await db.execute(sql.raw(`select ${counted.join(', ')}`));
  return z.record(z.string(), z.coerce.number()).parse(found[0]);
}

function ridesOf(ids: readonly number[]) {
  return ids.map((id) => {
    const data = catalog.eventTypes.get(RIDE)?.example;
    const judged = judge(
      catalog.eventTypes,
      { specversion: '1.0', id: String(id), source: '/budget', type: RIDE, data },
      NOW,
    );
    if (judged.verdict !== 'accepted') throw new Error(judged.refusal.detail);
    return { ...judged.event, ...judged.meaning };
  });
}
const numbers = (from: number, count: number) => Array.from({ length: count }, (_, at) => from + at);

describe('the cost of storing rides', () => {
  it('takes one round trip, with the same number of statements for one ride as for many', async () => {
    const one = await costOf(() => storeEvents(db, ridesOf([1]), '11111111-1111-4111-8111-000000000001'));
    const before = await rows();
    const many = await costOf(() =>
      storeEvents(db, ridesOf(numbers(10, MANY)), '11111111-1111-4111-8111-000000000002'),
    );
    const after = await rows();
    expect([one.roundTrips, many.roundTrips]).toEqual([1, 1]);
    expect(many.statements).toBe(one.statements);
    expect(many.statements).toBeLessThanOrEqual(13);
    expect(many.bytes / MANY).toBeLessThan(2_200);
    // A ride is an event, a change, a ride and two movements; its transaction is one row of the quality to score.
    expect(Object.entries(after).map(([name, count]) => [name, count - (before[name] ?? 0)])).toEqual([
      ['millrace.events', MANY],
      ['millrace.outbox', MANY],
      ['millrace.quality_pending', 1],
      ['rides', MANY],
      ['movements', 2 * MANY],
      ['riders', 0],
    ]);
  });

  it('writes no row for duplicates, and takes one more round trip to compare them with the stored events', async () => {
    const before = await rows();
    const again = await costOf(() =>
      storeEvents(db, ridesOf(numbers(10, MANY)), '11111111-1111-4111-8111-000000000003'),
    );
    expect(again.roundTrips).toBe(2);
    expect(await rows()).toEqual(before);
  });
});
