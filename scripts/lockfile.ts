/**
 * Completes package-lock.json with the builds of native packages for other platforms: npm leaves out those that
 * the machine at hand does not install, and `npm ci` then refuses the file where they are needed.
 *
 *   npm run lockfile              adds what is missing
 *   npm run lockfile -- --check   fails where something is missing
 */
import { readFileSync, writeFileSync } from 'node:fs';
import * as z from 'zod';
import { readOptions } from './command-line/options.ts';
import { runCommand } from './command-line/run.ts';

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
/** How the names of native packages spell a platform, and how npm does. */
const SYSTEMS: Readonly<Record<string, string>> = { windows: 'win32' };
const PROCESSORS: Readonly<Record<string, string>> = { '64': 'x64' };
const LIBRARIES: Readonly<Record<string, string>> = {
  gnu: 'glibc',
  gnueabihf: 'glibc',
  musl: 'musl',
  musleabihf: 'musl',
};
const PLATFORM =
  /-(?<os>android|darwin|freebsd|linux|openharmony|openbsd|netbsd|sunos|aix|win32|windows)-(?<cpu>[a-z0-9]+)(?:-(?<abi>\w+))?$/;

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

/**
 * The entry of a package that this machine never sees. Its name tells the platform; without an integrity npm
 * takes what the registry has under this exact version, as it does for a package that is not in the file.
 */
function entryOf({ name, range, dev }: Missing): object {
  const { os = '', cpu = '', abi = '' } = PLATFORM.exec(name)?.groups ?? {};
  if (os === '')
    throw new Error(
      `The platform of ${name} does not follow from its name: add the package to ${LOCKFILE} by hand.`,
    );
  const libc = os === 'linux' ? LIBRARIES[abi] : undefined;
  return {
    version: range,
    cpu: [PROCESSORS[cpu] ?? cpu],
    ...(dev ? { dev } : {}),
    ...(libc === undefined ? {} : { libc: [libc] }),
    optional: true,
    os: [SYSTEMS[os] ?? os],
  };
}

const USAGE = `Usage: npm run lockfile -- [--check]

  (no option)   adds the entries that are missing
  --check       changes nothing, and fails if an entry is missing`;

await runCommand(async () => {
  const { values } = readOptions({
    command: 'npm run lockfile',
    options: { check: { type: 'boolean', default: false }, help: { type: 'boolean', default: false } },
  });
  if (values.help) return console.log(USAGE);
  // What is parsed is only looked at: the file keeps npm's own order of fields.
  const lockfile: { packages: Record<string, object> } = JSON.parse(readFileSync(LOCKFILE, 'utf8'));
  const missing = missingFrom(Lockfile.parse(lockfile));
  if (missing.length === 0) return 0;
  if (values.check)
    throw new Error(
      `${LOCKFILE} lacks ${missing.map(({ name }) => name).join(', ')}: run \`npm run lockfile\`.`,
    );
  const added = missing.map((one): [string, object] => [`node_modules/${one.name}`, entryOf(one)]);
  const packages = Object.fromEntries(
    [...Object.entries(lockfile.packages), ...added].sort(([a], [b]) => (a < b ? -1 : 1)),
  );
  writeFileSync(LOCKFILE, `${JSON.stringify({ ...lockfile, packages }, null, 2)}\n`);
  console.log(`Added ${missing.length} packages of other platforms to ${LOCKFILE}.`);
  return 0;
});
