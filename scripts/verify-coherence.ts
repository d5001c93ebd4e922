/**
 * `npm run verify:coherence`: drives the built worker in the real runtime with concurrent readers and writers,
 * evicts its Durable Objects and kills the runtime meanwhile, and judges everything that was seen.
 *
 * With --features it is about features and predictions: customers buy, and readers ask for what has just changed.
 *
 * It goes on until the time, the number of reads, and a few of every kind of operation are reached. With --history,
 * what happened is written to a file, as docs/history.md describes it. DATABASE_URL names a Postgres server on
 * which a database is made for the run and dropped again; without it the run has a PGlite of its own. With
 * --broken the bundle is given a deliberate fault first, and the run succeeds only if the fault is found.
 */

import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { judgeHistory } from '../test/support/coherence/judge.ts';
import { readOptions, UsageError } from './command-line/options.ts';
import { runCommand } from './command-line/run.ts';
import { databaseUrlOf, wholeNumberOf } from './command-line/values.ts';
import { TIMEOUT_MS } from './verify/client.ts';
import { disturb } from './verify/disturbances.ts';
import { FAULTS, type Fault, isFault } from './verify/faults.ts';
import { readAtTheEnd, runFeatureReaders } from './verify/feature-readers.ts';
import { History } from './verify/history.ts';
import { HistoryFile } from './verify/history-file.ts';
import { missingOf, type Subject } from './verify/mix.ts';
import { startOrigin } from './verify/origin.ts';
import { products } from './verify/products.ts';
import { type Customers, prepare, runBuyers } from './verify/purchases.ts';
import { lookAtTheEnd } from './verify/quiescence.ts';
import { BOUND_MS, runReaders } from './verify/readers.ts';
import { report } from './verify/report.ts';
import { startRuntime } from './verify/runtime.ts';
import { runWriters } from './verify/writers.ts';

/** A run that takes this many times its seconds to reach its reads has failed: the machine is too slow for it. */
const OVERTIME_MAX = 20;
const PROGRESS_EVERY_MS = 10_000;
/** The least bound that a view may declare, in seconds. */
const SOURCE_BOUND_S_MIN = 10;
/** One newcomer takes longer than this to be written, so there are always some that are absent; a second. */
const NEWCOMERS_PER_SECOND = 4;

/**
 * Where the system has files in memory, the runtime's storage goes there: it outlives a killed process as a disk
 * does, and the local platform's KV and Cache API, which write each entry to disk, do not set the pace.
 */
const SHARED_MEMORY = '/dev/shm';

interface Options {
  readonly subject: Subject;
  readonly seconds: number;
  readonly reads: number;
  readonly sourceBoundMs: number;
  readonly historyPath: string | undefined;
  readonly databaseUrl: string | undefined;
  readonly fault: Fault | undefined;
}

const USAGE = `Usage: npm run verify:coherence -- [options]

  --seconds N         the shortest run (60)
  --reads N           the fewest reads (100000)
  --source-bound N    the bound of the source, in seconds, at least ${SOURCE_BOUND_S_MIN} (${SOURCE_BOUND_S_MIN})
  --features          judges features and predictions, in place of views
  --history FILE      records the run in a file, as docs/history.md describes
  --broken FAULT      plants a fault, which the run has to find: ${Object.keys(FAULTS).join(', ')}
  DATABASE_URL=…      a Postgres server, on which the run creates a database and drops it at the end`;

/** @returns undefined where the list of options is asked for. */
function askedFor(): Options | undefined {
  const { values } = readOptions({
    command: 'npm run verify:coherence',
    options: {
      seconds: { type: 'string', default: '60' },
      reads: { type: 'string', default: '100000' },
      'source-bound': { type: 'string', default: String(SOURCE_BOUND_S_MIN) },
      history: { type: 'string' },
      broken: { type: 'string' },
      features: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return undefined;
  const fault = values.broken;
  if (fault !== undefined && !isFault(fault))
    throw new UsageError(`--broken takes one of ${Object.keys(FAULTS).join(', ')}, not "${fault}".`);
  const subject = values.features ? 'features' : 'views';
  if (fault !== undefined && FAULTS[fault].of !== subject)
    throw new UsageError(
      `The fault "${fault}" shows in ${FAULTS[fault].of}: ${values.features ? 'leave out' : 'add'} --features.`,
    );
  return {
    subject,
    seconds: wholeNumberOf('--seconds', values.seconds, { min: 1 }),
    reads: wholeNumberOf('--reads', values.reads, { min: 1 }),
    sourceBoundMs:
      1_000 * wholeNumberOf('--source-bound', values['source-bound'], { min: SOURCE_BOUND_S_MIN }),
    historyPath: values.history,
    databaseUrl: databaseUrlOf(process.env['DATABASE_URL']),
    fault,
  };
}

/** Starts the runtime over a database that is closed again where the runtime does not start. */
async function start({ databaseUrl, sourceBoundMs, fault }: Options, stateDir: string) {
  const origin = await startOrigin(databaseUrl);
  try {
    const { connectionString, unreliableEndpoint: endpoint } = origin;
    const runtime = await startRuntime({ stateDir, connectionString, endpoint, sourceBoundMs, fault });
    return { origin, runtime };
  } catch (error) {
    await origin.close();
    throw error;
  }
}

/** @returns the lines of the report, and whether everything was as it should be. */
async function verify(
  options: Options,
  stateDir: string,
): Promise<{ lines: string[]; violations: number; missing: string[] }> {
  const { subject, seconds, reads, sourceBoundMs, historyPath, fault } = options;
  const file = historyPath === undefined ? undefined : new HistoryFile(historyPath);
  const history = new History(file);
  const { origin, runtime } = await start(options, stateDir);
  file?.begin({
    database: origin.kind,
    isolates: runtime.isolates,
    boundMs: BOUND_MS,
    sourceBoundMs,
    timeoutMs: TIMEOUT_MS,
    broken: fault ?? null,
  });
  try {
    const stop = new AbortController();
    const { signal } = stop;
    const things = products(Math.ceil(seconds * OVERTIME_MAX * NEWCOMERS_PER_SECOND));
    const lastTokens: { sku: string; token: string }[] = [];
    const customers: Customers = { active: [], all: [], lastTokens: [] };
    const seen = { products: things, customers, lastTokens };
    const context = { history, runtime, origin, sourceBoundMs, signal, ...seen };
    const suffixes = subject === 'features' ? await prepare(runtime, origin) : new Map<string, string>();
    const startedAt = performance.now();
    const working = Promise.all([
      ...(subject === 'features'
        ? [runBuyers(context), runFeatureReaders({ ...context, suffixes })]
        : [runWriters(context), runReaders(context, signal)]),
      disturb(context, seconds),
    ]);
    // A fault of this program ends the run at once.
    working.catch(() => stop.abort());
    await untilEnough(history, { subject, seconds, reads, signal });
    stop.abort();
    await working;
    const elapsedS = (performance.now() - startedAt) / 1_000;
    origin.calm();
    await (subject === 'features' ? readAtTheEnd({ ...context, suffixes }) : lookAtTheEnd(context));
    for (const [message, count] of runtime.logged) history.count(`logged/${message}`, count);
    if (runtime.crashes > 0) history.count('disturbance/crashes of the runtime itself', runtime.crashes);
    await runtime.close();
    for (const [fate, count] of await origin.close()) history.count(`statement/${fate}`, count);
    // Also what a page lacks: later reads of the session must not take it back.
    const violations = judgeHistory(history.allWrites(), history.reads);
    const heading = `${subject}, ${origin.kind}, ${runtime.isolates} isolates, a bound of ${sourceBoundMs / 1_000} s for sources${fault === undefined ? '' : `; broken: ${FAULTS[fault].what}`}`;
    for (const write of history.allWrites()) file?.write(write);
    await file?.end();
    const lines = [heading, ...report(history, violations, elapsedS)];
    const missing = missingOf(history, subject);
    if (history.answered < reads)
      missing.push(
        `Only ${history.answered} of ${reads} reads were answered in time. Try a quieter machine or more --seconds.`,
      );
    return { lines, violations: violations.length + history.breaches.length, missing };
  } finally {
    await runtime.close().catch(() => undefined);
    // Its thread would keep a run that failed from ending.
    await origin.close().catch(() => undefined);
  }
}

async function untilEnough(
  history: History,
  {
    subject,
    seconds,
    reads,
    signal,
  }: { subject: Subject; seconds: number; reads: number; signal: AbortSignal },
): Promise<void> {
  const startedAt = performance.now();
  let shownAt = startedAt;
  for (;;) {
    const now = performance.now();
    const elapsedMs = now - startedAt;
    const enough =
      elapsedMs >= seconds * 1_000 && history.answered >= reads && missingOf(history, subject).length === 0;
    if (signal.aborted || enough || elapsedMs > seconds * 1_000 * OVERTIME_MAX) return;
    if (now - shownAt > PROGRESS_EVERY_MS) {
      console.log(`${Math.round(elapsedMs / 1_000)} s, ${history.answered.toLocaleString('en')} reads`);
      shownAt = now;
    }
    await sleep(50);
  }
}

await runCommand(async () => {
  const options = askedFor();
  if (options === undefined) return console.log(USAGE);
  const stateDir = mkdtempSync(
    join(existsSync(SHARED_MEMORY) ? SHARED_MEMORY : tmpdir(), 'millrace-verify-'),
  );
  try {
    const { lines, violations, missing } = await verify(options, stateDir);
    for (const line of [...lines, ...missing]) console.log(line);
    const expected = options.fault === undefined ? violations === 0 : violations > 0;
    if (!expected && options.fault !== undefined)
      console.log(
        `The fault "${options.fault}" was planted, and the run found no violation. Try more --seconds.`,
      );
    return expected && missing.length === 0 ? 0 : 1;
  } finally {
    rmSync(stateDir, { recursive: true, force: true });
  }
});
