import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sha256 } from '../../../../scripts/backup/digest.ts';
import { exportTo } from '../../../../scripts/backup/export.ts';
import { type Manifest, readManifest, writeManifest } from '../../../../scripts/backup/manifest.ts';
import { type RestorePorts, restoreFrom, verifyRows } from '../../../../scripts/backup/restore.ts';
import { type BackupSql, query, withDatabase } from '../../../../scripts/backup/sql.ts';
import { captureOtherWriters } from '../../../../scripts/dev/database/capture.ts';
import { type DevDatabase, startDevDatabase } from '../../../../scripts/dev/database.ts';
import type { DatabaseTarget } from '../../../../src/storage/postgres/connect.ts';
import { catalog } from '../../../support/catalog/index.ts';
import { FIXTURE } from '../../../support/node/fixture.ts';
import { memoryDatabase } from '../../../support/node/memory-database.ts';
import { scratchDatabase } from '../../../support/node/scratch-database.ts';

const EVENTS = 2_500;
const BYTES = new TextEncoder().encode('a model');
const ARTIFACT = sha256(BYTES);
/** Values whose text is easily spoiled on the way. */
const FILL = [
  `insert into millrace.events (source, id, type, occurred_at, data, batch)
   select '/s', n::text, 'shop.purchase.v1', timestamptz '2026-01-01' + n * interval '1.000001 s',
     jsonb_build_object('invoice', n, 'note', E'a "quoted" line\\nand ü\\\\u0000', 'none', null), gen_random_uuid()
   from generate_series(1, ${EVENTS}) n`,
  `insert into millrace.events (source, id, type, occurred_at, data, batch)
   values ('/s', 'null', 'shop.purchase.v1', 'infinity', 'null', gen_random_uuid())`,
  `insert into products (sku, description, unit_price) values ('ü', null, 1.5000), ('b', '', 99999999.9999)`,
  `insert into millrace.outbox (event_seq, tags) values (1, '{a,"b c",null}'), (null, '{}')`,
  `insert into millrace.audit_log (action, target, detail) select 'key.create', n::text, '{}' from generate_series(1, 5) n`,
  `insert into millrace.model_versions (model, version, manifest, card, measured, registered_by)
   values ('m', 'v', '{"model":{"sha256":"${ARTIFACT}"},"a":"\\u0000"}', '', '{}', 'k'),
     ('m', 'w', '{"model":{"sha256":"${'0'.repeat(64)}"}}', '', '{}', 'k')`,
  `insert into millrace.removals (store, id, detail) values ('artifacts', '${'0'.repeat(64)}', '{}')`,
  `insert into millrace.model_aliases (model, alias, revision, version, reason, changed_by)
   values ('m', 'champion', 1, 'v', 'publish', 'k')`,
  `insert into millrace.lineage_runs (id, job, subject, version, state, started_at, ended_at, due_at, counts, detail)
   select gen_random_uuid(), 'fold', '', '', 'COMPLETE', now(), case n when 1 then now() end, now(), '{}', '{}'
   from generate_series(1, 2) n`,
  `insert into millrace.lineage_events (run_id, is_end) select id, false from millrace.lineage_runs`,
];

const databases: Pick<DevDatabase, 'close'>[] = [];
const folders: string[] = [];
let source: BackupSql;
let backup: string;
let manifest: Manifest;

const sqlOf = (target: DatabaseTarget): BackupSql => ({
  transaction: (statements) => withDatabase(target, (sql) => sql.transaction(statements)),
});

/** A migrated database, embedded. */
async function newDatabase(): Promise<BackupSql> {
  const database = await startDevDatabase(await memoryDatabase(FIXTURE.migrationsDir));
  databases.push(database);
  return sqlOf({ url: database.connectionString, endpoint: database.endpoint });
}

/** One to restore into, with the triggers of a deployment: of the server that tests are given, else embedded. */
async function newTarget(name: string): Promise<BackupSql> {
  const server = process.env['TEST_DATABASE_URL'];
  const { migrationsDir } = FIXTURE;
  const scratch = server === undefined ? undefined : await scratchDatabase(server, `backup_${name}`);
  const options = scratch === undefined ? await memoryDatabase(migrationsDir) : undefined;
  const database = await startDevDatabase(options ?? { databaseUrl: scratch?.url ?? '', migrationsDir });
  await captureOtherWriters(catalog, database);
  databases.push({ close: async () => await database.close().then(scratch?.drop) });
  if (scratch !== undefined) return sqlOf({ url: scratch.url, endpoint: undefined });
  return sqlOf({ url: database.connectionString, endpoint: database.endpoint });
}

/** A change that no trigger writes down. */
async function unnoticed(sql: BackupSql, description: string): Promise<unknown> {
  const text = `update products set description = $1 where sku = 'b'`;
  const own = `select set_config('millrace.own_write', 'on', true)`;
  return await sql.transaction([{ text: own }, { text, params: [description] }]);
}

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-backup-'));
  folders.push(folder);
  return folder;
}

const OBSERVED = { features: { digest: 'f', cells: 1 }, lacking: [], phases: [] };
const exporting = (sql: BackupSql, onProgress = () => {}) => ({
  ...{ sql, catalog, onProgress, observe: async () => OBSERVED },
  fetchArtifact: async (name: string) => (name === ARTIFACT ? BYTES : undefined),
});

/** A restore whose worker is not there; `done` has what was asked of it. */
function restoring(sql: BackupSql, onProgress: RestorePorts['onProgress'] = () => {}) {
  const done: string[] = [];
  const worker: RestorePorts['worker'] = {
    upload: async (name, bytes) => {
      done.push(`${name} ${bytes.length}`);
    },
    rebuild: async () => {
      done.push('rebuild');
      return OBSERVED.features;
    },
    beginEpoch: async () => {
      done.push('epoch');
      return 'e.0';
    },
    switchPhases: async () => {
      done.push('phases');
    },
  };
  return { ports: { sql, catalog, worker, onProgress }, done };
}

/** The backup with a change of one of its files, or of its manifest. */
function changed(change: (folder: string) => void): string {
  const folder = newFolder();
  cpSync(backup, folder, { recursive: true });
  change(folder);
  return folder;
}

/** Changes rows of a file, and what the manifest says of the file: only its rows are wrong then. */
function withRows(folder: string, store: string, change: (rows: string[]) => string[]): void {
  const of = readManifest(folder);
  const file = join(folder, `${store}.ndjson.gz`);
  const rows = gunzipSync(readFileSync(file)).toString('utf8').trimEnd().split('\n');
  const bytes = gzipSync(`${change(rows).join('\n')}\n`);
  writeFileSync(file, bytes);
  const stores = of.stores.map((one) =>
    one.name === store ? { ...one, bytes: bytes.length, sha256: sha256(bytes) } : one,
  );
  writeManifest(folder, { ...of, stores });
}

beforeAll(async () => {
  source = await newDatabase();
  await source.transaction(FILL.map((text) => ({ text })));
  backup = join(newFolder(), 'backup');
  manifest = await exportTo(backup, exporting(source));
});
afterAll(async () => {
  for (const database of databases) await database.close();
  for (const folder of folders) rmSync(folder, { recursive: true });
});

describe('an export', () => {
  it('has the rows of one moment with their counts, and leaves nothing in the database', async () => {
    const rows = Object.fromEntries(manifest.stores.map((store) => [store.name, store.rows]));
    expect(rows).toMatchObject({
      'millrace.events': EVENTS + 1,
      'public.products': 2,
      'millrace.lineage_events': 1,
    });
    expect(manifest).toMatchObject({
      point: { eventSeq: EVENTS + 1, outboxId: 2, pending: 2 },
      features: null,
    });
    expect(await query(source, `select 1 from pg_namespace where nspname like 'millrace\\_%'`)).toEqual([]);
  });

  it('goes on after it was broken off, as of the same moment', async () => {
    const folder = join(newFolder(), 'b');
    const broken = exporting(source, () => {
      throw new Error('killed');
    });
    await expect(exportTo(folder, broken)).rejects.toThrow('killed');
    await expect(exportTo(join(newFolder(), 'other'), exporting(source))).rejects.toThrow(
      /^backup_under_way: /,
    );
    await query(source, `insert into products (sku, unit_price) values ('later', 1)`);
    const resumed = await exportTo(folder, exporting(source));
    await query(source, `delete from products where sku = 'later'`);
    expect(resumed.stored).toBe(manifest.stored);
    await expect(exportTo(folder, exporting(source))).rejects.toThrow(
      /^backup_incomplete: .* a backup already/,
    );
  });

  it('is refused if an artifact is missing that retention has not removed', async () => {
    const folder = join(newFolder(), 'b');
    const without = { ...exporting(source), fetchArtifact: async () => undefined };
    await expect(exportTo(folder, without)).rejects.toThrow(/^backup_incomplete: The store has no artifact/);
    expect(manifest.artifacts).toEqual([{ sha256: ARTIFACT, bytes: 7 }]);
    expect((await exportTo(folder, exporting(source))).stored).toBe(manifest.stored);
  });

  it('begins again with --discard', async () => {
    const folder = join(newFolder(), 'b');
    await expect(
      exportTo(
        folder,
        exporting(source, () => JSON.parse('')),
      ),
    ).rejects.toThrow(SyntaxError);
    const again = await exportTo(folder, exporting(source), { isDiscarding: true });
    expect(again.stored).toBe(manifest.stored);
  });
});

describe('a restore', () => {
  /** Empty until a test restores into it. */
  let target: BackupSql;
  beforeAll(async () => {
    target = await newTarget('a');
  });

  it('is refused with one code, and changes nothing, for a backup that is not whole', async () => {
    const events = 'millrace.events.ndjson.gz';
    const flipped = (folder: string) => {
      const bytes = readFileSync(join(folder, events));
      bytes[1_000] = (bytes[1_000] ?? 0) ^ 1;
      writeFileSync(join(folder, events), bytes);
    };
    const cut = (folder: string) =>
      writeFileSync(join(folder, events), readFileSync(join(folder, events)).subarray(0, -100));
    const edited = (folder: string) => {
      const file = join(folder, 'manifest.json');
      writeFileSync(file, readFileSync(file, 'utf8').replace(/"rows": \d+/, '"rows": 7'));
    };
    const rows = (change: (all: string[]) => string[]) => (folder: string) =>
      withRows(folder, 'millrace.events', change);
    const other = (change: Partial<Manifest>) => (folder: string) =>
      writeManifest(folder, { ...readManifest(folder), ...change });
    const { migrations, stores } = manifest;
    const catalogOf = (hashes: string[]) => ({ migrations: { ...migrations, catalog: hashes } });
    const faults: Record<string, [(folder: string) => void, RegExp]> = {
      'a flipped byte': [flipped, /^backup_damaged: .*SHA-256/],
      'a truncated file': [cut, /^backup_damaged: .*bytes instead of/],
      'an edited manifest': [edited, /^backup_damaged: manifest/],
      'no manifest': [(folder) => rmSync(join(folder, 'manifest.json')), /^backup_incomplete: /],
      'another artifact': [
        (folder) => writeFileSync(join(folder, 'artifacts', ARTIFACT), 'a Model'),
        /^backup_damaged: artifacts/,
      ],
      'a missing row': [rows((all) => all.slice(1)), /^backup_damaged: .*2500 rows instead of 2501/],
      'a row twice': [rows((all) => [...all, all[0] ?? '']), /^backup_damaged: .*2502 rows instead of 2501/],
      'a row in the place of another': [
        rows((all) => [...all.slice(1), all[1] ?? '']),
        /^backup_damaged: .*not those of the manifest/,
      ],
      'a column too few': [
        rows(([first, ...all]) => ['["1"]', ...all, first ?? '']),
        /^backup_damaged: .*columns/,
      ],
      'a later format': [other({ format: 2 as 1 }), /^backup_newer: /],
      'a file of another kind': [other({ kind: 'other' as 'millrace-backup' }), /^backup_foreign: /],
      'a later migration': [other(catalogOf([...migrations.catalog, 'x'])), /^backup_newer: /],
      'an earlier migration': [other(catalogOf(migrations.catalog.slice(0, -1))), /^backup_older: /],
      'another migration': [other(catalogOf(['x'])), /^backup_foreign: /],
      'another catalog': [other({ stores: stores.slice(1) }), /^backup_foreign: /],
    };
    const { ports, done } = restoring(target);
    for (const [name, [fault, refusal]] of Object.entries(faults))
      await expect(restoreFrom(changed(fault), ports), name).rejects.toThrow(refusal);
    expect(done).toEqual([]);
    expect(await query(target, `select 1 from pg_namespace where nspname like 'millrace\\_%'`)).toEqual([]);
    expect(await query(target, 'select 1 from millrace.events limit 1')).toEqual([]);
  });

  it('goes on after it was broken off, gives equal digests, and writes nothing but the rows; then numbers go on', async () => {
    const { ports, done } = restoring(target);
    const broken = restoring(target, (store, rows) => {
      if (store === 'millrace.events' && rows >= 1_000) throw new Error('killed');
    });
    await expect(restoreFrom(backup, broken.ports)).rejects.toThrow('killed');
    expect(broken.done).toEqual([]);
    // What the running worker notes meanwhile is not of the backup.
    await query(
      target,
      `insert into millrace.lineage_predictions (id, at, model, version, items, source)
       values (gen_random_uuid(), now(), 'm', 'v', 1, 'model')`,
    );
    const restored = await restoreFrom(backup, ports);
    expect(restored.stored).toBe(manifest.stored);
    expect(done).toEqual([`${ARTIFACT} 7`, 'rebuild', 'epoch', 'phases']);
    expect(await query(target, 'select count(*)::int as n from millrace.outbox')).toEqual([{ n: 2 }]);
    const chain = `select count(*)::int as n from millrace.audit_log a where hash = millrace.audit_hash(a)`;
    expect(await query(target, chain)).toEqual([{ n: 5 }]);
    const next = `insert into millrace.events (source, id, type, occurred_at, data, batch)
      values ('/s', 'next', 't', now(), '{}', gen_random_uuid()) returning seq::int`;
    expect(await query(target, next)).toEqual([{ seq: EVENTS + 2 }]);
    // The triggers are on again.
    await query(target, `insert into products (sku, unit_price) values ('c', 1)`);
    expect(await query(target, 'select count(*)::int as n from millrace.outbox')).toEqual([{ n: 3 }]);
    await expect(verifyRows(manifest, { sql: target, catalog })).rejects.toThrow(
      /^digests_differ: .*millrace\.events.*millrace\.outbox.*public\.products/,
    );
    await expect(restoreFrom(backup, ports)).rejects.toThrow(/^not_empty: .*millrace\.events/);
  });

  it('fails if a row is not as in the backup when it is read back', async () => {
    target = await newTarget('b');
    let isSpoiled = false;
    // Just before the rows are read back.
    const sql: BackupSql = {
      transaction: async (statements) => {
        const isReading = statements.some(({ text }) => text === 'create schema millrace_backup');
        if (isReading && !isSpoiled) await unnoticed(target, 'x');
        isSpoiled ||= isReading;
        return await target.transaction(statements);
      },
    };
    const spoiled = restoring(sql);
    await expect(restoreFrom(backup, spoiled.ports)).rejects.toThrow(/^digests_differ: .*public\.products/);
    expect(spoiled.done).toEqual([]);
    await unnoticed(target, '');
    expect((await restoreFrom(backup, restoring(target).ports)).stored).toBe(manifest.stored);
  });
});
