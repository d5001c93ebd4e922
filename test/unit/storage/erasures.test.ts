import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { type DevDatabase, startDevDatabase } from '../../../scripts/dev/database.ts';
import { NOTHING_FOUND } from '../../../src/operations/erasure/found.ts';
import { namedBy } from '../../../src/operations/erasure/subject.ts';
import { connect } from '../../../src/storage/postgres/connect.ts';
import {
  countOwned,
  countOwnRow,
  removeOwned,
  removeRemovals,
  sweepOutbox,
  sweepPredictions,
  sweepQuarantine,
} from '../../../src/storage/postgres/erasure-places.ts';
import {
  countRows,
  eraseEvents,
  erasureId,
  readErasure,
  readEvents,
  readTail,
  startErasure,
} from '../../../src/storage/postgres/erasures.ts';
import { type StorableEvent, storeEvents } from '../../../src/storage/postgres/event-store.ts';
import { markRelayed, readPending } from '../../../src/storage/postgres/outbox.ts';
import { customer } from '../../support/catalog/entities.ts';
import { catalog } from '../../support/catalog/index.ts';
import { FIXTURE } from '../../support/node/fixture.ts';
import { memoryDatabase } from '../../support/node/memory-database.ts';

const KEY = 'forget-me';
const NOW = Date.parse('2026-03-01T00:00:00Z');
const subject = { entity: customer, key: KEY, values: { id: KEY } };
const { histories } = catalog;

let database: DevDatabase;
let db: ReturnType<typeof connect>;
beforeAll(async () => {
  database = await startDevDatabase(await memoryDatabase(FIXTURE.migrationsDir));
  db = connect({ url: database.connectionString, endpoint: database.endpoint });
});
afterAll(() => database.close());

function bought(id: string, customerId: string): StorableEvent {
  const type = 'shop.purchase.v1';
  const data = { invoice: id, sku: 'A1', quantity: 1, unitPrice: 1, customerId, country: 'UK' };
  const judged = catalog.eventTypes.get(type)?.interpret(data, { occurredAt: NOW, now: NOW });
  if (judged?.ok !== true) throw new Error('The event is refused.');
  const { effects, tags } = judged;
  return { source: '/a', id, type, subject: null, time: new Date(NOW).toISOString(), data, effects, tags };
}
const store = (...events: StorableEvent[]) => storeEvents(db, events, crypto.randomUUID());

async function relayed(): Promise<void> {
  const { changes } = await readPending(db, { limit: 1_000 });
  await markRelayed(
    db,
    changes.map(({ outboxId }) => outboxId),
    { epoch: 'e', seq: 1 },
  );
}

/** Tables with rows that have the key, with their numbers. */
async function places(): Promise<Record<string, number>> {
  const tables = await db.execute(sql`
    select table_schema || '.' || table_name as name from information_schema.tables
    where table_type = 'BASE TABLE' and table_schema in ('public', 'millrace')`);
  const found: Record<string, number> = {};
  for (const { name } of tables.rows as { name: string }[]) {
    const { rows } = await db.execute(
      sql`select count(*) as n from ${sql.raw(name)} t where t::text like ${`%${KEY}%`}`,
    );
    if (Number(rows[0]?.['n']) > 0) found[name] = Number(rows[0]?.['n']);
  }
  return found;
}

it('erases the events with their rows in one transaction, and tells what they had invalidated', async () => {
  await store(bought('1', KEY), bought('2', 'other'), bought('3', KEY));
  await relayed();
  const id = await erasureId(db, 'customer', KEY);
  const run = crypto.randomUUID();
  await startErasure(db, { id, mode: 'erase', run, found: NOTHING_FOUND }, undefined);
  const erasure = await readErasure(db, id, 'erase');
  if (erasure === undefined) throw new Error('It was not begun.');

  const sent = vi.spyOn(globalThis, 'fetch');
  const events = await readEvents(db, { after: 0, lastSeq: erasure.lastSeq, limit: 100 });
  const named = events.flatMap((event) => {
    const by = namedBy(subject, event, catalog, NOW);
    return by === undefined ? [] : [{ seq: event.seq, tags: by.tags }];
  });
  const seqs = named.map(({ seq }) => seq);
  expect(await countRows(db, histories, seqs)).toEqual({ purchases: 2 });
  const to = { state: 'tail', cursor: 9, lastSeq: 9, examined: 3, found: NOTHING_FOUND };
  await eraseEvents(db, histories, { seqs, tags: named.flatMap(({ tags }) => tags) }, { erasure, to });
  // A page costs three round trips, however many of its events are erased.
  expect(sent.mock.calls.length).toBe(3);
  sent.mockRestore();

  expect(await readErasure(db, id, 'erase')).toMatchObject({ state: 'tail', cursor: 9, examined: 3 });
  const left = await db.execute(sql`select data->>'customerId' as who from millrace.events`);
  expect(left.rows).toEqual([{ who: 'other' }]);
  const { changes } = await readPending(db, { limit: 10 });
  expect(changes).toHaveLength(1);
  expect(changes[0]?.event).toBeNull();
  expect([...(changes[0]?.tags ?? [])].sort()).toEqual([`purchase@customer:${KEY}`, 'purchase@product:A1']);
  const kept = await db.execute(sql`
    select count(*) as n from millrace.events e join purchases p on p.event_seq = e.seq`);
  expect(Number(kept.rows[0]?.['n'])).toBe(1);
});

it('does not store an erased event again, and does store another one', async () => {
  expect(await store(bought('1', KEY), bought('4', 'other'))).toEqual([
    { source: '/a', id: '1', same: true },
  ]);
  // What it says now does not matter: nothing is kept to compare it with.
  expect(await store({ ...bought('3', 'third'), data: {} })).toEqual([{ source: '/a', id: '3', same: true }]);
  const { rows } = await db.execute(sql`select id from millrace.events order by seq`);
  expect(rows.map((row) => row['id'])).toEqual(['2', '4']);
});

it('removes what is kept of the key elsewhere, and of others only the mention', async () => {
  // A row without an event, such as one whose event retention has deleted.
  await db.execute(sql`
    insert into purchases (event_seq, invoice, sku, customer_id, quantity, unit_price, country, occurred_at)
    values (-7, 'x', 'B2', ${KEY}, 1, 1, 'UK', now())`);
  await db.execute(sql`
    insert into millrace.removed_rows (entity, key, removed_at) values ('customer', ${KEY}, now())`);
  await db.execute(sql`
    insert into millrace.quarantine (fingerprint, reason, pointer, detail, raw) values
      ('f1', 'r', '', '', ${JSON.stringify({ data: { deep: [KEY] } })}::jsonb),
      ('f2', 'r', '', '', ${JSON.stringify({ data: { who: `${KEY}-not` } })}::jsonb)`);
  await db.execute(sql`
    insert into millrace.lineage_predictions (id, at, model, version, entity, key, features, items, source) values
      (gen_random_uuid(), now(), 'm', 'v', 'customer', ${KEY}, '{}', 1, 'model'),
      (gen_random_uuid(), now(), 'm', 'v', null, null, ${JSON.stringify({ of: [KEY] })}::jsonb, 1, 'tensor'),
      (gen_random_uuid(), now(), 'm', 'v', 'customer', 'other', '{"a": 1}', 1, 'model')`);
  expect(await countOwned(db, histories, subject)).toEqual({ purchases: 1 });
  const look = async (isRemoving: boolean) => {
    const pages = { from: 0, isRemoving };
    const { found: quarantine } = await sweepQuarantine(db, subject, pages);
    return {
      ...(await countOwnRow(db, subject)),
      quarantine,
      ...(await sweepPredictions(db, subject, pages)),
    };
  };
  const before = { entityRow: 1, removals: 1, quarantine: 1, found: 1, mentions: 1, next: null };
  expect(await look(false)).toEqual(before);
  await relayed();
  expect(await removeOwned(db, histories, subject)).toEqual({ purchases: 1 });
  expect(await removeOwned(db, histories, subject)).toEqual({});
  const { changes } = await readPending(db, { limit: 10 });
  expect([...(changes[0]?.tags ?? [])].sort()).toEqual([`purchase@customer:${KEY}`, 'purchase@product:B2']);
  await removeRemovals(db, subject);
  expect(await look(true)).toEqual({ ...before, removals: 0 });
  const after = { entityRow: 1, removals: 0, quarantine: 0, found: 0, mentions: 0, next: null };
  expect(await look(false)).toEqual(after);
  const { rows } = await db.execute(
    sql`select count(*) as all, count(features) as whole from millrace.lineage_predictions`,
  );
  expect(rows.map((row) => [Number(row['all']), Number(row['whole'])])).toEqual([[2, 1]]);
});

it('goes through a large table in several steps, and finds a row in each part of it', async () => {
  await db.execute(sql`
    insert into millrace.quarantine (fingerprint, reason, pointer, detail, raw)
    select 'large' || n, 'r', '', repeat('x', 1000), jsonb_build_object('who', case when n % 2000 = 1 then ${KEY} else 'z' end)
    from generate_series(1, 8000) n`);
  const seen: number[] = [];
  for (let from: number | null = 0; from !== null; ) {
    const { found, next }: Awaited<ReturnType<typeof sweepQuarantine>> = await sweepQuarantine(db, subject, {
      ...{ from, isRemoving: true },
    });
    seen.push(found);
    from = next;
  }
  expect(seen.length).toBeGreaterThan(1);
  expect(seen.reduce((sum, n) => sum + n, 0)).toBe(4);
  expect(await sweepQuarantine(db, subject, { from: 0, isRemoving: false })).toMatchObject({ found: 0 });
});

it('removes the tags from the outbox once they are relayed, and keeps the rows', async () => {
  await db.execute(sql`delete from customers where id = ${KEY}`);
  const look = (isRemoving: boolean) => sweepOutbox(db, subject, { after: 0, isRemoving });
  const before = await look(false);
  expect(before.waiting).toBe(1);
  expect((await look(true)).waiting).toBe(1);
  await relayed();
  expect(await look(true)).toMatchObject({ named: 1, waiting: 0 });
  expect(await look(false)).toMatchObject({ named: 0 });
  const [row] = (await db.execute(sql`select count(*) as n, max(relayed_seq) as newest from millrace.outbox`))
    .rows;
  expect(Number(row?.['newest'])).toBe(1);
  // The entry of quarantine with a longer text is that of another.
  expect(await places()).toEqual({ 'millrace.quarantine': 1 });
});

it('begins its second look before what was stored when it began', async () => {
  const { after, lastSeq } = await readTail(db, new Date().toISOString());
  expect(lastSeq).toBeGreaterThan(0);
  expect(after).toBeLessThan(lastSeq);
  expect(await readTail(db, new Date(Date.now() + 600_000).toISOString())).toEqual({
    after: lastSeq,
    lastSeq,
  });
});
