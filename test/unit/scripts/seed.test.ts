import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { type DevDatabase, startDevDatabase } from '../../../scripts/dev/database.ts';
import { fillDatabase, hasEvents, type SeedWishes, seedPlanOf } from '../../../scripts/dev/seed.ts';
import { defineCatalog } from '../../../src/define/define-catalog.ts';
import { event } from '../../../src/define/event.ts';
import type { Seed } from '../../../src/define/project.ts';
import { connect } from '../../../src/storage/postgres/connect.ts';
import { memoryDatabase } from '../../support/node/memory-database.ts';

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
const start = async () => startDevDatabase(await memoryDatabase('migrations/none'));

async function countsOf(database: DevDatabase): Promise<Record<string, unknown> | undefined> {
  const db = connect({ url: database.connectionString, endpoint: database.endpoint });
  const { rows } = await db.execute(
    'select (select count(*)::int from millrace.events) as events, (select count(*)::int from millrace.quarantine) as quarantined',
  );
  return rows[0];
}

it('fills an empty database, contracts and quarantine included', async () => {
  const database = await start();
  expect(await hasEvents(database)).toBe(false);
  expect(await fillDatabase(database, catalog, seed)).toBe('2 events, 1 refused');
  expect(await countsOf(database)).toEqual({ events: 2, quarantined: 1 });
  expect(await hasEvents(database)).toBe(true);
  await database.close();
});

describe('an empty database', () => {
  const NOTHING: SeedWishes = { seed: false, empty: false, isExternal: false, wasLeftEmpty: false };
  const reasonOf = (wishes: Partial<SeedWishes>, of: Seed | undefined = seed) => {
    const plan = seedPlanOf(of, { ...NOTHING, ...wishes });
    return plan.kind === 'leave' ? plan.reason : 'filled';
  };

  it('is seeded if it is the embedded one, unless --empty is given', () => {
    expect(reasonOf({})).toBe('filled');
    expect(reasonOf({ empty: true })).toContain('--empty');
    expect(reasonOf({ wasLeftEmpty: true })).toContain('--seed fills it');
    expect(reasonOf({ isExternal: true })).toContain('only with --seed');
  });

  it('is seeded by --seed, on any server', () => {
    expect(reasonOf({ seed: true, isExternal: true })).toBe('filled');
    expect(reasonOf({ seed: true, wasLeftEmpty: true })).toBe('filled');
  });

  it('stays empty if the project has no seed', () => {
    expect(seedPlanOf(undefined, { ...NOTHING, seed: true }).kind).toBe('leave');
  });
});
