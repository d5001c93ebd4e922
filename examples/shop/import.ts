/**
 * Imports the invoice lines of the UCI data sets Online Retail and Online Retail II through the events endpoint.
 * `npm run import -- --help` lists the options.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { setTimeout } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { createReporter } from '../../scripts/progress.ts';
import { databaseOf } from './import/database.ts';
import { ImportError } from './import/failure.ts';
import type { MadeUpChoice } from './import/made-up-shop.ts';
import { DEFAULT_URL, nextSteps } from './import/next.ts';
import { type ImportOptions, type ImportResult, runImport } from './import/run.ts';
import { describeTimes, describeUnfolded, summarise } from './import/summary.ts';

const DIRECTORY = '.millrace';
const KEY_FILE = `${DIRECTORY}/key`;
/** What the endpoint takes in one request at most. */
const BATCH_LINES_MAX = 1_000;
/** The shell's convention for a program that was interrupted. */
const EXIT_INTERRUPTED = 130;
const EXIT_USAGE = 2;

const USAGE = `npm run import -- FILE [options]

  FILE             Online Retail or Online Retail II as .csv, .csv.gz or .xlsx
  --url URL        where the server is (${DEFAULT_URL})
  --key KEY        API key; else MILLRACE_KEY, else the file ${KEY_FILE}
  --batch N        lines per request, ${BATCH_LINES_MAX} at most and unless given
  --limit N        stop after the first N lines of the file
  --as-if-today    move all times so that the last line of the file happened today
  --made-up CHOICE remove the made-up shop of npm run dev first, or keep it; else a terminal is asked
  --restart        forget how far this file has come and send all lines anew`;

interface Key {
  readonly key: string;
  /** How a shell finds it, for lines to try. */
  readonly shell: string;
}

async function main(): Promise<number> {
  const asked = readOptions();
  if (asked === null) {
    console.log(USAGE);
    return 0;
  }
  const { key, shell } = await findKey(asked.key);
  const options: ImportOptions = { ...asked, key, stateDirectory: join(DIRECTORY, 'imports') };
  const controller = new AbortController();
  const reporter = createReporter(process.stderr, Date.now);
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.on(signal, () => {
      if (controller.signal.aborted) process.exit(EXIT_INTERRUPTED);
      reporter.notice('Waiting for the batches under way; Ctrl-C again leaves at once.');
      controller.abort();
    });
  const sleep = async (ms: number, signal: AbortSignal): Promise<void> => {
    await setTimeout(ms, undefined, { signal }).catch(() => {});
  };
  const deps = {
    ...{ fetch, now: Date.now, random: Math.random, sleep, reporter },
    confirm: process.stdin.isTTY && process.stderr.isTTY ? confirm : null,
    database: () => databaseOf(process.env, join(DIRECTORY, 'worker.env')),
  };
  reporter.notice(`Importing ${options.file} to ${options.url}`);
  try {
    const result = await runImport(options, deps, controller.signal);
    return conclude(result, options, shell);
  } finally {
    reporter.finish();
  }
}

function readOptions(): (Omit<ImportOptions, 'key' | 'stateDirectory'> & { key: string | undefined }) | null {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      url: { type: 'string', default: DEFAULT_URL },
      key: { type: 'string' },
      batch: { type: 'string', default: String(BATCH_LINES_MAX) },
      limit: { type: 'string' },
      'as-if-today': { type: 'boolean', default: false },
      'made-up': { type: 'string', default: 'ask' },
      restart: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return null;
  const [file, ...others] = positionals;
  if (file === undefined) throw new ImportError(`Name the file to import.\n\n${USAGE}`);
  if (others.length > 0)
    throw new ImportError(`One file is imported at a time; ${others.join(', ')} is one too many.`);
  return {
    file,
    url: values.url,
    key: values.key,
    batchLines: wholeNumber('--batch', values.batch, BATCH_LINES_MAX),
    limit: values.limit === undefined ? null : wholeNumber('--limit', values.limit, Number.MAX_SAFE_INTEGER),
    asIfToday: values['as-if-today'],
    restart: values.restart,
    madeUp: choice(values['made-up']),
  };
}

async function findKey(given: string | undefined): Promise<Key> {
  if (given) return { key: given.trim(), shell: '$MILLRACE_KEY' };
  const fromEnvironment = process.env['MILLRACE_KEY']?.trim();
  if (fromEnvironment) return { key: fromEnvironment, shell: '$MILLRACE_KEY' };
  const key = (await readFile(KEY_FILE, 'utf8').catch(() => '')).trim();
  if (key === '') throw new ImportError(`There is no API key: give --key, MILLRACE_KEY or ${KEY_FILE}.`);
  return { key, shell: `$(cat ${KEY_FILE})` };
}

function choice(text: string): MadeUpChoice {
  if (text === 'keep' || text === 'remove' || text === 'ask') return text;
  throw new ImportError(`--made-up takes "remove" or "keep", not ${text}.`);
}

/** Asks at the terminal; anything but a yes is a no. */
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

function wholeNumber(option: string, text: string, max: number): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= 1 && value <= max) return value;
  throw new ImportError(`${option} takes a whole number from 1 to ${max}, not ${text}.`);
}

/** Tells how the run ended; returns the exit code. */
function conclude(result: ImportResult, { url }: ImportOptions, shellKey: string): number {
  const { kind, state, stepsBack } = result;
  // One step back is where a merged copy begins its second edition.
  if (stepsBack > 1)
    console.error(
      `The file goes back in time ${stepsBack} times: equal lines that are days apart counted as one line.`,
    );
  if (kind === 'already_complete')
    console.log(`The database holds all lines of this file; --restart sends them anew. It came to:`);
  console.log(`\n${summarise(state)}\n`);
  if (kind !== 'already_complete') console.log(describeTimes(result));
  if (kind === 'failed' || kind === 'interrupted') return describeStop(result);
  if (kind === 'limit_reached')
    console.log(
      `The limit is reached after line ${state.acknowledged}. The same command with a higher --limit or without one goes on from here.`,
    );
  const unfolded = describeUnfolded(result);
  if (unfolded !== null) console.error(unfolded);
  else console.log(`\n${nextSteps(url, shellKey, result.customers)}`);
  return unfolded === null ? 0 : 1;
}

function describeStop({ kind, state, statePath, message }: ImportResult): number {
  if (message !== null) console.error(message);
  const why = kind === 'failed' ? 'Stopped' : 'Interrupted';
  console.log(
    `${why} after line ${state.acknowledged}: the database holds all lines up to it. The same command goes on from here. The state is in ${statePath}.`,
  );
  return kind === 'interrupted' ? EXIT_INTERRUPTED : 1;
}

try {
  process.exitCode = await main();
} catch (error) {
  const isUsage =
    error instanceof TypeError && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS');
  if (!(error instanceof ImportError) && !isUsage) throw error;
  console.error(
    isUsage ? `${error.message.split('. ')[0]}. npm run import -- --help lists the options.` : error.message,
  );
  process.exitCode = isUsage ? EXIT_USAGE : 1;
}
