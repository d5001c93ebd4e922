import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { append } from '../../../src/define/event.ts';
import { markRelayed, PENDING_BYTES_MAX, readPending } from '../../../src/storage/postgres/outbox.ts';
import * as millrace from '../../../src/storage/postgres/schema.ts';
import { FIXTURE } from '../../support/node/fixture.ts';
import { memoryDatabase } from '../../support/node/memory-database.ts';
import { type EffectsDatabase, openEffectsDatabase, riderHistory, storable } from './effects-catalog.ts';

let of: EffectsDatabase;
beforeAll(async () => {
  of = await openEffectsDatabase(await memoryDatabase(FIXTURE.migrationsDir));
});
afterAll(() => of.stop());
beforeEach(() => of.empty());

const EVENT_BYTES = 64_000;

async function store(count: number, note = ''): Promise<void> {
  for (let from = 0; from < count; from += 50) {
    const part = Array.from({ length: Math.min(50, count - from) }, (_, at) => {
      const id = `${from + at}`;
      const event = storable(id, 1, [append(riderHistory, { station: 'a', rider: 'r' })]);
      return { ...event, data: { id, note } };
    });
    await of.store(part);
  }
}

describe('a page of pending changes', () => {
  it('is bounded by bytes: the largest events that are taken come in pages that an isolate can hold', async () => {
    const count = 300;
    await store(count, 'x'.repeat(EVENT_BYTES));
    let read = 0;
    const pages: number[] = [];
    for (let more = true; more; ) {
      const page = await readPending(of.db, { limit: 2_000 });
      const bytes = page.changes.reduce((sum, { event }) => sum + JSON.stringify(event?.data).length, 0);
      expect(bytes).toBeLessThanOrEqual(PENDING_BYTES_MAX);
      pages.push(page.changes.length);
      read += page.changes.length;
      await markRelayed(
        of.db,
        page.changes.map(({ outboxId }) => outboxId),
        { epoch: 'e', seq: 1 },
      );
      more = page.isFull;
    }
    expect(read).toBe(count);
    expect(pages.length).toBe(Math.ceil(count / Math.floor(PENDING_BYTES_MAX / (EVENT_BYTES + 100))));
  });

  it('has a single change that is larger than a page', async () => {
    await store(2, 'x'.repeat(PENDING_BYTES_MAX + 1));
    const page = await readPending(of.db, { limit: 10 });
    expect(page.changes).toHaveLength(1);
    expect(page.isFull).toBe(true);
  });

  it('has live changes first, or with a greatest number the oldest of both lanes', async () => {
    await of.db.execute(sql`
      insert into ${millrace.outbox} (tags, is_bulk)
      select array['t'], id <= 5 from generate_series(1, 8) as id`);
    const ids = (page: Awaited<ReturnType<typeof readPending>>) =>
      page.changes.map(({ outboxId }) => outboxId);
    const newest = await readPending(of.db, { limit: 4 });
    expect([ids(newest), newest.isFull, newest.newestId]).toEqual([[6, 7, 8, 1], true, 8]);
    const oldest = await readPending(of.db, { limit: 4, upTo: 7 });
    expect([ids(oldest), oldest.isFull]).toEqual([[1, 2, 3, 4], true]);
    const last = await readPending(of.db, { limit: 4, upTo: 2 });
    expect([ids(last), last.isFull]).toEqual([[1, 2], false]);
    await of.db.execute(sql`delete from ${millrace.outbox}`);
    expect(await readPending(of.db, { limit: 4 })).toEqual({
      changes: [],
      isFull: false,
      newestId: undefined,
    });
  });
});
