/**
 * `DATABASE_URL=postgres://… npm run deploy [-- --env NAME]`: creates what the account lacks, applies migrations, deploys
 * with wrangler, and looks whether the new version answers.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { experimental_readRawConfig, unstable_readConfig } from 'wrangler';
import * as z from 'zod';
import { createClient } from '../src/client/index.ts';
import { burning } from './cli/watch.ts';
import { readOptions, UsageError } from './command-line/options.ts';
import { runCommand } from './command-line/run.ts';
import { durationMs, requiredDatabaseUrl, workerUrlOf } from './command-line/values.ts';
import { createQueues, knownKey, missingSecrets, secretsOf } from './deploy/resources.ts';
import { faultOf } from './deploy/verify.ts';
import { deployed, onTerminal, type Release, ROOT, WRANGLER, wrangler } from './deploy/wrangler.ts';
import { deploymentNotices } from './project/deployment.ts';
import { writeDocsAssets } from './project/docs-assets.ts';
import { TomlTable, withEnvironments } from './project/environments.ts';

const USAGE = `Usage: DATABASE_URL=postgres://… npm run deploy [-- --env NAME] [--domain HOST] [--route PATTERN]

  --env NAME        integration, staging or production of wrangler.toml; production if absent
  --domain HOST     a custom domain of the worker, such as api.example.com; repeat it for several
  --route PATTERN   a route of the worker, such as 'example.com/v1/*'; repeat it for several
  --url URL         where the new version answers; by default the first address that wrangler names
  --watch DURATION  then watch the objectives for so long, as 15m; it needs MILLRACE_KEY, or the key that an earlier call made
  --rollback        go back to the version before if the new one does not answer, or an objective burns

It creates the queues that are missing, applies migrations, installs triggers, deploys, and waits until the new version
and all that it needs answer. Of the secrets it sets those that the worker lacks: DATABASE_URL, and the hash of
MILLRACE_KEY or of a key that it makes. Without a domain or a route, the worker has the routes of wrangler.toml.`;

const CONFIG = join(ROOT, 'wrangler.toml');

const Route = z.union([z.string(), z.object({ pattern: z.string() }).transform(({ pattern }) => pattern)]);
const Named = z.array(z.object({ queue: z.string() })).default([]);
/** The part of wrangler.toml that is read here. */
const Configured = z
  .object({
    name: z.string(),
    route: Route.optional(),
    routes: z.array(Route).default([]),
    vars: z.record(z.string(), z.unknown()),
    queues: z.object({ producers: Named, consumers: Named }),
  })
  .transform(({ route, routes, queues, ...rest }) => ({
    ...rest,
    routes: [...(route === undefined ? [] : [route]), ...routes],
    queues: [...new Set([...queues.producers, ...queues.consumers].map(({ queue }) => queue))],
  }));
type Configured = z.output<typeof Configured>;

function readOwnOptions() {
  return readOptions({
    command: 'npm run deploy',
    options: {
      env: { type: 'string', default: 'production' },
      domain: { type: 'string', multiple: true, default: [] },
      route: { type: 'string', multiple: true, default: [] },
      url: { type: 'string' },
      watch: { type: 'string' },
      rollback: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  }).values;
}
type Options = ReturnType<typeof readOwnOptions>;

await runCommand(async () => {
  const options = readOwnOptions();
  if (options.help) return console.log(USAGE);
  const databaseUrl = requiredDatabaseUrl(process.env['DATABASE_URL']);
  const given = options.url === undefined ? undefined : workerUrlOf('--url', options.url);
  const watchMs = options.watch === undefined ? 0 : durationMs(options.watch);
  if (watchMs === undefined) throw new UsageError('--watch takes a duration, as 15m or 1h.');
  const config = readConfig(options);
  const checked = await onTerminal(process.execPath, [join('scripts', 'check-catalog.ts')]);
  if (checked !== 0) return checked;
  const routes = [...options.domain, ...options.route, ...config.routes];
  for (const notice of deploymentNotices({ routes, vars: config.vars, databaseUrl })) console.log(notice);
  const known = await secretsOf(options.env, wrangler);
  if (watchMs > 0 && known.has('API_KEY_SHA256') && knownKey(config.name) === undefined)
    throw new UsageError(
      '--watch reads the alerts, so it needs the key of the deployment: set MILLRACE_KEY.',
    );
  const created = await createQueues(config.queues, wrangler);
  const { secrets, told } = missingSecrets(known, {
    ...{ worker: config.name, databaseUrl },
    key: process.env['MILLRACE_KEY'] || undefined,
  });
  for (const script of ['migrate.ts', 'capture.ts']) {
    const code = await onTerminal(process.execPath, [join('scripts', script)]);
    if (code !== 0) return code;
  }
  const sinceMs = Date.now();
  const release = await deploy(options, secrets);
  if (typeof release === 'number') return release;
  console.log(`\nDeployed ${config.name}, version ${release.version}:`);
  for (const name of created) console.log(`  created the queue ${name}`);
  for (const line of told) console.log(`  ${line}`);
  const url = given ?? release.url;
  if (url === undefined) {
    console.error('  wrangler names no address, so nobody looked whether it answers: give it by --url');
    return 1;
  }
  const fault =
    (await faultOf({ url, version: release.version }, { fetch, sleep, now: () => performance.now() })) ??
    (await burningOf({ url, key: knownKey(config.name) ?? '' }, sinceMs, watchMs));
  return await ended({ url, fault, isWatched: watchMs > 0 }, options);
}, 'deploy');

/** @throws Error where the environment is none, or wrangler.toml does not have those that it should. */
function readConfig({ env }: Options): Configured {
  const text = readFileSync(CONFIG, 'utf8');
  const raw = TomlTable.parse(experimental_readRawConfig({ config: CONFIG }).rawConfig);
  if (withEnvironments(text, raw) !== text)
    throw new Error(
      'The environments of wrangler.toml are not those of its other keys: npm run environments.',
    );
  return Configured.parse(unstable_readConfig({ config: CONFIG, env }));
}

async function deploy(
  { env, domain, route }: Options,
  secrets: Readonly<Record<string, string>>,
): Promise<Release | number> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-assets-'));
  try {
    const assets = join(folder, 'assets');
    writeDocsAssets(assets);
    const secretsFile = join(folder, 'secrets.json');
    writeFileSync(secretsFile, JSON.stringify(secrets), { mode: 0o600 });
    return await deployed([
      ...['--env', env, '--assets', assets],
      ...(Object.keys(secrets).length === 0 ? [] : ['--secrets-file', secretsFile]),
      ...domain.flatMap((host) => ['--domain', host]),
      ...route.flatMap((pattern) => ['--route', pattern]),
    ]);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** @returns undefined if no objective burns while it is watched. */
async function burningOf(
  target: { url: string; key: string },
  sinceMs: number,
  watchMs: number,
): Promise<string | undefined> {
  if (watchMs === 0) return undefined;
  console.log(`  ${target.url} answers; watching the objectives for ${watchMs / 60_000} min`);
  const client = createClient(target);
  const report = async () => (await client.get('/v1/admin/alerts')).data;
  return await burning({ report, sleep, now: Date.now }, { sinceMs, untilMs: Date.now() + watchMs });
}

/** Says how it ended, and goes back if that is asked for. @returns the exit code. */
async function ended(
  { url, fault, isWatched }: { url: string; fault: string | undefined; isWatched: boolean },
  { env, rollback }: Options,
): Promise<number> {
  if (fault === undefined) {
    console.log(
      isWatched
        ? '  no objective burns'
        : `  ${url} answers, and so does all that it needs; npm run cli -- doctor --url ${url} says more`,
    );
    return 0;
  }
  console.error(`  the new version is not right: ${fault}`);
  const args = ['rollback', '--env', env, '--yes', '--message', 'the new version was not right'];
  if (!rollback) console.error(`  go back with npx wrangler rollback --env ${env}`);
  else if ((await onTerminal(WRANGLER, args)) !== 0)
    console.error('  wrangler could not go back, so the new version still answers');
  return 1;
}
