/**
 * `DATABASE_URL=postgres://… npm run deploy [-- --domain HOST] [--route PATTERN]`: checks the catalog, applies migrations,
 * installs triggers, and deploys with wrangler.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { unstable_readConfig } from 'wrangler';
import * as z from 'zod';
import { readOptions } from './command-line/options.ts';
import { runCommand } from './command-line/run.ts';
import { requiredDatabaseUrl } from './command-line/values.ts';
import { deploymentNotices } from './project/deployment.ts';
import { writeDocsAssets } from './project/docs-assets.ts';

const USAGE = `Usage: DATABASE_URL=postgres://… npm run deploy [-- --domain HOST] [--route PATTERN] [--env NAME]

  --domain HOST     a custom domain of the worker, such as api.example.com; repeat it for several
  --route PATTERN   a route of the worker, such as 'example.com/v1/*'; repeat it for several
  --env NAME        the environment of wrangler.toml

Without either, the worker is deployed with the routes of wrangler.toml. On workers.dev alone, the data centre's cache
keeps nothing.`;

const ROOT = join(import.meta.dirname, '..');

const Route = z.union([z.string(), z.object({ pattern: z.string() }).transform(({ pattern }) => pattern)]);
/** The part of wrangler.toml that decides where the worker answers, and where its objects are. */
const Configured = z
  .object({
    route: Route.optional(),
    routes: z.array(Route).default([]),
    vars: z.record(z.string(), z.unknown()),
  })
  .transform(({ route, routes, vars }) => ({
    routes: [...(route === undefined ? [] : [route]), ...routes],
    vars,
  }));

await runCommand(async () => {
  const { values } = readOptions({
    command: 'npm run deploy',
    options: {
      domain: { type: 'string', multiple: true, default: [] },
      route: { type: 'string', multiple: true, default: [] },
      env: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return console.log(USAGE);
  const databaseUrl = requiredDatabaseUrl(process.env['DATABASE_URL']);
  const environment = values.env === undefined ? {} : { env: values.env };
  const config = Configured.parse(
    unstable_readConfig({ config: join(ROOT, 'wrangler.toml'), ...environment }),
  );
  const routes = [...values.domain, ...values.route, ...config.routes];
  const notices = deploymentNotices({ routes, vars: config.vars, databaseUrl });
  for (const script of ['check-catalog.ts', 'migrate.ts', 'capture.ts']) {
    const code = await run(process.execPath, [join('scripts', script)]);
    if (code !== 0) return code;
  }
  for (const notice of notices) console.log(notice);
  const assets = mkdtempSync(join(tmpdir(), 'millrace-assets-'));
  writeDocsAssets(assets);
  const args = [
    ...['--assets', assets],
    ...values.domain.flatMap((host) => ['--domain', host]),
    ...values.route.flatMap((pattern) => ['--route', pattern]),
    ...(values.env === undefined ? [] : ['--env', values.env]),
  ];
  return await run('wrangler', ['deploy', ...args]);
}, 'deploy');

/** Runs a program on this terminal. @returns its exit code; 1 where a signal ended it. */
async function run(program: string, args: readonly string[]): Promise<number> {
  const child = spawn(program, args, { cwd: ROOT, stdio: 'inherit' });
  const [code]: unknown[] = await once(child, 'exit');
  return typeof code === 'number' ? code : 1;
}
