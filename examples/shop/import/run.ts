import type { Reporter } from '../../../scripts/progress.ts';
import { BATCH_BYTES_MAX, type Batch, cutBatches, firstLines } from './batches.ts';
import { IMPORT_SOURCE, LineIdentity } from './event.ts';
import { ImportError } from './failure.ts';
import { Sender, type SenderDeps, type SendOutcome } from './sender.ts';
import { inspectFile, latestTime, readSource, type SourceFile, untilAborted } from './source.ts';
import { acknowledge, type ImportState, newState, StateFile } from './state.ts';

/** Batches under way at once: hides the round trip without piling up work on a slow server. */
const BATCHES_IN_FLIGHT_MAX = 4;
/** Notices about tries come at most this often: several batches fail for the same reason. */
const NOTICE_INTERVAL_MS = 1000;
const MILLISECONDS_PER_DAY = 86_400_000;
const MILLISECONDS_PER_MINUTE = 60_000;

export interface ImportOptions {
  readonly file: string;
  /** Where the server is, without `/v1/events`. */
  readonly url: string;
  readonly key: string;
  readonly batchLines: number;
  /** Stop after this many lines of the file; null reads all of it. */
  readonly limit: number | null;
  readonly asIfToday: boolean;
  readonly restart: boolean;
  /** Where the states of imports are kept. */
  readonly stateDirectory: string;
}

export interface ImportDeps extends Omit<SenderDeps, 'onRetry'> {
  readonly reporter: Reporter;
}

export interface ImportResult {
  readonly kind: 'complete' | 'already_complete' | 'limit_reached' | 'interrupted' | 'failed';
  readonly state: ImportState;
  readonly statePath: string;
  /** Lines acknowledged by this run. */
  readonly linesOfRun: number;
  /** See {@link LineIdentity.stepsBack}. */
  readonly stepsBack: number;
  /** Why a failed import stopped. */
  readonly message: string | null;
}

/**
 * Imports a file: reads, sends and records until the end of the file, the limit, a failure or the signal. What
 * was acknowledged is recorded in the file's order, so that the next run goes on behind it. Batches that were
 * stored but not recorded are sent again, and the server recognises them by their ids.
 */
export async function runImport(
  options: ImportOptions,
  deps: ImportDeps,
  signal: AbortSignal,
): Promise<ImportResult> {
  const file = await inspectFile(options.file);
  const url = endpointOf(options.url);
  const stateFile = new StateFile(options.stateDirectory, file, url.href);
  if (options.restart) await stateFile.remove();
  const found = await stateFile.load();
  const base = { statePath: stateFile.path, linesOfRun: 0, stepsBack: 0, message: null };
  if (found?.complete) return { ...base, kind: 'already_complete', state: found };
  const begun = found ?? (await begin(file, url, options, deps, signal));
  if (signal.aborted) return { ...base, kind: 'interrupted', state: begun };
  if (options.asIfToday && begun.shiftMs === null) {
    throw new ImportError(
      'This import was begun without --as-if-today; use --restart to send all lines anew.',
    );
  }
  if (begun.acknowledged > 0) deps.reporter.notice(`Going on after line ${begun.acknowledged}.`);
  return new Run(file, stateFile, begun, options, deps).send(url, signal);
}

/** How many milliseconds move the latest line to today. */
export function shiftToToday(latest: number, now: number): number {
  const days = Math.floor(now / MILLISECONDS_PER_DAY) - Math.floor(latest / MILLISECONDS_PER_DAY);
  const shiftMs = days * MILLISECONDS_PER_DAY;
  // Whole days keep the hours of the shop. A last line that is later in the day than it is now would lie in the
  // future, which the server does not take: it is moved to the present minute instead.
  if (latest + shiftMs <= now) return shiftMs;
  return Math.floor(now / MILLISECONDS_PER_MINUTE) * MILLISECONDS_PER_MINUTE - latest;
}

function endpointOf(url: string): URL {
  const base = URL.parse(url.endsWith('/') ? url : `${url}/`);
  if (base === null || !/^https?:$/.test(base.protocol))
    throw new ImportError(`Not a URL of a server: ${url}`);
  return new URL('v1/events', base);
}

async function begin(
  file: SourceFile,
  url: URL,
  { asIfToday }: ImportOptions,
  { reporter, now }: ImportDeps,
  signal: AbortSignal,
): Promise<ImportState> {
  if (!asIfToday) return newState(file.path, url.href, null);
  reporter.notice('Looking for the last date in the file.');
  const latest = await latestTime(untilAborted(readSource(file), signal));
  if (latest === null && !signal.aborted) throw new ImportError('No line of the file has a date.');
  return newState(file.path, url.href, latest === null ? 0 : shiftToToday(latest, now()));
}

interface InFlight {
  readonly batch: Batch;
  readonly outcome: Promise<SendOutcome>;
}

/** One run over the file: what it has acknowledged, and since when. */
class Run {
  readonly #file: SourceFile;
  readonly #stateFile: StateFile;
  readonly #options: ImportOptions;
  readonly #deps: ImportDeps;
  readonly #begun: ImportState;
  readonly #startedAt: number;
  #state: ImportState;
  #sendingSince: { at: number; fraction: number } | null = null;
  #noticedAt = Number.NEGATIVE_INFINITY;

  constructor(
    file: SourceFile,
    stateFile: StateFile,
    begun: ImportState,
    options: ImportOptions,
    deps: ImportDeps,
  ) {
    this.#file = file;
    this.#stateFile = stateFile;
    this.#begun = begun;
    this.#state = begun;
    this.#options = options;
    this.#deps = deps;
    this.#startedAt = deps.now();
  }

  async send(url: URL, signal: AbortSignal): Promise<ImportResult> {
    const halt = new AbortController();
    const stopping = AbortSignal.any([signal, halt.signal]);
    const sender = new Sender(
      { url, key: this.#options.key },
      { ...this.#deps, onRetry: this.#onRetry },
      stopping,
    );
    const identity = new LineIdentity();
    const cut = { atLimit: false };
    const queue: InFlight[] = [];
    let failure: string | null = null;
    const settle = async (): Promise<void> => {
      const next = queue.shift();
      if (next === undefined) return;
      const outcome = await next.outcome;
      if (outcome.kind === 'failed') failure ??= outcome.message;
      if (outcome.kind !== 'acknowledged') halt.abort();
      // Behind a batch that was not acknowledged nothing is recorded: the record is a prefix of the file.
      else if (!halt.signal.aborted) await this.#record(next.batch, outcome);
    };
    try {
      for await (const batch of this.#batches(identity, cut, stopping)) {
        if (stopping.aborted) break;
        queue.push({ batch, outcome: sender.send(batch) });
        if (queue.length >= BATCHES_IN_FLIGHT_MAX) await settle();
      }
    } finally {
      while (queue.length > 0) await settle();
    }
    const kind = this.#kindOf(failure, stopping, cut.atLimit);
    if (kind === 'complete') await this.#save({ ...this.#state, complete: true });
    return {
      kind,
      state: this.#state,
      statePath: this.#stateFile.path,
      linesOfRun: this.#state.acknowledged - this.#begun.acknowledged,
      stepsBack: identity.stepsBack,
      message: failure,
    };
  }

  #kindOf(failure: string | null, stopping: AbortSignal, atLimit: boolean): ImportResult['kind'] {
    if (failure !== null) return 'failed';
    if (stopping.aborted) return 'interrupted';
    return atLimit ? 'limit_reached' : 'complete';
  }

  #batches(identity: LineIdentity, cut: { atLimit: boolean }, stopping: AbortSignal): AsyncGenerator<Batch> {
    const { limit, batchLines } = this.#options;
    const chunks = untilAborted(readSource(this.#file), stopping);
    return cutBatches(limit === null ? chunks : firstLines(chunks, limit, cut), {
      source: IMPORT_SOURCE,
      shiftMs: this.#begun.shiftMs ?? 0,
      identity,
      skip: this.#begun.acknowledged,
      linesMax: batchLines,
      bytesMax: BATCH_BYTES_MAX,
    });
  }

  async #record(
    batch: Batch,
    { receipt, retries }: Extract<SendOutcome, { kind: 'acknowledged' }>,
  ): Promise<void> {
    await this.#save(acknowledge(this.#state, batch.lines, receipt, retries));
    const fraction = Math.min(1, batch.bytesRead / this.#file.sizeBytes);
    const now = this.#deps.now();
    this.#sendingSince ??= { at: now, fraction };
    this.#deps.reporter.progress({
      unit: 'lines',
      done: this.#state.acknowledged,
      doneByRun: this.#state.acknowledged - this.#begun.acknowledged,
      fraction,
      fractionAtStart: this.#sendingSince.fraction,
      elapsedMs: now - this.#sendingSince.at,
    });
  }

  async #save(state: ImportState): Promise<void> {
    const elapsedMs = this.#begun.elapsedMs + this.#deps.now() - this.#startedAt;
    this.#state = { ...state, elapsedMs };
    await this.#stateFile.save(this.#state);
  }

  readonly #onRetry = (reason: string, waitMs: number): void => {
    if (this.#deps.now() - this.#noticedAt < NOTICE_INTERVAL_MS) return;
    this.#noticedAt = this.#deps.now();
    this.#deps.reporter.notice(`${reason}; next try in ${(waitMs / 1000).toFixed(1)} s`);
  };
}
