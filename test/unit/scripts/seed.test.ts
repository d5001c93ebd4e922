import { expect, it } from 'vitest';
import { CATALOG_MIGRATIONS } from '../../../scripts/dev/database/folders.ts';
import { startDevDatabase } from '../../../scripts/dev/database.ts';
import { ensureSeed } from '../../../scripts/dev/seed.ts';
import { connect } from '../../../src/storage/postgres/connect.ts';

it('leaves a database that it may not fill as it is, and says so', async () => {
  const database = await startDevDatabase({ dataDir: 'memory://', migrationsDir: CATALOG_MIGRATIONS });
  const steps: string[] = [];
  expect(await ensureSeed(database, false, (text) => steps.push(text))).toBe(true);
  expect(steps).toEqual([
    'the database of DATABASE_URL has no events, and is not seeded: --seed fills it with made-up data',
  ]);
  const db = connect({ url: database.connectionString, endpoint: database.endpoint });
  const { rows } = await db.execute(
    'select (select count(*)::int from millrace.events) as events, (select count(*)::int from products) as products',
  );
  expect(rows).toEqual([{ events: 0, products: 0 }]);
  // With events in it, it is never filled.
  await db.execute(`insert into millrace.events (source, id, type, data, occurred_at, batch)
    values ('/s', '1', 't', '{}', now(), gen_random_uuid())`);
  expect(await ensureSeed(database, true, (text) => steps.push(text))).toBe(false);
  expect(steps).toHaveLength(1);
  await database.close();
}, 60_000);
