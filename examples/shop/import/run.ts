import type { Reporter } from '../../../scripts/progress.ts';
import type { SendReport } from '../../../src/client/index.ts';
import { SEED_SOURCE } from '../seed/generator.ts';
import { BATCH_BYTES_MAX, type Batch, cutBatches, firstLines } from './batches.ts';
import { beginAt } from './begin.ts';
import { IMPORT_SOURCE, LineIdentity } from './event.ts';
import { type Folding, foldedBefore, waitUntilFolded } from './folded.ts';
import { type MadeUpChoice, type MadeUpDeps, meetMadeUpShop } from './made-up-shop.ts';
import { type Outcome, Server, type ServerDeps } from './server.ts';
import { inspectFile, readSource, type SourceChunk, type SourceFile, untilAborted } from './source.ts';
import { acknowledge, type ImportState, newState, StateFile } from './state.ts';

/** Customers that an end names: enough to see that their recommendations differ. */
const CUSTOMERS_NAMED = 3;
/** Batches under way at once: hides the round trip without piling up work on a slow server. */
const BATCHES_IN_FLIGHT_MAX = 4;
/** Notices about tries come at most this often: several batches fail for the same reason. */
const NOTICE_INTERVAL_MS = 1000;

export interface ImportOptions {
  readonly file: string;
  /** The address of the worker, without a path, which the command has checked. */
  readonly url: string;
  readonly key: string;
  readonly batchLines: number;
  /** Stop after this many lines of the file; null reads all of it. */
  readonly limit: number | null;
  readonly asIfToday: boolean;
  readonly restart: boolean;
  readonly madeUp: MadeUpChoice;
  /** Where the states of imports are kept. */
  readonly stateDirectory: string;
}

export interface ImportDeps extends Omit<ServerDeps, 'onRetry'>, MadeUpDeps {
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
  /** When, in this run, the last line was sent, and when the database had it. */
  readonly sentMs: number;
  readonly storedMs: number;
  /** What became of the features; null if the run ended before. */
  readonly folding: Folding | null;
  /** The customers with the most lines of those that were read, the busiest first. */
  readonly customers: readonly string[];
}

/**
 * Imports a file: reads, sends and records until the end of the file, the limit, a failure or the signal. Only lines
 * that the database holds are acknowledged. They are recorded in the file's order, so that the next run resumes behind
 * them. Batches that were stored but not recorded are sent again, and the server recognises them by their ids.
 */
export async function runImport(
  options: ImportOptions,
  deps: ImportDeps,
  signal: AbortSignal,
): Promise<ImportResult> {
  const file = await inspectFile(options.file);
  const stateFile = new StateFile(options.stateDirectory, file);
  if (options.restart) await stateFile.remove();
  const recorded = await stateFile.load();
  const halt = new AbortController();
  const stopping = AbortSignal.any([signal, halt.signal]);
  const server = new Server(
    { url: options.url, key: options.key },
    { ...deps, onRetry: noticesOf(deps) },
    stopping,
  );
  await meetMadeUpShop(await server.greet(SEED_SOURCE), options.madeUp, server, deps);
  const base = {
    ...{ statePath: stateFile.path, linesOfRun: 0, stepsBack: 0, message: null },
    ...{ sentMs: 0, storedMs: 0, folding: null, customers: [] },
  };
  const begun = await beginAt(file, recorded, options, server, deps, signal);
  if (begun === null)
    return { ...base, kind: 'interrupted', state: recorded ?? newState(options.file, null) };
  if (begun.complete) return { ...base, kind: 'already_complete', state: begun, customers: begun.customers };
  if (begun.acknowledged > 0) deps.reporter.notice(`Resuming after line ${begun.acknowledged}.`);
  return await new Run({ file, stateFile, begun, options, deps, server }).send(stopping, () => halt.abort());
}

/** About how many lines a file has of which a share is read, to three digits. */
function estimate(lines: number, fraction: number): number {
  return fraction < 1 ? Number((lines / fraction).toPrecision(3)) : lines;
}

function noticesOf({ now, reporter }: ImportDeps): ServerDeps['onRetry'] {
  let noticedAt = Number.NEGATIVE_INFINITY;
  return (reason, waitMs, failures) => {
    if (now() - noticedAt < NOTICE_INTERVAL_MS) return;
    noticedAt = now();
    reporter.notice(`${reason} Retry ${failures} in ${(waitMs / 1000).toFixed(1)} s.`);
  };
}

interface InFlight {
  readonly batch: Batch;
  readonly outcome: Promise<Outcome<SendReport>>;
}

interface RunParts {
  readonly file: SourceFile;
  readonly stateFile: StateFile;
  readonly begun: ImportState;
  readonly options: ImportOptions;
  readonly deps: ImportDeps;
  readonly server: Server;
}

/** One run over the file: what it has acknowledged, and since when. */
class Run {
  readonly #parts: RunParts;
  readonly #startedAt: number;
  readonly #lines = new Map<string, number>();
  /** Events of this run that features fold: the purchases that were new. */
  #foldable = { product: 0, customer: 0 };
  #state: ImportState;
  #sentMs = 0;
  #sendingSince: { at: number; fraction: number } | null = null;

  constructor(parts: RunParts) {
    this.#parts = parts;
    this.#state = parts.begun;
    this.#startedAt = parts.deps.now();
  }

  /** @param halt makes the batches that are not under way yet stay where they are. */
  async send(stopping: AbortSignal, halt: () => void): Promise<ImportResult> {
    const { server, begun, stateFile, deps } = this.#parts;
    const before = await foldedBefore(server);
    const identity = new LineIdentity();
    const cut = { atLimit: false };
    const queue: InFlight[] = [];
    let failure: string | null = null;
    let isPrefix = true;
    const settle = async (): Promise<void> => {
      const next = queue.shift();
      if (next === undefined) return;
      const outcome = await next.outcome;
      if (outcome.kind === 'failed') failure ??= outcome.message;
      // Behind a batch that was not acknowledged nothing is recorded: the record is a prefix of the file.
      if (outcome.kind !== 'answered') isPrefix = false;
      if (outcome.kind === 'failed') halt();
      if (outcome.kind === 'answered' && isPrefix) await this.#record(next.batch, outcome);
    };
    try {
      for await (const batch of this.#batches(identity, cut, stopping)) {
        if (stopping.aborted) break;
        queue.push({ batch, outcome: server.send(batch) });
        this.#sentMs = deps.now() - this.#startedAt;
        if (queue.length >= BATCHES_IN_FLIGHT_MAX) await settle();
      }
    } finally {
      while (queue.length > 0) await settle();
    }
    const kind = this.#kindOf(failure, stopping, cut.atLimit);
    const isWhole = kind === 'complete' || kind === 'limit_reached';
    const folding =
      isWhole && before !== null
        ? await waitUntilFolded(server, before, this.#foldable, deps, stopping)
        : null;
    const customers = this.#busiest();
    if (kind === 'complete') await this.#save({ ...this.#state, complete: true, customers });
    return {
      kind,
      state: this.#state,
      statePath: stateFile.path,
      linesOfRun: this.#state.acknowledged - begun.acknowledged,
      stepsBack: identity.stepsBack,
      message: failure,
      sentMs: this.#sentMs,
      storedMs: this.#state.elapsedMs - begun.elapsedMs,
      folding,
      customers,
    };
  }

  /** The customers with the most lines of those that were read. */
  #busiest(): string[] {
    const byLines = [...this.#lines].toSorted(([, a], [, b]) => b - a);
    return byLines.slice(0, CUSTOMERS_NAMED).map(([customer]) => customer);
  }

  #kindOf(failure: string | null, stopping: AbortSignal, atLimit: boolean): ImportResult['kind'] {
    if (failure !== null) return 'failed';
    if (stopping.aborted) return 'interrupted';
    return atLimit ? 'limit_reached' : 'complete';
  }

  #batches(identity: LineIdentity, cut: { atLimit: boolean }, stopping: AbortSignal): AsyncGenerator<Batch> {
    const { file, begun, options } = this.#parts;
    const { limit, batchLines } = options;
    const chunks = this.#counted(untilAborted(readSource(file), stopping));
    return cutBatches(limit === null ? chunks : firstLines(chunks, limit, cut), {
      source: IMPORT_SOURCE,
      shiftMs: begun.shiftMs ?? 0,
      identity,
      skip: begun.acknowledged,
      linesMax: batchLines,
      bytesMax: BATCH_BYTES_MAX,
    });
  }

  /** Counts the lines of each customer on their way. */
  async *#counted(chunks: AsyncIterable<SourceChunk>): AsyncGenerator<SourceChunk> {
    for await (const chunk of chunks) {
      for (const { customerId, quantity } of chunk.lines)
        if (customerId !== null && Number(quantity) > 0)
          this.#lines.set(customerId, (this.#lines.get(customerId) ?? 0) + 1);
      yield chunk;
    }
  }

  async #record(batch: Batch, answer: Extract<Outcome<SendReport>, { kind: 'answered' }>): Promise<void> {
    const { value: receipt, retries, isRepeated } = answer;
    const { file, begun, deps } = this.#parts;
    const now = deps.now();
    const elapsedMs = begun.elapsedMs + now - this.#startedAt;
    await this.#save({
      ...acknowledge(this.#state, batch, { receipt, retries, isRepeated }),
      elapsedMs,
    });
    this.#countFoldable(batch, receipt);
    const fraction = Math.min(1, batch.bytesRead / file.sizeBytes);
    this.#sendingSince ??= { at: now, fraction };
    deps.reporter.progress({
      unit: 'lines stored',
      done: this.#state.acknowledged,
      total: estimate(this.#state.acknowledged, fraction),
      doneByRun: this.#state.acknowledged - begun.acknowledged,
      fraction,
      fractionAtStart: this.#sendingSince.fraction,
      elapsedMs: now - this.#sendingSince.at,
    });
  }

  #countFoldable({ events }: Batch, { verdicts }: SendReport): void {
    const others = new Set(verdicts.map(({ index }) => index));
    for (const [index, { type, data }] of events.entries()) {
      if (others.has(index) || type !== 'shop.purchase.v1') continue;
      this.#foldable.product += 1;
      if (data.customerId !== null) this.#foldable.customer += 1;
    }
  }

  async #save(state: ImportState): Promise<void> {
    this.#state = state;
    await this.#parts.stateFile.save(state);
  }
}
