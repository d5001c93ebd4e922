/**
 * `npm run dev`: the whole stack on this machine. An embedded Postgres behind a Neon-compatible endpoint (or the
 * database of DATABASE_URL), migrated; the embedded one, where it is empty, filled by the project's seed; first
 * versions of the models; and the worker under `wrangler dev`. Everything is kept in `.millrace/`.
 */
import { mkdirSync, rmSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { catalog } from '../src/catalog/index.ts';
import { claimState } from './dev/claim.ts';
import { captureOtherWriters } from './dev/database/capture.ts';
import { startDevDatabase } from './dev/database.ts';
import { keepSourcesStarted, startDevKafka } from './dev/kafka.ts';
import { ensureKey } from './dev/key.ts';
import { ensureModels } from './dev/model.ts';
import { queryOf } from './dev/query.ts';
import { settle } from './dev/ready.ts';
import { readyBlock } from './dev/ready-block.ts';
import { ensureSeed, relayHistory } from './dev/seed.ts';
import { trialsOf } from './dev/trials.ts';
import { startWorker } from './dev/worker.ts';
import { loadProject } from './project/load.ts';

const USAGE = `Usage: npm run dev -- [--port 8787] [--fresh] [--state .millrace] [--seed] [--kafka]

  --port N    where the worker listens (8787)
  --state DIR where everything is kept (.millrace)
  --fresh     throw that away first: database, caches, features, model, key
  --seed      fill an empty database of DATABASE_URL with made-up data, as the embedded one always is
  --kafka     with the Kafka REST bridge over a log of its own, on the port after the worker's
  DATABASE_URL=postgres://…  use this Postgres or Neon instead of the embedded one`;

const { values: options } = parseArgs({
  options: {
    port: { type: 'string', default: '8787' },
    fresh: { type: 'boolean', default: false },
    seed: { type: 'boolean', default: false },
    kafka: { type: 'boolean', default: false },
    state: { type: 'string', default: '.millrace' },
    help: { type: 'boolean', default: false },
  },
});

async function main(): Promise<void> {
  const port = Number(options.port);
  const stateDir = options.state;
  if (options.help) return console.log(USAGE);
  if (!Number.isInteger(port) || port < 1 || port > 65_535)
    throw new Error(`--port ${options.port} is not a port.\n${USAGE}`);

  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort());

  if (options.fresh) rmSync(stateDir, { recursive: true, force: true });
  mkdirSync(stateDir, { recursive: true });
  const startedAt = performance.now();
  const step = (text: string) => console.log(`  ${text}`);
  console.log('Starting Millrace …');

  const project = loadProject();
  const external = process.env['DATABASE_URL'];
  const isNewState = claimState(stateDir, { databaseUrl: external, migrations: project.migrations });
  const { key, sha256 } = ensureKey(stateDir);
  const database = await startDevDatabase({
    migrationsDir: project.migrations,
    ...(external === undefined ? { dataDir: `${stateDir}/postgres` } : { databaseUrl: external }),
  });
  await using cleanup = new AsyncDisposableStack();
  cleanup.defer(() => database.close());
  await captureOtherWriters(database);
  step(
    external === undefined
      ? 'Postgres (embedded) is up, migrated, and captures other writers'
      : 'Postgres (DATABASE_URL) is migrated and captures other writers',
  );

  const kafka = options.kafka ? await startDevKafka({ port: port + 1, stateDir }) : undefined;
  cleanup.defer(() => kafka?.stop());
  if (kafka) step('the Kafka REST bridge is up');

  const worker = await startWorker({
    port,
    stateDir,
    database,
    apiKeySha256: sha256,
    vars: kafka?.vars ?? {},
    signal: stop.signal,
  });
  cleanup.defer(() => worker.stop());
  const url = `http://127.0.0.1:${port}`;
  step('the worker is up');

  if (kafka) keepSourcesStarted(url, key, stop.signal);

  const wasEmpty = await ensureSeed(
    database,
    { catalog, seed: project.seed, mayFill: external === undefined || options.seed },
    step,
  );
  if (isNewState && !wasEmpty) await relayHistory(database, step);
  const stack = { database, url, key, stateDir };
  if (!stop.signal.aborted) await ensureModels(catalog.models, project, stack, step);
  if (!stop.signal.aborted) {
    await settle(stack);
    if (catalog.features.length > 0) step('features are folded');
    const trials = (await project.tryOut?.(queryOf(database))) ?? trialsOf(catalog, Date.now());
    const { endpoint } = database;
    const seconds = (performance.now() - startedAt) / 1_000;
    console.log(readyBlock({ url, key, endpoint, kafka, seconds }, catalog, trials));
  }
  await worker.ended;
  console.log(`\nStopped. The data is kept in ${stateDir}/.`);
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
});
