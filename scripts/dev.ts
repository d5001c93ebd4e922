/**
 * `npm run dev`: the whole stack on this machine. An embedded Postgres behind a Neon-compatible endpoint (or the
 * database of DATABASE_URL), migrated; the embedded one, where it is empty, filled by the generator; a first model;
 * and the worker under `wrangler dev`. Everything is kept in `.millrace/`.
 */
import { mkdirSync, rmSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { claimState } from './dev/claim.ts';
import { captureOtherWriters } from './dev/database/capture.ts';
import { CATALOG_MIGRATIONS } from './dev/database/folders.ts';
import { startDevDatabase } from './dev/database.ts';
import { keepSourcesStarted, startDevKafka } from './dev/kafka.ts';
import { ensureKey } from './dev/key.ts';
import { ensureModel } from './dev/model.ts';
import { ready } from './dev/ready.ts';
import { ensureSeed, relayHistory } from './dev/seed.ts';
import { startWorker } from './dev/worker.ts';

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

  const external = process.env['DATABASE_URL'];
  const isNewState = claimState(stateDir, external);
  const { key, sha256 } = ensureKey(stateDir);
  const database = await startDevDatabase({
    migrationsDir: CATALOG_MIGRATIONS,
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

  const wasEmpty = await ensureSeed(database, external === undefined || options.seed, step);
  if (isNewState && !wasEmpty) await relayHistory(database, step);
  if (!stop.signal.aborted) await ensureModel({ database, url, key, stateDir, step });
  if (!stop.signal.aborted) {
    const example = await ready({ url, key, database, step });
    console.log(
      readyBlock({
        url,
        key,
        endpoint: database.endpoint,
        kafka,
        seconds: (performance.now() - startedAt) / 1000,
        ...example,
      }),
    );
  }
  await worker.ended;
  console.log(`\nStopped. The data is kept in ${stateDir}/.`);
}

function readyBlock(at: {
  url: string;
  key: string;
  endpoint: string;
  kafka: { url: string; username: string; password: string } | undefined;
  seconds: number;
  customer: string;
  sku: string;
}): string {
  const purchase = JSON.stringify({
    specversion: '1.0',
    id: 'try-1',
    source: '/try',
    type: 'shop.purchase.v1',
    data: {
      invoice: 'TRY1',
      sku: at.sku,
      quantity: 1,
      unitPrice: 9.5,
      customerId: at.customer,
      country: 'United Kingdom',
    },
  });
  return `
Millrace is ready after ${at.seconds.toFixed(1)} s. Ctrl-C stops everything.

  API       ${at.url}
  OpenAPI   ${at.url}/openapi.json
  Health    ${at.url}/health/ready
  Database  ${at.endpoint} (Neon's HTTP protocol)
  Key       ${at.key}${at.kafka === undefined ? '' : `\n  Kafka     ${at.kafka.url} (REST; user ${at.kafka.username}, password ${at.kafka.password})`}

Try:
  curl -i ${at.url}/v1/products/${at.sku}
  curl -s ${at.url}/v1/customers/${at.customer}/recommendations
  curl -i ${at.url}/v1/events -H 'authorization: Bearer ${at.key}' -H 'content-type: application/cloudevents+json' -d '${purchase}'

The first two again, after the third: only what the purchase touched is fresh (see Cache-Status).
`;
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
});
