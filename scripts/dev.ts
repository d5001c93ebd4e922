/**
 * `npm run dev`: the whole stack on this machine. An embedded Postgres behind a Neon-compatible endpoint (or the
 * database of DATABASE_URL), migrated; the embedded one, where it is empty, filled by the project's seed; first
 * versions of the models; and the worker under `wrangler dev`. Everything is kept in `.millrace/`.
 */
import { randomUUID } from 'node:crypto';
import { readOptions, UsageError } from './command-line/options.ts';
import { runCommand } from './command-line/run.ts';
import { databaseUrlOf, portOf } from './command-line/values.ts';
import { claimStateFolder } from './dev/claim-folder.ts';
import { HOST } from './dev/port.ts';
import { runStack } from './dev/stack.ts';
import { listenForEnd } from './dev/stopping.ts';
import { loadCatalog } from './project/catalog.ts';
import { loadProject } from './project/load.ts';

const USAGE = `Usage: npm run dev -- [--port 8787] [--fresh] [--empty] [--state .millrace] [--seed] [--kafka]

  --port N    the port of the worker (8787)
  --state DIR the folder of all state (.millrace)
  --fresh     delete the state first: database, caches, features, key; bundles in models/ stay
  --empty     do not seed an empty database, so that it is ready for data of your own
  --seed      seed an empty database with made-up data, also one of DATABASE_URL, or one that --empty left empty
  --kafka     also start the Kafka REST bridge over a log of its own, on the port after the worker's
  DATABASE_URL=postgres://…  use this Postgres or Neon instead of the embedded one`;

await runCommand(async () => {
  const { values } = readOptions({
    command: 'npm run dev',
    options: {
      port: { type: 'string', default: '8787' },
      fresh: { type: 'boolean', default: false },
      empty: { type: 'boolean', default: false },
      seed: { type: 'boolean', default: false },
      kafka: { type: 'boolean', default: false },
      state: { type: 'string', default: '.millrace' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return console.log(USAGE);
  const port = portOf('--port', values.port);
  const kafkaPort = values.kafka ? portOf('--port, plus one for --kafka,', String(port + 1)) : undefined;
  if (values.empty && values.seed) throw new UsageError('--empty and --seed exclude each other: give one.');
  const databaseUrl = databaseUrlOf(process.env['DATABASE_URL']);
  const catalog = await loadCatalog();
  const project = loadProject();

  const startedAt = performance.now();
  const ending = listenForEnd();
  console.log('Starting Millrace; the first start of a state folder takes 30 to 90 s.');
  await using folder = await claimStateFolder({
    stateDir: values.state,
    isFresh: values.fresh,
    isEmptyWished: values.empty,
    databaseUrl,
    migrations: project.migrations,
    instance: randomUUID(),
    url: `http://${HOST}:${port}`,
    ports: [port, ...(kafkaPort === undefined ? [] : [kafkaPort])],
    step: (text) => console.log(`  ${text}`),
  });
  await runStack({ ...values, port, kafkaPort, databaseUrl, catalog, project, folder, ending, startedAt });
});
