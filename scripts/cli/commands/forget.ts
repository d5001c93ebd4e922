import type { Command } from 'commander';
import { ProblemError } from '../../../src/client/index.ts';
import { UsageError } from '../../command-line/options.ts';
import { Cli } from '../cli.ts';

interface Flags {
  readonly yes?: boolean;
  readonly verify?: boolean;
  readonly retrain?: boolean;
}

type Mode = 'list' | 'erase' | 'verify';
type Key = string | Record<string, string | number>;

/** Searches for the data of one row of an entity in all places, and erases them. */
export function registerForget(program: Command): void {
  program
    .command('forget')
    .description('lists the data of one row of an entity in all places; with --yes erases them')
    .argument('<entity>', 'the name of an entity of the catalog')
    .argument('<key>', 'its key; a key of several columns as a JSON object')
    .option('--yes', 'erases the data, then looks again; the same command goes on after an interruption')
    .option('--verify', 'only looks again at what an erasure should have removed')
    .option('--retrain', 'after the erasure, trains the models again that may have learned from the data')
    .action(async (entity: string, text: string, flags: Flags, command: Command) => {
      const { yes = false, verify = false, retrain = false } = flags;
      if (yes && verify) throw new UsageError('--yes looks again by itself: leave out --verify.');
      if (retrain && !yes) throw new UsageError('--retrain goes with --yes.');
      const cli = new Cli(command);
      const subject = { entity, key: keyOf(text) };
      if (!yes) {
        const seen = await run(cli, subject, verify ? 'verify' : 'list');
        cli.print(seen, report(seen, verify ? 'is left' : 'would be removed').join('\n'));
        if (verify) assertNothing(seen);
        return;
      }
      const erased = await run(cli, subject, 'erase');
      const left = await run(cli, subject, 'verify');
      const trained = retrain ? await trainAgain(cli, erased) : [];
      const lines = [...report(erased, 'was removed'), ...trained.map(trainedLine)];
      cli.print({ erased, left, trained }, [...lines, ...report(left, 'is left')].join('\n'));
      assertNothing(left);
    });
}

function keyOf(text: string): Key {
  if (!text.startsWith('{')) return text;
  try {
    return JSON.parse(text) as Key;
  } catch {
    throw new UsageError('The key is no JSON object.');
  }
}

/** Repeats the request until it is done. A step that was done twice changes nothing. */
async function run(cli: Cli, subject: { readonly entity: string; readonly key: Key }, mode: Mode) {
  const ask = async (restart: boolean) =>
    (await cli.client.post('/v1/admin/forget', { body: { ...subject, mode, restart }, isRepeatable: true }))
      .data;
  const startedAt = performance.now();
  // An erasure that was interrupted goes on; one that is done begins again.
  let page = await ask(mode !== 'erase');
  if (page.state === 'done') page = await ask(true);
  while (page.state !== 'done') {
    page = await ask(false);
    cli.reporter.progress({
      ...{ unit: `events examined (${mode}: ${page.state})`, done: page.examined, doneByRun: page.examined },
      fraction: page.state === 'events' && page.last > 0 ? page.cursor / page.last : 1,
      ...{ fractionAtStart: 0, elapsedMs: performance.now() - startedAt },
    });
  }
  cli.reporter.finish();
  return page;
}

type Page = Awaited<ReturnType<typeof run>>;

interface Trained {
  readonly model: string;
  /** Why no training of it has begun; null if one has. */
  readonly refused: string | null;
}

/** Trains the models that may have learned, without the events. One that is not trained here is no reason to stop. */
async function trainAgain(cli: Cli, { models }: Page): Promise<Trained[]> {
  const names = [...new Set(models.map(({ model }) => model))];
  const trained: Trained[] = [];
  for (const model of names) {
    try {
      await cli.client.post('/v1/training', { body: { model } });
      trained.push({ model, refused: null });
    } catch (error) {
      if (!(error instanceof ProblemError)) throw error;
      trained.push({ model, refused: error.problem.detail ?? error.message });
    }
  }
  return trained;
}

function trainedLine({ model, refused }: Trained): string {
  return refused === null ? `A training of ${model} has begun.` : `${model} is not trained again: ${refused}`;
}

function assertNothing({ total }: Page): void {
  if (total > 0) throw new Error(`${total} pieces of data are left. Run the command with --yes again.`);
}

function report({ total, found, models, others }: Page, what: string): string[] {
  const { events, rows, datasets, byValue, ...counts } = found;
  const of = (prefix: string, named: Readonly<Record<string, number>>) =>
    Object.entries(named).map(([name, n]) => `  ${prefix} ${name}: ${n}`);
  return [
    total === 0 ? `Nothing ${what}.` : `This ${what}:`,
    ...of('events', events),
    ...(byValue > 0 ? [`  of them found by the value of the key alone: ${byValue}`] : []),
    ...of('rows of', rows),
    ...Object.entries(counts).flatMap(([name, n]) => (n > 0 ? [`  ${name}: ${n}`] : [])),
    ...datasets.map((id) => `  dataset ${id}`),
    ...models.map(
      ({ model, version }) => `  ${model} ${version} may have learned from it, and stays as it is`,
    ),
    ...(others && what !== 'is left' ? ['  features of others count it, and are built again'] : []),
  ];
}
