/** `npm run train -- MODEL`: runs the training recipe that the project declares for the model. */
import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { nearest, UsageError } from './command-line/options.ts';
import { EXIT_USAGE, runCommand } from './command-line/run.ts';
import { STATE_DIR, TARGET_USAGE, type Target, targetOf } from './command-line/target.ts';
import { databaseUrlOf } from './command-line/values.ts';
import { runningStack } from './dev/state/lock.ts';
import { modelNamed } from './models/named.ts';
import { publishFolder } from './models/publish.ts';
import { completed, failed, report } from './models/training-run.ts';
import { loadCatalog } from './project/catalog.ts';
import { loadProject } from './project/load.ts';
import { runScript } from './project/run.ts';

const USAGE = `npm run train -- [MODEL] [options] [options of the recipe]

Runs the recipe of MODEL, which writes a bundle's folder. MODEL is optional if the project has one recipe. The
database is that of DATABASE_URL, else that of npm run dev. DATABASE_ENDPOINT names the HTTP address of a database that
is not reached at Neon's own. With --publish the bundle is published, and the training is recorded as lineage.

  --out DIR          the bundle's folder (${STATE_DIR}/models/MODEL)
  --publish          publishes the bundle
${TARGET_USAGE}`;

const OWN_VALUES = ['out', 'url', 'key', 'state'] as const;
const OWN_FLAGS = ['publish', 'help'] as const;
/** How often the elapsed time of a running recipe is printed. */
const TELL_EVERY_MS = 10_000;

/** The arguments that are ours; the recipe gets the others. */
interface Arguments {
  readonly values: Readonly<Record<string, string>>;
  readonly flags: ReadonlySet<string>;
  readonly rest: readonly string[];
}

function argumentsOf(given: readonly string[]): Arguments {
  const values: Record<string, string> = {};
  const flags = new Set<string>();
  const rest: string[] = [];
  for (let index = 0; index < given.length; index += 1) {
    const argument = given[index] ?? '';
    const [, name = '', inline] = /^--([^=]+)(?:=(.*))?$/s.exec(argument) ?? [];
    if (OWN_FLAGS.some((flag) => flag === name) && inline === undefined) flags.add(name);
    else if (OWN_VALUES.some((option) => option === name)) {
      const value = inline ?? given[index + 1] ?? '';
      if (value === '' || (inline === undefined && value.startsWith('-')))
        throw new UsageError(`--${name} needs a value. \`npm run train -- --help\` lists the options.`);
      values[name] = value;
      if (inline === undefined) index += 1;
    } else rest.push(notMistyped(argument, name));
  }
  return { values, flags, rest };
}

/** An option of the recipe. One that is almost ours is a mistake: the recipe would complain of an option it never had. */
function notMistyped(argument: string, name: string): string {
  const near = name === '' ? undefined : nearest(name, [...OWN_VALUES, ...OWN_FLAGS]);
  if (near === undefined) return argument;
  throw new UsageError(`There is no option --${name}. Did you mean --${near}?`);
}

await runCommand(async () => {
  const given = process.argv.slice(2);
  const isNamed = given[0] !== undefined && !given[0].startsWith('-');
  const { values, flags, rest } = argumentsOf(isNamed ? given.slice(1) : given);
  if (flags.has('help')) return console.log(USAGE);
  const declared = loadProject().models;
  const [only, ...others] = Object.keys(declared);
  const { name } = modelNamed(
    await loadCatalog(),
    isNamed ? given[0] : others.length === 0 ? only : undefined,
  );
  const first = declared[name];
  if (first === undefined || !('train' in first)) throw new Error(withoutRecipe(name, first?.bundle));
  const state = values['state'] ?? STATE_DIR;
  const out = values['out'] ?? join(state, 'models', name);
  const run = () => runRecipe(name, first.train, ['--out', out, ...rest], state);
  if (!flags.has('publish')) {
    await run();
    console.log(`Publish it with: npm run publish -- ${name} ${out}`);
    return;
  }
  const target = targetOf({ url: values['url'], key: values['key'], state });
  await trainAndPublish(name, out, run, target);
});

async function trainAndPublish(
  model: string,
  out: string,
  run: () => Promise<void>,
  target: Target,
): Promise<void> {
  const startedAt = new Date().toISOString();
  const training = { model, runId: randomUUID() };
  await report({ state: 'START' }, target, training);
  try {
    await run();
    const { version } = await publishFolder(out, target, model);
    console.log(`Published version ${version} of ${model}: it answers from now on.`);
    await report(await completed(out, startedAt), target, training);
  } catch (error) {
    await report(failed(error, startedAt), target, training);
    throw error;
  }
}

/** @throws Error where the recipe fails; what it wrote to the console says why. */
async function runRecipe(
  model: string,
  script: string,
  args: readonly string[],
  state: string,
): Promise<void> {
  if (databaseUrlOf(process.env['DATABASE_URL']) === undefined) useDevDatabase(state);
  const startedAt = performance.now();
  const seconds = () => Math.round((performance.now() - startedAt) / 1_000);
  const teller = setInterval(() => console.error(`  training ${model}: ${seconds()} s`), TELL_EVERY_MS);
  try {
    const code = await runScript(script, args);
    if (code === EXIT_USAGE)
      throw new UsageError(`The recipe ${script} refused its options, for the reason above.`);
    if (code !== 0) throw new Error(`The recipe ${script} failed, with the error above.`);
  } finally {
    clearInterval(teller);
  }
}

/** A recipe may read a file instead of a database, so a stack that does not run is no error here. */
function useDevDatabase(state: string): void {
  const vars = join(state, 'worker.env');
  if (existsSync(vars) && runningStack(state) !== undefined) process.loadEnvFile(vars);
  else
    console.error(
      `No stack runs from ${state}/ and DATABASE_URL is not set, so the recipe has no database. Start npm run dev, or set DATABASE_URL.`,
    );
}

function withoutRecipe(name: string, bundle: string | undefined): string {
  const problem = `src/catalog/project.ts declares no training recipe for "${name}".`;
  return bundle === undefined
    ? `${problem} Declare \`train\` there, or train the model elsewhere and use npm run bundle.`
    : `${problem} Its bundle was made elsewhere: npm run publish -- ${name} ${bundle}`;
}
