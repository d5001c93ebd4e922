import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod';
import type { Catalog } from '../../src/define/catalog.ts';
import { exportArtifacts } from './artifacts.ts';
import { digestedPart, RowsDigest } from './digest.ts';
import { ContinuityError } from './failure.ts';
import { appendPage, cutTo, fileDigest, rowsOf, unsettledOf } from './files.ts';
import { digestOfStores, hasManifest, type Manifest, type StoreOfBackup, writeManifest } from './manifest.ts';
import { dropSnapshot, openSnapshot, readRows, type Snapshot, takeSnapshot } from './snapshot.ts';
import type { BackupSql } from './sql.ts';
import { type BackupTable, readMigrations, readTables, tableNames } from './tables.ts';

/** What the worker of the deployment knows of the moment. */
export type Observed = Pick<Manifest, 'features' | 'lacking' | 'phases'>;

export interface ExportPorts {
  readonly sql: BackupSql;
  readonly catalog: Pick<Catalog, 'entities' | 'histories'>;
  /** Called around the snapshot: what both calls agree on is as of the snapshot. */
  readonly observe: () => Promise<Observed>;
  /** An artifact of a model; undefined if the store does not have it. */
  readonly fetchArtifact: (sha256: string) => Promise<Uint8Array | undefined>;
  readonly onProgress: (store: string, rows: number) => void;
}

/** What an export that is not whole yet has done; of each file the rows and bytes that count. */
const Progress = z.object({
  id: z.uuid(),
  takenAt: z.string(),
  point: z.object({ eventSeq: z.int(), outboxId: z.int(), pending: z.int() }),
  sequences: z.array(z.object({ store: z.string(), column: z.string(), last: z.string() })),
  observed: z.unknown(),
  files: z.record(z.string(), z.object({ rows: z.int(), bytes: z.int() })),
});
type Progress = z.output<typeof Progress>;
const PROGRESS = 'export.json';

/**
 * Writes all tables of a deployment to a folder, as of one moment. A run that was broken off goes on from where it was.
 *
 * @param isDiscarding drops the snapshot that a run of another folder has left.
 * @throws ContinuityError `backup_under_way`, `backup_incomplete` or `not_restorable`.
 */
export async function exportTo(
  folder: string,
  ports: ExportPorts,
  { isDiscarding = false }: { readonly isDiscarding?: boolean } = {},
): Promise<Manifest> {
  const { sql, catalog } = ports;
  if (hasManifest(folder))
    throw new ContinuityError('backup_incomplete', `${folder} has a backup already. Name another folder.`);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  if (isDiscarding) await discard(folder, sql);
  const tables = await readTables(sql, tableNames(catalog));
  const progress = await begunIn(folder, tables, ports);
  const stores: StoreOfBackup[] = [];
  for (const [index, table] of tables.entries())
    stores.push(await exportTable(folder, progress, { table, index }, ports));
  const artifacts = await exportArtifacts(folder, stores, ports.fetchArtifact);
  const { files: _, observed, ...rest } = progress;
  const manifest: Manifest = {
    ...{ kind: 'millrace-backup', format: 1, ...rest, migrations: await readMigrations(sql) },
    ...{ stores, stored: digestOfStores(stores), artifacts, ...(observed as Observed) },
  };
  writeManifest(folder, manifest);
  rmSync(join(folder, PROGRESS));
  await dropSnapshot(sql);
  return manifest;
}

async function discard(folder: string, sql: BackupSql): Promise<void> {
  await dropSnapshot(sql);
  if (!existsSync(join(folder, PROGRESS))) return;
  for (const name of readdirSync(folder))
    if (name === PROGRESS || name.endsWith('.ndjson.gz')) rmSync(join(folder, name));
}

/** The progress of the folder's export, whose snapshot is in the database; a new one if the folder is empty. */
async function begunIn(
  folder: string,
  tables: readonly BackupTable[],
  { sql, observe }: ExportPorts,
): Promise<Progress> {
  const file = join(folder, PROGRESS);
  if (existsSync(file)) {
    const progress = Progress.parse(JSON.parse(readFileSync(file, 'utf8')));
    if ((await openSnapshot(sql)) === progress.id) return progress;
    throw new ContinuityError(
      'backup_incomplete',
      `The snapshot of the export in ${folder} is gone. Give --discard to begin it again.`,
    );
  }
  if (readdirSync(folder).length > 0)
    throw new ContinuityError('backup_incomplete', `${folder} has other files. Name an empty folder.`);
  const before = await observe();
  const id = randomUUID();
  const snapshot: Snapshot = await takeSnapshot(sql, id, tables);
  const after = await observe();
  const isSame = before.features?.digest === after.features?.digest && snapshot.point.pending === 0;
  const progress: Progress = {
    ...{ id, ...snapshot, sequences: [...snapshot.sequences] },
    ...{ observed: { ...after, features: isSame ? after.features : null }, files: {} },
  };
  save(folder, progress);
  return progress;
}

async function exportTable(
  folder: string,
  progress: Progress,
  { table, index }: { readonly table: BackupTable; readonly index: number },
  { sql, onProgress }: ExportPorts,
): Promise<StoreOfBackup> {
  const name = `${table.name}.ndjson.gz`;
  const file = join(folder, name);
  let { rows, bytes } = progress.files[table.name] ?? { rows: 0, bytes: 0 };
  await cutTo(file, bytes);
  for await (const page of readRows(sql, index, rows)) {
    bytes = await appendPage(file, page);
    rows += page.length;
    progress.files[table.name] = { rows, bytes };
    save(folder, progress);
    onProgress(table.name, rows);
  }
  if (bytes === 0) writeFileSync(file, '', { mode: 0o600 });
  const unsettled = table.columns
    .filter((_, at) => table.unsettled.includes(at))
    .map((column) => column.name);
  const columns = [...table.columns];
  const digest = new RowsDigest();
  const left = unsettledOf({ columns, unsettled });
  for await (const row of rowsOf(file)) digest.add(digestedPart(row, left));
  const { size, digest: fileSha } = await fileDigest(file);
  return {
    ...{ name: table.name, file: name, columns, unsettled, rows: digest.rows },
    ...{ bytes: size, sha256: fileSha, digest: digest.digest },
  };
}

function save(folder: string, progress: Progress): void {
  const draft = join(folder, `${PROGRESS}.draft`);
  writeFileSync(draft, JSON.stringify(progress), { mode: 0o600 });
  renameSync(draft, join(folder, PROGRESS));
}
