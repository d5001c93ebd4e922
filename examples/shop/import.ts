/**
 * Imports the invoice lines of the UCI data sets Online Retail and Online Retail II through the events endpoint.
 * `npm run import -- --help` lists the options.
 */
import { join } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { setTimeout } from 'node:timers/promises';
import { readOptions, UsageError } from '../../scripts/command-line/options.ts';
import { runCommand } from '../../scripts/command-line/run.ts';
import { STATE_DIR, TARGET_OPTIONS, TARGET_USAGE, targetOf } from '../../scripts/command-line/target.ts';
import { wholeNumberOf } from '../../scripts/command-line/values.ts';
import { createReporter } from '../../scripts/progress.ts';
import { databaseOf } from './import/database.ts';
import type { MadeUpChoice } from './import/made-up-shop.ts';
import { nextSteps, type Reach } from './import/next.ts';
import { type ImportOptions, type ImportResult, runImport } from './import/run.ts';
import { describeTimes, describeUnfolded, summarise } from './import/summary.ts';

const COMMAND = 'npm run import';
/** What the endpoint takes in one request at most. */
const BATCH_LINES_MAX = 1_000;
/** The shell's convention for a program that was interrupted. */
const EXIT_INTERRUPTED = 130;

const USAGE = `${COMMAND} -- FILE [options]

  FILE             Online Retail or Online Retail II as .csv, .csv.gz or .xlsx
  --batch N          lines per request, ${BATCH_LINES_MAX} at most and by default
  --limit N          stop after the first N lines of the file
  --as-if-today      move all times so that the last line of the file happened today
  --made-up CHOICE   remove or keep: what to do with the made-up shop of npm run dev; by default the import asks,
                     or warns if there is no terminal
  --restart          forget the progress of this file and send all lines again
${TARGET_USAGE}`;

/** What the command line asks for, and where it reaches the server. */
interface Asked {
  readonly options: ImportOptions;
  readonly reach: Reach;
  /** Where the URL comes from, as messages say it. */
  readonly origin: string;
  readonly state: string;
}

async function main(): Promise<number> {
  const asked = askedFor();
  if (asked === null) {
    console.log(USAGE);
    return 0;
  }
  const { options, reach, origin, state } = asked;
  const controller = new AbortController();
  const reporter = createReporter(process.stderr, Date.now);
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.on(signal, () => {
      if (controller.signal.aborted) process.exit(EXIT_INTERRUPTED);
      reporter.notice('Waiting for the batches under way. Press Ctrl-C again to stop at once.');
      controller.abort();
    });
  const sleep = async (ms: number, signal: AbortSignal): Promise<void> => {
    await setTimeout(ms, undefined, { signal }).catch(() => {});
  };
  const deps = {
    ...{ fetch, now: Date.now, random: Math.random, sleep, reporter },
    confirm: process.stdin.isTTY && process.stderr.isTTY ? confirm : null,
    database: () => databaseOf(process.env, join(state, 'worker.env')),
  };
  reporter.notice(`Importing ${options.file} to ${options.url} (${origin}).`);
  try {
    const result = await runImport(options, deps, controller.signal);
    return conclude(result, reach);
  } finally {
    reporter.finish();
  }
}

/** @returns null where the list of options is asked for. */
function askedFor(): Asked | null {
  const { values, positionals } = readOptions({
    command: COMMAND,
    positionalsMax: 1,
    options: {
      ...TARGET_OPTIONS,
      batch: { type: 'string', default: String(BATCH_LINES_MAX) },
      limit: { type: 'string' },
      'as-if-today': { type: 'boolean', default: false },
      'made-up': { type: 'string', default: 'ask' },
      restart: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return null;
  const [file] = positionals;
  if (file === undefined)
    throw new UsageError(
      `Name the file to import: ${COMMAND} -- FILE. \`${COMMAND} -- --help\` lists the options.`,
    );
  const { state, limit } = values;
  const options = {
    file,
    batchLines: wholeNumberOf('--batch', values.batch, { min: 1, max: BATCH_LINES_MAX }),
    limit: limit === undefined ? null : wholeNumberOf('--limit', limit, { min: 1 }),
    asIfToday: values['as-if-today'],
    restart: values.restart,
    madeUp: choice(values['made-up']),
    stateDirectory: join(state, 'imports'),
  };
  const { url, key, origin } = targetOf(values);
  const isKeyInFile = values.key === undefined && !process.env['MILLRACE_KEY'];
  const reach: Reach = {
    url,
    shellKey: isKeyInFile ? `$(cat ${join(state, 'key')})` : '$MILLRACE_KEY',
    options: [
      ...(values.url === undefined ? [] : [`--url ${url}`]),
      ...(state === STATE_DIR ? [] : [`--state ${state}`]),
    ],
  };
  return { options: { ...options, url, key }, reach, origin, state };
}

function choice(text: string): MadeUpChoice {
  if (text === 'keep' || text === 'remove' || text === 'ask') return text;
  throw new UsageError(`--made-up takes "remove" or "keep", not "${text}".`);
}

/** Asks at the terminal. Any answer other than yes counts as no. */
async function confirm(question: string): Promise<boolean> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  // Nothing is under way yet.
  terminal.on('SIGINT', () => process.exit(EXIT_INTERRUPTED));
  try {
    return /^y(es)?$/i.test((await terminal.question(`${question} [y/N] `)).trim());
  } finally {
    terminal.close();
  }
}

/** Prints how the run ended; returns the exit code. */
function conclude(result: ImportResult, reach: Reach): number {
  const { kind, state, stepsBack } = result;
  // One step back is where a merged copy begins its second edition.
  if (stepsBack > 1)
    console.error(
      `The times in the file go back ${stepsBack} times, so equal lines that are days apart counted as one line.`,
    );
  if (kind === 'already_complete')
    console.log(
      `The database holds all lines of this file; --restart sends them again. The totals of the import:`,
    );
  console.log(`\n${summarise(state)}\n`);
  if (kind !== 'already_complete') console.log(describeTimes(result));
  if (kind === 'failed' || kind === 'interrupted') return describeStop(result);
  if (kind === 'limit_reached')
    console.log(
      `The limit is reached after line ${state.acknowledged}. The same command with a higher --limit, or without one, resumes there.`,
    );
  const unfolded = describeUnfolded(result);
  if (unfolded !== null) console.error(unfolded);
  else console.log(`\n${nextSteps(reach, result.customers)}`);
  return unfolded === null ? 0 : 1;
}

function describeStop({ kind, state, statePath, message }: ImportResult): number {
  if (message !== null) console.error(message);
  const why = kind === 'failed' ? 'Stopped' : 'Interrupted';
  console.log(
    `${why} after line ${state.acknowledged}: the database holds all lines up to it. The same command resumes there. The state is in ${statePath}.`,
  );
  return kind === 'interrupted' ? EXIT_INTERRUPTED : 1;
}

await runCommand(main);
