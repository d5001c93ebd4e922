/**
 * Completes package-lock.json with the builds of native packages for other platforms: npm leaves out those that
 * the machine at hand does not install, and `npm ci` then refuses the file where they are needed.
 *
 *   node scripts/lockfile.ts           adds what is missing
 *   node scripts/lockfile.ts --check   fails where something is missing
 */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import * as z from 'zod';

const LOCKFILE = 'package-lock.json';

const Lockfile = z.looseObject({
  packages: z.record(
    z.string(),
    z.looseObject({
      dev: z.boolean().optional(),
      optionalDependencies: z.record(z.string(), z.string()).optional(),
    }),
  ),
});
const Published = z.object({
  version: z.string(),
  'dist.integrity': z.string(),
  license: z.string().optional(),
  os: z.array(z.string()).optional(),
  cpu: z.array(z.string()).optional(),
  libc: z.array(z.string()).optional(),
  engines: z.record(z.string(), z.string()).optional(),
});

interface Missing {
  readonly name: string;
  readonly range: string;
  readonly dev: boolean;
}

function missingFrom({ packages }: z.output<typeof Lockfile>): Missing[] {
  const missing: Missing[] = [];
  for (const [path, { optionalDependencies = {}, dev = false }] of Object.entries(packages)) {
    for (const [name, range] of Object.entries(optionalDependencies)) {
      if (!isResolved(packages, path, name)) missing.push({ name, range, dev });
    }
  }
  return missing;
}

/** Looks a package up as Node does: in the dependent's own node_modules, then in those around it. */
function isResolved(packages: object, dependent: string, name: string): boolean {
  for (
    let folder = dependent;
    ;
    folder = folder.slice(0, Math.max(0, folder.lastIndexOf('node_modules/') - 1))
  ) {
    if (`${folder === '' ? '' : `${folder}/`}node_modules/${name}` in packages) return true;
    if (folder === '') return false;
  }
}

function entryOf({ name, range, dev }: Missing): object {
  const fields = Object.keys(Published.shape);
  const printed = execFileSync('npm', ['view', `${name}@${range}`, ...fields, '--json'], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const { 'dist.integrity': integrity, version, ...rest } = Published.parse(JSON.parse(printed));
  return { version, integrity, ...(dev ? { dev } : {}), optional: true, ...rest };
}

const { values: options } = parseArgs({ options: { check: { type: 'boolean', default: false } } });
const lockfile = Lockfile.parse(JSON.parse(readFileSync(LOCKFILE, 'utf8')));
const missing = missingFrom(lockfile);
if (options.check && missing.length > 0) {
  console.error(`${LOCKFILE} lacks ${missing.map(({ name }) => name).join(', ')}: run \`npm run lockfile\`.`);
  process.exitCode = 1;
} else if (missing.length > 0) {
  const added = missing.map((one): [string, object] => [`node_modules/${one.name}`, entryOf(one)]);
  const packages = Object.fromEntries(
    [...Object.entries(lockfile.packages), ...added].sort(([a], [b]) => (a < b ? -1 : 1)),
  );
  writeFileSync(LOCKFILE, `${JSON.stringify({ ...lockfile, packages }, null, 2)}\n`);
  console.log(`Added ${missing.length} packages of other platforms to ${LOCKFILE}.`);
}
