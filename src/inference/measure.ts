import { Failure } from '../platform/failure.ts';
import type { Session } from './graph.ts';
import type { Tensors } from './tensors.ts';

/** Runs that count as the first ones, in which the runtime still prepares what later runs use again. */
const FIRST_RUNS = 10;
/**
 * Warm runs of a round, and rounds. Noise of the machine only adds time, so the round with the least p99 counts. A graph
 * that is over its budget gets more rounds, because a machine that is busy interrupts one run of thirty for longer.
 */
const WARM_RUNS = 25;
const ROUNDS = 3;
const ROUNDS_MAX = 12;
/** The time for all warm rounds, in milliseconds. A slow graph gets fewer rounds and runs. */
const WARM_MS_MAX = 3_000;

/**
 * The most milliseconds that a warm run on the golden rows may take, at the 99th percentile. A prediction has 100 ms as a
 * whole, and reads features before the run.
 */
export const WARM_P99_MS_MAX = 50;

/** What a version took on the golden rows when it was registered. Times are in milliseconds, memory in bytes. */
export interface Measurement {
  /** Loading the graph into the runtime, and the first run. */
  readonly firstHitMs: number;
  /** The first ten runs together. */
  readonly firstTenMs: number;
  readonly warmP50Ms: number;
  readonly warmP99Ms: number;
  /** How many runs the warm figures are of. */
  readonly warmRuns: number;
  /** The rows of a run. */
  readonly rows: number;
  /** Of the graph in the runtime: an estimate from above. */
  readonly memoryBytes: number;
}

export interface MeasurePorts {
  readonly now: () => number;
  /** Lets the clock of the platform advance, which stands still while code runs. */
  readonly pause: () => Promise<void>;
}

/**
 * Loads a graph and runs it on the golden inputs, first and warm.
 *
 * @param rows the rows of the golden inputs.
 * @returns the session, which the caller releases, the outputs of its first run, the measurement, and the fastest warm run
 *   in milliseconds.
 * @throws everything that loading and running throw.
 */
export async function measure(
  load: () => Promise<Session>,
  inputsOf: (session: Session) => Tensors,
  rows: number,
  { now, pause }: MeasurePorts,
): Promise<{
  readonly session: Session;
  readonly outputs: Tensors;
  readonly measured: Measurement;
  readonly fastestMs: number;
}> {
  const timed = async <Result>(work: () => Result | Promise<Result>) => {
    await pause();
    const startMs = now();
    const result = await work();
    await pause();
    return { result, ms: now() - startMs };
  };
  const loaded = await timed(load);
  const session = loaded.result;
  try {
    const inputs = inputsOf(session);
    const first = await timed(() => golden(session, inputs));
    const next = await timed(() => repeat(FIRST_RUNS - 1, () => session.run(inputs)));
    const { fastestMs, ...warm } = await warmRuns(() => timed(() => session.run(inputs)), now);
    const measured = {
      firstHitMs: loaded.ms + first.ms,
      firstTenMs: first.ms + next.ms,
      ...warm,
      rows,
      memoryBytes: session.bytes,
    };
    return { session, outputs: first.result, measured, fastestMs };
  } catch (error) {
    session.release();
    throw error;
  }
}

/** The first run on the golden inputs. @throws Failure `invalid_model` if the runtime cannot run the graph on them. */
function golden(session: Session, inputs: Tensors): Tensors {
  try {
    return session.run(inputs);
  } catch (cause) {
    const detail = 'The runtime cannot run the graph on the golden inputs.';
    throw new Failure('invalid_model', detail, { pointer: '/golden/inputs', cause });
  }
}

/** The rounds of warm runs; the round with the least 99th percentile. */
async function warmRuns(
  run: () => Promise<{ readonly ms: number }>,
  now: () => number,
): Promise<Pick<Measurement, 'warmP50Ms' | 'warmP99Ms' | 'warmRuns'> & { readonly fastestMs: number }> {
  const endMs = now() + WARM_MS_MAX;
  let fastestMs = Number.POSITIVE_INFINITY;
  let best: number[] = [];
  const isOver = () => percentile(best, 0.99) > WARM_P99_MS_MAX;
  for (let round = 0; round < ROUNDS || (round < ROUNDS_MAX && isOver()); round += 1) {
    if (round > 0 && now() >= endMs) break;
    const times: number[] = [];
    while (times.length < WARM_RUNS && (times.length === 0 || now() < endMs)) times.push((await run()).ms);
    times.sort((one, other) => one - other);
    fastestMs = Math.min(fastestMs, times[0] ?? fastestMs);
    if (best.length === 0 || percentile(times, 0.99) < percentile(best, 0.99)) best = times;
  }
  return {
    warmP50Ms: percentile(best, 0.5),
    warmP99Ms: percentile(best, 0.99),
    warmRuns: best.length,
    fastestMs,
  };
}

function repeat(times: number, work: () => unknown): void {
  for (let time = 0; time < times; time += 1) work();
}

/** The value below which the share of sorted values lies: the nearest rank. */
function percentile(sorted: readonly number[], share: number): number {
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN;
}

/**
 * A run takes the same work each time, so what an isolate with many requests adds says nothing of the graph: one run within
 * half of the budget shows that the rest was waiting.
 *
 * @param fastestMs the fastest warm run.
 * @throws Failure `over_budget` if the version is too slow to answer a request in time.
 */
export function assertInBudget({ warmP99Ms, rows }: Measurement, fastestMs: number): void {
  if (warmP99Ms <= WARM_P99_MS_MAX || fastestMs <= WARM_P99_MS_MAX / 2) return;
  throw new Failure(
    'over_budget',
    `A warm run of ${rows} golden rows takes ${Math.round(warmP99Ms)} ms at the 99th percentile; at most ${WARM_P99_MS_MAX} ms are allowed.`,
    { pointer: '/model' },
  );
}
