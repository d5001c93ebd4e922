/** `npm run train -- MODEL`: runs the training recipe that the project declares for the model. */
import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { catalog } from '../src/catalog/index.ts';
import { modelNamed, runCommand } from './models/named.ts';
import { publishFolder } from './models/publish.ts';
import { STATE_DIR, TARGET_USAGE, type Target, targetOf } from './models/target.ts';
import { completed, failed, report } from './models/training-run.ts';
import { loadProject } from './project/load.ts';
import { runScript } from './project/run.ts';

const DEV_VARS = `${STATE_DIR}/worker.env`;

const USAGE = `npm run train -- [MODEL] [options] [options of the recipe]

Runs the recipe of MODEL, which writes a bundle's folder. MODEL may be left out where the project has one recipe. The
database is that of DATABASE_URL (and DATABASE_ENDPOINT, where it is reached over another HTTP address than Neon's
own), else that of npm run dev. With --publish the bundle is published, and the training is recorded as lineage.

  --out DIR          the bundle's folder (${STATE_DIR}/models/MODEL)
  --publish          publishes the bundle
${TARGET_USAGE}`;

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
    const [name = '', inline] = argument.split(/=(.*)/s);
    if (['--publish', '--help'].includes(argument)) flags.add(argument);
    else if (['--out', '--url', '--key'].includes(name)) {
      const value = inline ?? given[index + 1];
      if (value === undefined) throw new Error(`${name} wants a value.`);
      values[name.slice(2)] = value;
      if (inline === undefined) index += 1;
    } else rest.push(argument);
  }
  return { values, flags, rest };
}

await runCommand(async () => {
  const given = process.argv.slice(2);
  const isNamed = given[0] !== undefined && !given[0].startsWith('-');
  const { values, flags, rest } = argumentsOf(isNamed ? given.slice(1) : given);
  if (flags.has('--help')) return console.log(USAGE);
  const declared = loadProject().models;
  const [only, ...others] = Object.keys(declared);
  const { name } = modelNamed(catalog, isNamed ? given[0] : others.length === 0 ? only : undefined);
  const first = declared[name];
  if (first === undefined || !('train' in first)) throw new Error(withoutRecipe(name, first?.bundle));
  const out = values['out'] ?? join(STATE_DIR, 'models', name);
  const run = () => runRecipe(first.train, ['--out', out, ...rest]);
  if (!flags.has('--publish')) {
    await run();
    console.log(`Publish it with: npm run publish -- ${name} ${out}`);
    return;
  }
  const target = targetOf({ url: values['url'] ?? 'http://127.0.0.1:8787', key: values['key'] });
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
async function runRecipe(script: string, args: readonly string[]): Promise<void> {
  if (!process.env['DATABASE_URL'] && existsSync(DEV_VARS)) process.loadEnvFile(DEV_VARS);
  if ((await runScript(script, args)) !== 0) throw new Error(`The recipe ${script} failed.`);
}

function withoutRecipe(name: string, bundle: string | undefined): string {
  const problem = `src/catalog/project.ts declares no training recipe for "${name}".`;
  return bundle === undefined
    ? `${problem} Declare \`train\` there, or train the model elsewhere and use npm run bundle.`
    : `${problem} Its bundle was made elsewhere: npm run publish -- ${name} ${bundle}`;
}
