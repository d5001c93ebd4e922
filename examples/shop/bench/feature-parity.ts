/**
 * Compares what the online store answered while real invoice lines came in with what history has for the same moments,
 * bit for bit: `npm run verify:features -- FILE [--limit N] [--pairs 1000] [--stops 25] [--seed 1]`. FILE is one of the UCI
 * data sets; its times are moved so that the last line happened a minute ago. `DATABASE_URL` takes an empty Postgres
 * instead of the embedded one. The worker has features of every aggregate.
 */
import { convertV4MiniflareOptions, Miniflare } from 'miniflare';
import { queueConsumers } from '../../../bench/support/queue-consumers.ts';
import { bundle, emptyModules, KEY, millrace } from '../../../bench/support/runtime.ts';
import { readOptions, UsageError } from '../../../scripts/command-line/options.ts';
import { readOrExit } from '../../../scripts/command-line/run.ts';
import { wholeNumberOf } from '../../../scripts/command-line/values.ts';
import { startDevDatabase } from '../../../scripts/dev/database.ts';
import { differencesOf, observeOnline, statusesOf } from '../../../scripts/verify/feature-parity.ts';
import { connect } from '../../../src/storage/postgres/connect.ts';
import { FIXTURE } from '../../../test/support/node/fixture.ts';
import { catalog } from '../../../test/support/point-in-time/catalog.ts';
import { IMPORT_SOURCE, type LineEvent, LineIdentity, toCloudEvent } from '../import/event.ts';
import { inspectFile, latestTime, readSource } from '../import/source.ts';

/** From the last line to now: all lines are past when they are sent. */
const LAST_LINE_AGE_MS = 60_000;
const SHOWN_DIFFERENCES_MAX = 10;
const FOLDER = 'dist/feature-parity';

const { file, limit, ...plan } = readOrExit(() => {
  const { values, positionals } = readOptions({
    command: 'npm run verify:features',
    positionalsMax: 1,
    options: {
      limit: { type: 'string', default: String(Number.MAX_SAFE_INTEGER) },
      pairs: { type: 'string', default: '1000' },
      stops: { type: 'string', default: '25' },
      seed: { type: 'string', default: '1' },
    },
  });
  const [name] = positionals;
  if (name === undefined)
    throw new UsageError('Name a file of the UCI data set: npm run verify:features -- FILE.');
  return {
    file: name,
    limit: wholeNumberOf('--limit', values.limit, { min: 1 }),
    pairs: wholeNumberOf('--pairs', values.pairs, { min: 1 }),
    stops: wholeNumberOf('--stops', values.stops, { min: 1 }),
    seed: wholeNumberOf('--seed', values.seed, { min: 0 }),
  };
});

async function linesOf(path: string): Promise<LineEvent[]> {
  const source = await inspectFile(path);
  const latest = await latestTime(readSource(source));
  const shiftMs = Date.now() - LAST_LINE_AGE_MS - (latest ?? 0);
  const identity = new LineIdentity();
  const events: LineEvent[] = [];
  for await (const { lines } of readSource(source))
    for (const line of lines) {
      if (events.length === limit) return events;
      events.push(toCloudEvent(line, { source: IMPORT_SOURCE, id: identity.idOf(line), shiftMs }));
    }
  return events;
}

const events = await linesOf(file);
console.log(
  `${events.length} lines of ${file}, ${plan.stops} stops, ${plan.pairs} pairs, seed ${plan.seed}.`,
);
bundle('test/support/point-in-time/worker.ts', '--outdir', FOLDER);
emptyModules(FOLDER);
const url = process.env['DATABASE_URL'];
const { migrationsDir } = FIXTURE;
const database = await startDevDatabase(
  url === undefined ? { migrationsDir, dataDir: 'memory://' } : { migrationsDir, databaseUrl: url },
);
const worker = { ...millrace(database, FOLDER, 'worker.js'), name: 'millrace' };
const runtime = new Miniflare(
  convertV4MiniflareOptions({ inspectorPort: 0, workers: [{ ...worker, queueConsumers: queueConsumers() }] }),
);
try {
  await runtime.ready;
  const deployment = {
    ...{ url: await runtime.unsafeGetDirectURL('millrace'), key: KEY, catalog },
    db: connect({ url: database.connectionString, endpoint: database.endpoint }),
  };
  const startedAt = performance.now();
  const seconds = () => `${((performance.now() - startedAt) / 1_000).toFixed(0)} s`;
  const observations = await observeOnline(deployment, events, plan, (sent, observed) =>
    console.log(`${seconds()}: ${sent} lines sent and folded, ${observed} pairs read`),
  );
  const differences = await differencesOf(deployment, observations);
  const statuses = statusesOf(observations);
  const values = Object.values(statuses).reduce((sum, count) => sum + count, 0);
  const each = Object.entries(statuses).map(([status, count]) => `${count} ${status}`);
  console.log(`${seconds()}: ${observations.length} pairs, ${values} values: ${each.join(', ')}`);
  for (const difference of differences.slice(0, SHOWN_DIFFERENCES_MAX))
    console.log(JSON.stringify(difference));
  console.log(`differences: ${differences.length}`);
  process.exitCode = differences.length === 0 && observations.length === plan.pairs ? 0 : 1;
} finally {
  await runtime.dispose();
  await database.close();
}
