import { readMigrationFiles } from 'drizzle-orm/migrator';
import { z } from 'zod';
import { CATALOG_JOURNAL, MILLRACE_JOURNAL, MILLRACE_SCHEMA } from './journals.ts';

/**
 * The upgrade of a database from before Millrace's tables had a schema of their own: nine migrations made them in
 * `public`, between the catalog's, and drizzle's default journal noted them.
 *
 * Tables are moved, not copied: rows, sequences, indexes and the foreign key go with them. A table `public.events`
 * can just as well be the user's own, so only that journal proves whose it is: each of the nine is known by the
 * SHA-256 of its file and the moment at which it was generated.
 */

const LEGACY_MIGRATIONS = [
  {
    tag: '0000_spine',
    when: 1_795_409_652_006,
    hash: 'b25d2edb90028ea08e7cb26e6feeac2b0b6d53f4910064d84e6d365b9543b02d',
  },
  {
    tag: '0001_outbox_relayed_moment',
    when: 1_795_419_448_325,
    hash: '052639f23f13e55c2841e8ba0c97e0809d03290de286943d264a6b2dd566555b',
  },
  {
    tag: '0002_list_orders',
    when: 1_795_422_321_983,
    hash: 'a54bce3ed31769c96f8121cf3a7b6c1ede3be344950103d694e46bfdd38bbe4c',
  },
  {
    tag: '0003_quarantine_state',
    when: 1_795_425_313_837,
    hash: '45ded3fc71a6cf05663fdfbda4c0868ff1cc1aecfbdb74fea2bdf0b9db8fba7c',
  },
  {
    tag: '0004_quality',
    when: 1_795_433_236_282,
    hash: 'f8052fec0f2750498d5359d4e4242f4bff74c894ff26851fae1fe347df381d9e',
  },
  {
    tag: '0005_lineage',
    when: 1_795_439_772_323,
    hash: 'fcd354a58c8f16677ce535c972d6fd838b3451402d1a1beeee04f7485a89c51a',
  },
  {
    tag: '0006_batch_pages',
    when: 1_795_442_784_311,
    hash: '2c67d8075de58a84c42f87befc5da604ff2aeaa021cf1f566e869f7ee3b88d09',
  },
  {
    tag: '0007_event_versions',
    when: 1_795_442_952_944,
    hash: '483af76f3c48436bc5ddd91cabd6ffa724377f4396e9e4ea9b423f4f88f16d84',
  },
  {
    tag: '0008_replay',
    when: 1_795_444_996_213,
    hash: '23b64c10aef1be14881dc6271b98bdff73c894d35b25119612ea9d94033c48b0',
  },
] as const;

/** What the nine migrations made for Millrace, in the schema `public`. */
const LEGACY_TABLES = [
  'events',
  'outbox',
  'quarantine',
  'quality_pending',
  'audit_log',
  'lineage_runs',
  'lineage_events',
  'lineage_predictions',
  'pruned',
  'replays',
] as const;

const JOURNALS = `
  select to_regclass('${MILLRACE_SCHEMA}.${MILLRACE_JOURNAL}') is not null as current,
         to_regclass('drizzle.__drizzle_migrations') is not null as legacy`;
const Journals = z.object({ current: z.boolean(), legacy: z.boolean() });

const LEGACY_ENTRIES = 'select hash, created_at::text from drizzle.__drizzle_migrations';
const LegacyEntry = z.object({ hash: z.string(), created_at: z.coerce.number() });

/** What an upgrade needs of a connection to the database. */
export interface UpgradeSession {
  query(text: string): Promise<{ rows: unknown[] }>;
  /** Runs the statements as one transaction. */
  transaction(statements: readonly string[]): Promise<void>;
}

/**
 * Moves Millrace's tables out of `public` where the old journal proves that they are Millrace's, in one transaction.
 * It does so once: a database that has Millrace's new journal is never looked at again.
 *
 * @returns whether the tables were moved.
 * @throws Error for a database that has some of the nine migrations but not all; nothing is changed then.
 */
export async function upgradeLegacy(session: UpgradeSession, millraceMigrations: string): Promise<boolean> {
  const journals = Journals.parse((await session.query(JOURNALS)).rows[0]);
  if (journals.current || !journals.legacy) return false;
  const entries = z.array(LegacyEntry).parse((await session.query(LEGACY_ENTRIES)).rows);
  const missing = LEGACY_MIGRATIONS.filter(
    ({ when, hash }) => !entries.some((entry) => entry.created_at === when && entry.hash === hash),
  );
  if (missing.length === LEGACY_MIGRATIONS.length) return false;
  if (missing.length > 0)
    throw new Error(
      `This database has some migrations of an earlier Millrace, but not ${missing.map(({ tag }) => tag).join(', ')}. ` +
        'Apply those with the release that you came from (npm run db:migrate there), then run this again.',
    );
  await session.transaction(upgradeStatements(millraceMigrations));
  return true;
}

function upgradeStatements(millraceMigrations: string): string[] {
  const [baseline] = readMigrationFiles({ migrationsFolder: millraceMigrations });
  if (baseline === undefined) throw new Error(`${millraceMigrations} has no migration to begin with.`);
  const journal = (name: string) => `${MILLRACE_SCHEMA}.${name}`;
  const createJournal = (name: string) =>
    `create table ${journal(name)} (id serial primary key, hash text not null, created_at bigint)`;
  return [
    // Every reader and writer of a table waits behind a statement that waits for its lock.
    `set local lock_timeout = '5s'`,
    `create schema if not exists ${MILLRACE_SCHEMA}`,
    ...LEGACY_TABLES.map((table) => `alter table public.${table} set schema ${MILLRACE_SCHEMA}`),
    MOVE_CAPTURE,
    createJournal(MILLRACE_JOURNAL),
    // The tables are those of the baseline: a test compares them.
    `insert into ${journal(MILLRACE_JOURNAL)} (hash, created_at)
     values ('${baseline.hash}', ${baseline.folderMillis})`,
    createJournal(CATALOG_JOURNAL),
    `insert into ${journal(CATALOG_JOURNAL)} (hash, created_at)
     select hash, created_at from drizzle.__drizzle_migrations order by id`,
  ];
}

/**
 * The functions of the installed capture name the outbox without a schema. They go on capturing until they are
 * replaced by `npm run db:capture`; without this, other writers' statements would fail meanwhile.
 */
const MOVE_CAPTURE = `do $move$
declare
  capture regprocedure;
begin
  for capture in
    select oid::regprocedure from pg_proc
    where pronamespace = 'public'::regnamespace and prorettype = 'trigger'::regtype
      and starts_with(proname, 'millrace_capture_')
  loop
    execute format('alter function %s set search_path = ${MILLRACE_SCHEMA}, public, pg_temp', capture);
    execute format('alter function %s set schema ${MILLRACE_SCHEMA}', capture);
  end loop;
end
$move$`;
