import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PGlite } from '@electric-sql/pglite';
import { afterEach, expect, it } from 'vitest';
import { UPKEEP_PARAMS, Upkeep } from '../../../scripts/dev/database/upkeep.ts';

const folder = mkdtempSync(join(tmpdir(), 'millrace-upkeep-'));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const MB = 1024 * 1024;
/** A segment of the log has 16 MB. */
const logMb = () =>
  readdirSync(join(folder, 'pg_wal')).filter((name) => /^[0-9A-F]{24}$/.test(name)).length * 16;

it('keeps the log of the embedded database below a few hundred megabytes, and its statistics current', async () => {
  await using db = await PGlite.create(folder, {
    startParams: [...PGlite.defaultStartParams, ...UPKEEP_PARAMS],
  });
  const upkeep = new Upkeep();
  await db.exec(
    'create table written (id serial primary key, text text); alter table written alter text set storage plain',
  );
  let writtenMb = 0;
  while (writtenMb < 500) {
    // Some 20 MB of log.
    await db.exec(`insert into written (text) select repeat('x', 4000) from generate_series(1, 5000)`);
    writtenMb += 20;
    await upkeep.look(db);
  }
  const { rows } = await db.query<{ bytes: string; tuples: string }>(
    "select (pg_current_wal_insert_lsn() - '0/0')::text as bytes, reltuples::text as tuples from pg_class where relname = 'written'",
  );
  expect(Number(rows[0]?.bytes) / MB).toBeGreaterThan(450);
  expect(logMb()).toBeLessThanOrEqual(320);
  expect(Number(rows[0]?.tuples)).toBeGreaterThan(50_000);
});

it('checks at every sixteenth request', () => {
  const upkeep = new Upkeep();
  const due = Array.from({ length: 32 }, () => upkeep.isDue());
  expect(due.filter(Boolean)).toHaveLength(2);
});
