import { randomUUID } from 'node:crypto';
import type { Catalog } from '../../src/define/catalog.ts';
import { artifactOf } from './artifacts.ts';
import { digestedPart, RowsDigest } from './digest.ts';
import { ContinuityError } from './failure.ts';
import { checkFile } from './files.ts';
import { beginLoad, endLoad, loadStore } from './load.ts';
import { digestOfStores, type Manifest, readManifest } from './manifest.ts';
import { dropSnapshot, readRows, takeSnapshot } from './snapshot.ts';
import type { BackupSql } from './sql.ts';
import { type BackupTable, readMigrations, readTables, tableNames } from './tables.ts';

/** What a running worker does in a restore. */
export interface RestoringWorker {
  /** Stores an artifact of a model. */
  readonly upload: (sha256: string, bytes: Uint8Array) => Promise<void>;
  /** Builds all features from the events. @returns their digest; null if the catalog has no features. */
  readonly rebuild: () => Promise<Manifest['features']>;
  /** Begins a new epoch of the clock, so that nothing of before is served. @returns its token. */
  readonly beginEpoch: () => Promise<string>;
  readonly switchPhases: (phases: Manifest['phases']) => Promise<void>;
}

export interface RestorePorts {
  readonly sql: BackupSql;
  readonly catalog: Pick<Catalog, 'entities' | 'histories'>;
  readonly worker: RestoringWorker;
  readonly onProgress: (store: string, rows: number) => void;
}

export interface Restored {
  readonly manifest: Manifest;
  /** Equal to that of the manifest. */
  readonly stored: string;
  readonly features: Manifest['features'];
  /** The first token of the new epoch. */
  readonly token: string;
}

/**
 * Restores a backup into an empty deployment. A run that was broken off is repeated as it was, and goes on.
 *
 * @throws ContinuityError before anything is written if the backup is damaged, foreign or of another release, or the
 *   deployment is not empty; `digests_differ` at the end if what is there is not what the backup has.
 */
export async function restoreFrom(folder: string, ports: RestorePorts): Promise<Restored> {
  const { sql, worker, onProgress } = ports;
  const { manifest, tables } = await checkedBackup(folder, ports);
  await beginLoad(sql, manifest, tables);
  for (const table of tables) {
    const store = manifest.stores.find(({ name }) => name === table.name);
    if (store === undefined) continue;
    await loadStore(sql, folder, store, table, (rows) => onProgress(table.name, rows));
  }
  const stored = await verifyRows(manifest, ports);
  for (const artifact of manifest.artifacts)
    await worker.upload(artifact.sha256, artifactOf(folder, artifact));
  const features = await worker.rebuild();
  // After the rows and the features, so that nothing that was read before they were whole is served from a cache.
  const token = await worker.beginEpoch();
  await worker.switchPhases(manifest.phases);
  await endLoad(sql, tables);
  assertSameFeatures(manifest, features);
  return { manifest, stored, features, token };
}

/** @throws ContinuityError `digests_differ` */
export function assertSameFeatures(
  { features: known, lacking }: Pick<Manifest, 'features' | 'lacking'>,
  features: Manifest['features'],
): void {
  if (lacking.length > 0 || known === null || features === null || known.digest === features.digest) return;
  throw new ContinuityError(
    'digests_differ',
    `The features have the digest ${features.digest} (${features.cells} cells), the backup ${known.digest} (${known.cells} cells).`,
  );
}

/** Compares the whole backup with itself and with the deployment, and writes nothing. */
async function checkedBackup(
  folder: string,
  { sql, catalog }: Pick<RestorePorts, 'sql' | 'catalog'>,
): Promise<{ manifest: Manifest; tables: BackupTable[] }> {
  const manifest = readManifest(folder);
  const names = tableNames(catalog);
  const told = manifest.stores.map(({ name }) => name);
  const other = [
    ...names.filter((name) => !told.includes(name)),
    ...told.filter((name) => !names.includes(name)),
  ];
  if (other.length > 0)
    throw new ContinuityError(
      'backup_foreign',
      `The backup is of another catalog: only one of both has ${other.join(', ')}.`,
    );
  assertSameMigrations(manifest.migrations, await readMigrations(sql));
  const tables = await readTables(sql, names);
  for (const { name, columns } of tables) {
    const store = manifest.stores.find((one) => one.name === name);
    if (JSON.stringify(store?.columns) !== JSON.stringify(columns))
      throw new ContinuityError('backup_foreign', `The table ${name} has other columns than in the backup.`);
  }
  for (const store of manifest.stores) await checkFile(folder, store);
  for (const artifact of manifest.artifacts) artifactOf(folder, artifact);
  return { manifest, tables };
}

/** @throws ContinuityError `backup_newer`, `backup_older` or `backup_foreign`. */
export function assertSameMigrations(backup: Manifest['migrations'], here: Manifest['migrations']): void {
  for (const set of ['millrace', 'catalog'] as const) {
    const [told, known] = [backup[set], here[set]];
    const isPrefix = told.every((hash, index) => index >= known.length || known[index] === hash);
    const counts = `the backup has ${told.length} migrations (${set}), this database ${known.length}`;
    if (!isPrefix)
      throw new ContinuityError(
        'backup_foreign',
        `The database has other migrations: ${counts}, and they differ.`,
      );
    if (told.length > known.length)
      throw new ContinuityError(
        'backup_newer',
        `The backup is of a later release: ${counts}. Deploy that release, and restore then.`,
      );
    if (told.length < known.length)
      throw new ContinuityError(
        'backup_older',
        `The backup is of an earlier release: ${counts}. Deploy that release, restore, and then deploy this one.`,
      );
  }
}

/**
 * Reads back what a deployment has, and compares it with a backup.
 *
 * @returns the digest of all stores.
 * @throws ContinuityError `digests_differ`, with the stores that do.
 */
export async function verifyRows(
  manifest: Manifest,
  { sql, catalog }: Pick<RestorePorts, 'sql' | 'catalog'>,
): Promise<string> {
  const audited = manifest.stores.find(({ name }) => name === AUDIT_LOG)?.rows ?? 0;
  // The restore itself is in the audit log, after the entries of the backup.
  const until = `timestamptz '${manifest.takenAt}'`;
  const tables = (await readTables(sql, tableNames(catalog), until)).map((table) =>
    table.name === AUDIT_LOG ? { ...table, where: `id <= ${audited}` } : table,
  );
  await takeSnapshot(sql, randomUUID(), tables);
  const found: { name: string; rows: number; digest: string }[] = [];
  try {
    for (const [index, { name, unsettled }] of tables.entries()) {
      const digest = new RowsDigest();
      for await (const page of readRows(sql, index))
        for (const row of page) digest.add(digestedPart(row, unsettled));
      found.push({ name, rows: digest.rows, digest: digest.digest });
    }
  } finally {
    await dropSnapshot(sql);
  }
  const differing = found.flatMap(({ name, rows, digest }) => {
    const store = manifest.stores.find((one) => one.name === name);
    if (store?.rows === rows && store.digest === digest) return [];
    return [`${name} (${rows} rows, ${store?.rows ?? 0} in the backup)`];
  });
  if (differing.length > 0)
    throw new ContinuityError(
      'digests_differ',
      `These stores are not as in the backup: ${differing.join(', ')}.`,
    );
  return digestOfStores(found);
}

const AUDIT_LOG = 'millrace.audit_log';
