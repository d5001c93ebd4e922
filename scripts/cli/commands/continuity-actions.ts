import type { Command } from 'commander';
import { exportTo } from '../../backup/export.ts';
import { type Manifest, readManifest } from '../../backup/manifest.ts';
import { assertSameFeatures, restoreFrom, verifyRows } from '../../backup/restore.ts';
import { withDatabase } from '../../backup/sql.ts';
import { featuresOf, fetchArtifact, observed, restoringWorker } from '../../backup/worker.ts';
import { databaseTarget } from '../../command-line/database.ts';
import { STATE_DIR } from '../../command-line/target.ts';
import { loadCatalog } from '../../project/catalog.ts';
import { Cli, type GlobalOptions } from '../cli.ts';

/** `export --to DIR`. */
export async function runExport(
  { to, discard = false }: { to: string; discard?: boolean },
  command: Command,
): Promise<void> {
  const cli = new Cli(command);
  const catalog = await loadCatalog();
  const manifest = await withDatabase(targetOf(command), (sql) =>
    exportTo(
      to,
      {
        ...{ sql, catalog, onProgress: progressOf(cli) },
        observe: () => observed(cli.client, catalog.features, Date.now()),
        fetchArtifact: (sha256) => fetchArtifact(cli.client, sha256),
      },
      { isDiscarding: discard },
    ),
  );
  cli.print(
    manifest,
    `${summary(manifest)}\nThe files hold personal data: keep them as you keep the database.`,
  );
}

/** `restore --from DIR`. */
export async function runRestore(
  { from, verify = false }: { from: string; verify?: boolean },
  command: Command,
): Promise<void> {
  const cli = new Cli(command);
  const catalog = await loadCatalog();
  const hasFeatures = catalog.features.length > 0;
  const manifest = readManifest(from);
  await withDatabase(targetOf(command), async (sql) => {
    if (verify) {
      await verifyRows(manifest, { sql, catalog });
      if (hasFeatures) assertSameFeatures(manifest, await featuresOf(cli.client));
    } else {
      const worker = restoringWorker(cli.client, hasFeatures);
      await restoreFrom(from, { sql, catalog, worker, onProgress: progressOf(cli) });
    }
  });
  cli.print(manifest, `${summary(manifest)}\nThe digests of the deployment are equal.`);
}

function targetOf(command: Command) {
  const { state = STATE_DIR } = command.optsWithGlobals<GlobalOptions>();
  return databaseTarget(process.env, state);
}

/** A line for each table, and now and then one for a large table. */
function progressOf({ reporter }: Cli): (store: string, rows: number) => void {
  const every = 100_000;
  let shown = '';
  let next = every;
  return (store, rows) => {
    if (store === shown && rows < next) return;
    next = (store === shown ? rows : 0) + every;
    shown = store;
    reporter.notice(`${store}: ${rows.toLocaleString('en-US')} rows …`);
  };
}

function summary({ stores, stored, artifacts, features, lacking, takenAt, point }: Manifest): string {
  const rows = stores.reduce((sum, store) => sum + store.rows, 0);
  const bytes = [...stores, ...artifacts].reduce((sum, file) => sum + file.bytes, 0);
  return [
    `${rows.toLocaleString('en-US')} rows of ${stores.length} tables and ${artifacts.length} artifacts in ${bytes.toLocaleString('en-US')} bytes, as of ${takenAt}, event ${point.eventSeq}.`,
    `  stored    ${stored}`,
    `  features  ${features === null ? 'unknown: they changed while the backup was begun' : features.digest}`,
    ...(lacking.length === 0
      ? []
      : [
          `Retention has deleted events that these features need; a restore has less of them: ${lacking.join(', ')}.`,
        ]),
  ].join('\n');
}
