import { expect, it } from 'vitest';
import * as z from 'zod';
import { type DevDatabase, startDevDatabase } from '../../../scripts/dev/database.ts';
import { ensureSeed } from '../../../scripts/dev/seed.ts';
import { defineCatalog } from '../../../src/define/define-catalog.ts';
import { event } from '../../../src/define/event.ts';
import type { Seed } from '../../../src/define/project.ts';
import { connect } from '../../../src/storage/postgres/connect.ts';

const seen = event({
  type: 'test.seen',
  version: 1,
  description: 'Something was seen.',
  data: z.object({ count: z.int() }),
  stores: () => [],
});
const catalog = defineCatalog({ events: { seen } });

/** Two events keep the contract, and one breaks it. */
const seed: Seed = async ({ send }) => {
  const counts = await send(
    [1, 2, 'three'].map((count, index) => ({
      type: 'test.seen.v1',
      source: '/seed',
      id: String(index),
      data: { count },
    })),
  );
  return `${counts.accepted} events, ${counts.refused} refused`;
};

/** There is no folder of migrations for the catalog: it has no tables. */
const start = () => startDevDatabase({ dataDir: 'memory://', migrationsDir: 'migrations/none' });

async function countsOf(database: DevDatabase): Promise<Record<string, unknown> | undefined> {
  const db = connect({ url: database.connectionString, endpoint: database.endpoint });
  const { rows } = await db.execute(
    'select (select count(*)::int from millrace.events) as events, (select count(*)::int from millrace.quarantine) as quarantined',
  );
  return rows[0];
}

it('fills an empty database once, contracts and quarantine included', async () => {
  const database = await start();
  const steps: string[] = [];
  const step = (text: string) => steps.push(text);
  expect(await ensureSeed(database, { catalog, seed, mayFill: true }, step)).toBe(true);
  expect(steps).toEqual(['the empty database is seeded with 2 events, 1 refused']);
  expect(await countsOf(database)).toEqual({ events: 2, quarantined: 1 });
  expect(await ensureSeed(database, { catalog, seed, mayFill: true }, step)).toBe(false);
  expect(steps).toHaveLength(1);
  expect(await countsOf(database)).toEqual({ events: 2, quarantined: 1 });
  await database.close();
}, 60_000);

it('leaves a database that it may not fill as it is, and says so', async () => {
  const database = await start();
  const steps: string[] = [];
  const step = (text: string) => steps.push(text);
  expect(await ensureSeed(database, { catalog, seed, mayFill: false }, step)).toBe(true);
  expect(await ensureSeed(database, { catalog, seed: undefined, mayFill: true }, step)).toBe(true);
  expect(steps).toEqual([
    'the database of DATABASE_URL has no events, and is not seeded: --seed fills it with made-up data',
    'the database has no events, and src/catalog/project.ts names no seed to fill it',
  ]);
  expect(await countsOf(database)).toEqual({ events: 0, quarantined: 0 });
  await database.close();
}, 60_000);
