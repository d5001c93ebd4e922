/**
 * Requests of one event each, `202` and `Prefer: wait`, against the floor: an empty route that reads the body in the same
 * runtime. `npm run bench:events [-- --rounds 5]`; `DATABASE_URL` takes a real Postgres instead of the embedded one. It
 * needs wrk.
 *
 * The local queue has no consumer here, so what is measured is the request and not what follows it. The last line checks
 * that the database has as many events as were answered with 201.
 */
import { neon, neonConfig } from '@neondatabase/serverless';
import { readOptions } from '../scripts/command-line/options.ts';
import { readOrExit } from '../scripts/command-line/run.ts';
import { wholeNumberOf } from '../scripts/command-line/values.ts';
import { startDevDatabase } from '../scripts/dev/database.ts';
import { newId } from '../src/platform/ids.ts';
import { FIXTURE } from '../test/support/node/fixture.ts';
import { cpuSeconds, median } from './support/load.ts';
import { emptyServer, start } from './support/product-server.ts';
import { bundle, KEY, millrace } from './support/runtime.ts';
import { driveByScript } from './support/wrk.ts';

const { rounds, connections } = readOrExit(() => {
  const { values } = readOptions({
    command: 'npm run bench:events',
    options: {
      rounds: { type: 'string', default: '5' },
      connections: { type: 'string', default: '50' },
    },
  });
  return {
    rounds: wholeNumberOf('--rounds', values.rounds, { min: 1 }),
    connections: wholeNumberOf('--connections', values.connections, { min: 1 }),
  };
});
const ROUND_SECONDS = 5;

interface Server {
  readonly url: URL;
  readonly pid: number;
}

interface Measured {
  readonly perSecond: number;
  readonly cpuMicros: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

async function drive({ url, pid }: Server, path: string, how: 'wait' | '-'): Promise<Measured> {
  const before = cpuSeconds(pid);
  const { requests, durationUs, p50Us, p99Us } = await driveByScript(
    'events.lua',
    url,
    { connections, seconds: ROUND_SECONDS },
    [path, KEY, how, newId()],
  );
  return {
    perSecond: (requests * 1_000_000) / durationUs,
    cpuMicros: ((cpuSeconds(pid) - before) * 1_000_000) / requests,
    p50Ms: p50Us / 1_000,
    p99Ms: p99Us / 1_000,
  };
}

bundle(FIXTURE.main, '--outdir', 'dist/millrace');
const databaseUrl = process.env['DATABASE_URL'];
const { migrationsDir } = FIXTURE;
const database = await startDevDatabase(
  databaseUrl === undefined ? { dataDir: 'memory://', migrationsDir } : { databaseUrl, migrationsDir },
);
const empty = await emptyServer();
const server = await start(millrace(database, 'dist/millrace', 'index.js'), '/');
try {
  neonConfig.fetchEndpoint = () => database.endpoint;
  const kinds = [
    ['empty POST', () => drive(empty, '/', '-')],
    ['202', () => drive(server, '/v1/events', '-')],
    ['Prefer: wait', () => drive(server, '/v1/events', 'wait')],
  ] as const;
  const results = new Map<string, Measured[]>();
  for (let round = 0; round <= rounds; round += 1)
    for (const [name, measure] of kinds) {
      const measured = await measure();
      // The first round warms the code up.
      if (round > 0) results.set(name, [...(results.get(name) ?? []), measured]);
    }
  const headings = ['requests/s', 'CPU µs', 'p50 ms', 'p99 ms'];
  console.log(`${connections} connections, medians of ${rounds} rounds of ${ROUND_SECONDS} s`);
  console.log(`${''.padEnd(16)}${headings.map((heading) => heading.padStart(12)).join('')}`);
  for (const [name, measured] of results) {
    const of = (pick: (one: Measured) => number, digits: number) =>
      median(measured.map(pick)).toFixed(digits).padStart(12);
    const columns = [of((one) => one.perSecond, 0), of((one) => one.cpuMicros, 0)];
    console.log(
      `${name.padEnd(16)}${[...columns, of((one) => one.p50Ms, 1), of((one) => one.p99Ms, 1)].join('')}`,
    );
  }
  const [row] = await neon(database.connectionString)`
    select count(*)::int as events, count(distinct batch)::int as transactions from millrace.events`;
  console.log(
    `stored by waiting requests: ${row?.['events']} events in ${row?.['transactions']} transactions`,
  );
} finally {
  await server.stop();
  await empty.stop();
  await database.close();
}
