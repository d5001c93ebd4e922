/**
 * Imports the invoice lines of the UCI data sets Online Retail and Online Retail II through the events endpoint.
 * `npm run import -- --help` lists the options.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { createReporter } from '../../scripts/progress.ts';
import { ImportError } from './import/failure.ts';
import { type ImportOptions, type ImportResult, runImport } from './import/run.ts';
import { describeStored, type StoredCounts, type StoredDeps, waitUntilStored } from './import/stored.ts';
import { summarise } from './import/summary.ts';

const DIRECTORY = '.millrace';
const DEFAULT_URL = 'http://127.0.0.1:8787';
const DEFAULT_BATCH_LINES = 1000;
/** What the endpoint takes in one request at most. */
const BATCH_LINES_MAX = 10_000;
/** The shell's convention for a program that was interrupted. */
const EXIT_INTERRUPTED = 130;
const EXIT_USAGE = 2;

const USAGE = `npm run import -- FILE [options]

  FILE             Online Retail or Online Retail II as .csv, .csv.gz or .xlsx
  --url URL        where the server is (${DEFAULT_URL})
  --key KEY        API key; else MILLRACE_KEY, else the file ${DIRECTORY}/key
  --batch N        lines per request (${DEFAULT_BATCH_LINES})
  --limit N        stop after the first N lines of the file
  --as-if-today    move all times so that the last line of the file happened today
  --restart        forget how far this file has come and send all lines anew`;

async function main(): Promise<number> {
  const options = await readOptions();
  if (options === null) {
    console.log(USAGE);
    return 0;
  }
  const controller = new AbortController();
  const reporter = createReporter(process.stderr, Date.now);
  process.on('SIGINT', () => {
    if (controller.signal.aborted) process.exit(EXIT_INTERRUPTED);
    reporter.notice('Waiting for the batches under way; Ctrl-C again leaves at once.');
    controller.abort();
  });
  const sleep = async (ms: number, signal: AbortSignal): Promise<void> => {
    await setTimeout(ms, undefined, { signal }).catch(() => {});
  };
  const deps = { fetch, now: Date.now, random: Math.random, sleep, reporter };
  try {
    const result = await runImport(options, deps, controller.signal);
    return conclude(result, await storedAfter(result, options, deps, controller.signal));
  } finally {
    reporter.finish();
  }
}

async function readOptions(): Promise<ImportOptions | null> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      url: { type: 'string', default: DEFAULT_URL },
      key: { type: 'string' },
      batch: { type: 'string', default: String(DEFAULT_BATCH_LINES) },
      limit: { type: 'string' },
      'as-if-today': { type: 'boolean', default: false },
      restart: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return null;
  const [file, ...others] = positionals;
  if (file === undefined || others.length > 0) throw new ImportError(`Name one file.\n\n${USAGE}`);
  return {
    file,
    url: values.url,
    key: await findKey(values.key),
    batchLines: wholeNumber('--batch', values.batch, BATCH_LINES_MAX),
    limit: values.limit === undefined ? null : wholeNumber('--limit', values.limit, Number.MAX_SAFE_INTEGER),
    asIfToday: values['as-if-today'],
    restart: values.restart,
    stateDirectory: join(DIRECTORY, 'imports'),
  };
}

async function findKey(given: string | undefined): Promise<string> {
  const fromFile = (): Promise<string> => readFile(join(DIRECTORY, 'key'), 'utf8').catch(() => '');
  const key = (given || process.env['MILLRACE_KEY'] || (await fromFile())).trim();
  if (key === '') throw new ImportError(`There is no API key: give --key, MILLRACE_KEY or ${DIRECTORY}/key.`);
  return key;
}

function wholeNumber(option: string, text: string, max: number): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= 1 && value <= max) return value;
  throw new ImportError(`${option} takes a whole number from 1 to ${max}, not ${text}.`);
}

/** What the server has stored, once that is everything it took; nothing where the run ended before its time. */
async function storedAfter(
  { kind, state }: ImportResult,
  { key }: ImportOptions,
  deps: StoredDeps,
  signal: AbortSignal,
): Promise<StoredCounts | null> {
  if (kind === 'failed' || kind === 'interrupted') return null;
  return await waitUntilStored({ url: new URL(state.url), key, lines: state.acknowledged }, deps, signal);
}

/** Tells how the run ended; returns the exit code. */
function conclude(result: ImportResult, stored: StoredCounts | null): number {
  const exitCode = describeEnd(result);
  if (stored !== null) console.log(describeStored(stored));
  return exitCode === 0 && stored !== null && !stored.complete ? 1 : exitCode;
}

function describeEnd({ kind, state, statePath, stepsBack, message }: ImportResult): number {
  if (kind === 'already_complete') {
    console.log(`This file is complete at ${state.url}; --restart sends it anew.\n\n${summarise(state)}`);
    return 0;
  }
  // One step back is where a merged copy begins its second edition.
  if (stepsBack > 1) {
    console.error(
      `The file goes back in time ${stepsBack} times: equal lines that are days apart counted as one line.`,
    );
  }
  console.log(`\n${summarise(state)}\n`);
  if (kind === 'complete') return 0;
  if (kind === 'failed') console.error(message);
  const why = { failed: 'Stopped', interrupted: 'Interrupted', limit_reached: 'The limit is reached' }[kind];
  console.log(`${why} after line ${state.acknowledged}. ${howToGoOn(kind)} The state is in ${statePath}.`);
  if (kind === 'limit_reached') return 0;
  return kind === 'interrupted' ? EXIT_INTERRUPTED : 1;
}

function howToGoOn(kind: ImportResult['kind']): string {
  return kind === 'limit_reached'
    ? 'The same command with a higher --limit or without one goes on from here.'
    : 'The same command goes on from here.';
}

try {
  process.exitCode = await main();
} catch (error) {
  const isUsage =
    error instanceof TypeError && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS');
  if (!(error instanceof ImportError) && !isUsage) throw error;
  console.error(error.message);
  process.exitCode = isUsage ? EXIT_USAGE : 1;
}
