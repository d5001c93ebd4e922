/**
 * How long a live event takes from its request to a fresh answer and fresh features while the importer sends a file,
 * and how long the file takes to be stored, relayed and folded. `npm run bench:bulk -- FILE [--limit 200000]
 * [--data DIR]`; `DATABASE_URL` takes an empty Postgres instead of the embedded one.
 *
 * The worker, its queues and its objects run on the local platform, where all of them share one thread.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { convertV4MiniflareOptions, Miniflare } from 'miniflare';
import { queueConsumers } from '../../../bench/support/queue-consumers.ts';
import { bundle, KEY, millrace } from '../../../bench/support/runtime.ts';
import { readOptions, UsageError } from '../../../scripts/command-line/options.ts';
import { readOrExit } from '../../../scripts/command-line/run.ts';
import { wholeNumberOf } from '../../../scripts/command-line/values.ts';
import { startDevDatabase } from '../../../scripts/dev/database.ts';
import { SHOP } from '../test/served.ts';
import { LiveEvents, tellDelays } from './bulk/live.ts';
import { untilSettled } from './bulk/settled.ts';
import { folderSizes } from './bulk/sizes.ts';

const { file, limit, data } = readOrExit(() => {
  const { values, positionals } = readOptions({
    command: 'npm run bench:bulk',
    positionalsMax: 1,
    options: { limit: { type: 'string', default: '200000' }, data: { type: 'string' } },
  });
  const [name] = positionals;
  if (name === undefined)
    throw new UsageError('Name a file of the UCI data set: npm run bench:bulk -- FILE.');
  return { file: name, limit: wholeNumberOf('--limit', values.limit, { min: 1 }), data: values.data };
});
const scratch = mkdtempSync(join(tmpdir(), 'millrace-bulk-'));
const dataDir = data ?? join(scratch, 'postgres');
bundle(SHOP.main, '--outdir', 'dist/millrace');
const url = process.env['DATABASE_URL'];
const database = await startDevDatabase({
  migrationsDir: SHOP.migrationsDir,
  ...(url === undefined ? { dataDir } : { databaseUrl: url }),
});
const worker = { ...millrace(database, 'dist/millrace', 'index.js'), name: 'millrace' };
const runtime = new Miniflare(
  convertV4MiniflareOptions({ workers: [{ ...worker, queueConsumers: queueConsumers() }] }),
);
try {
  await runtime.ready;
  const base = await runtime.unsafeGetDirectURL('millrace');
  const live = new LiveEvents(base, KEY);
  const idle = await live.until(async () => new Promise((done) => setTimeout(done, 10_000)));
  tellDelays('without an import', idle);
  const startedAt = performance.now();
  let isSent = false;
  const sending = importFile(base).then(() => {
    isSent = true;
  });
  const settling = untilSettled(base, KEY, startedAt, () => isSent);
  const importing = Promise.all([settling, sending]).then(([settled]) => settled);
  tellDelays('during the import', await live.until(async () => void (await importing)));
  const { stored, seconds } = await importing;
  console.log(
    `${stored} events: stored after ${seconds.stored.toFixed(0)} s, relayed after ${seconds.relayed.toFixed(0)} s, folded after ${seconds.folded.toFixed(0)} s`,
  );
  if (url === undefined) console.log(`on disk: ${folderSizes(dataDir)}`);
} finally {
  await runtime.dispose();
  await database.close();
  rmSync(scratch, { recursive: true, force: true });
}

/** Runs the importer in a process of its own, and returns when it has ended: then every line is stored. */
async function importFile(base: URL): Promise<void> {
  const script = resolve('examples/shop/import.ts');
  const args = [script, resolve(file), '--url', base.href, '--key', KEY, '--limit', String(limit)];
  const child = spawn(process.execPath, args, { cwd: scratch, stdio: ['ignore', 'inherit', 'inherit'] });
  const { promise, resolve: ended, reject } = Promise.withResolvers<void>();
  child.once('exit', (code) => {
    if (code === 0) ended();
    else reject(new Error(`The import ended with ${code}.`));
  });
  await promise;
}
