import { sql } from 'drizzle-orm';
import { describe, expect, it } from 'vitest';
import { startDevDatabase } from '../../../../scripts/dev/database.ts';
import { lifecycleReport, type StoreFacts } from '../../../../src/operations/lifecycle/report.ts';
import { STORES } from '../../../../src/operations/lifecycle/stores.ts';
import { connect } from '../../../../src/storage/postgres/connect.ts';
import { notePruned, readCleaned } from '../../../../src/storage/postgres/retention.ts';
import { readOldest, readOwnSizes, readSizes } from '../../../../src/storage/postgres/table-sizes.ts';
import { products } from '../../../support/catalog/tables.ts';
import { FIXTURE } from '../../../support/node/fixture.ts';
import { memoryDatabase } from '../../../support/node/memory-database.ts';

const NOTHING: StoreFacts = {
  ...{ sizes: undefined, oldest: undefined, catalog: undefined, cleaned: undefined },
  ...{ objects: {}, counted: undefined },
};
const of = (facts: Partial<StoreFacts>, store: string, policy = {}) => {
  const found = lifecycleReport({ events: {}, ...policy }, { ...NOTHING, ...facts }).find(
    (one) => one.store === store,
  );
  if (found === undefined) throw new Error(`There is no store ${store}.`);
  return found;
};

describe('the report on what is kept', () => {
  it('says that it does not know what did not answer, and never that there is nothing', () => {
    const report = lifecycleReport({ events: {} }, NOTHING);
    expect(report).toHaveLength(STORES.length);
    for (const { items, bytes, oldest, cleaned } of report)
      expect([items, bytes, oldest, cleaned]).toEqual([null, null, null, []]);
  });

  it('has what is declared, and what was removed of each target of a store', () => {
    const at = '2026-01-01T00:00:00.000Z';
    const cleaned = ['events:a.v1', 'row-changes:millrace.row.b.v1', 'outbox', 'outbox-of-somebody'].map(
      (target) => ({ target, rows: 2, until: at, cleanedAt: null }),
    );
    const events = of({ cleaned }, 'events', { events: { 'a.v1': 3 }, rowChanges: 9 });
    expect(events.declared).toEqual([
      { entry: 'events:a.v1', days: 3 },
      { entry: 'rowChanges', days: 9 },
    ]);
    expect(events.cleaned.map(({ target }) => target)).toEqual([
      'events:a.v1',
      'row-changes:millrace.row.b.v1',
    ]);
    expect(of({ cleaned }, 'outbox').cleaned).toEqual([
      { target: 'outbox', removed: 2, until: at, at: null },
    ]);
  });

  it('has nothing under a prefix that a whole walk has not seen, and adds up the tables of the catalog', () => {
    const counted = { artifacts: { objects: 3, bytes: 7, oldest: '2026-01-01T00:00:00.000Z' } };
    expect(of({ counted }, 'artifacts/')).toMatchObject({ items: 3, bytes: 7 });
    expect(of({ counted }, 'drift/')).toMatchObject({ items: 0, bytes: 0, oldest: null });
    const table = { bytes: 5, rows: 1 };
    expect(of({ catalog: [table, table] }, 'tables of the catalog')).toMatchObject({ items: 2, bytes: 10 });
    const unknown = { bytes: 5, rows: null };
    expect(of({ catalog: [table, unknown] }, 'tables of the catalog')).toMatchObject({
      ...{ items: null, bytes: 10 },
    });
  });

  it('reads sizes, oldest rows and removals of a database', async () => {
    const database = await startDevDatabase(await memoryDatabase(FIXTURE.migrationsDir));
    try {
      const db = connect({ url: database.connectionString, endpoint: database.endpoint });
      await db.execute(
        sql`insert into millrace.outbox (tags, created_at) values ('{}', '2026-01-02T03:04:05Z')`,
      );
      await notePruned(db, 'served', 3, '2026-01-01T00:00:00Z');
      await notePruned(db, 'served', 2, '2025-01-01T00:00:00Z');
      const aged = STORES.flatMap(({ name, oldest }) => (oldest === null ? [] : [{ name, oldest }]));
      expect(aged.length).toBeGreaterThan(4);
      const [sizes, oldest, cleaned, catalog] = await Promise.all([
        ...([readOwnSizes(db), readOldest(db, aged)] as const),
        ...([readCleaned(db), readSizes(db, [products])] as const),
      ]);
      const facts = { sizes, oldest, cleaned, catalog };
      expect(of(facts, 'outbox')).toMatchObject({ oldest: '2026-01-02T03:04:05.000Z' });
      for (const { name, place } of STORES)
        if (place === 'postgres') expect(of(facts, name).bytes, name).toBeGreaterThan(0);
      expect(of(facts, 'quarantine').oldest).toBeNull();
      expect(of(facts, 'served/').cleaned).toEqual([
        {
          ...{ target: 'served', removed: 5, until: '2026-01-01T00:00:00.000000Z' },
          at: expect.stringMatching(/^\d{4}-/),
        },
      ]);
      expect(of(facts, 'tables of the catalog').bytes).toBeGreaterThan(0);
    } finally {
      await database.close();
    }
  });
});
