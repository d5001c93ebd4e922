import { log } from '../../platform/logger.ts';
import type { Counts, PredictionRecord, RunTally } from '../../storage/postgres/lineage-runs.ts';
import { emptyRun, type RunKey, windowOf } from './runs.ts';

/** The most predictions that an isolate stores of a minute. A busy isolate computes thousands; the others are counted. */
export const PREDICTIONS_PER_WINDOW = 120;
/**
 * How long the lineage of answers is buffered before it is written, in milliseconds. Many isolates report the same
 * minute's run, so an isolate writes its tally at most twelve times a minute. A request that writes stays alive for
 * {@link WRITES_PER_CALLER} pauses after its answer, and the platform allows it 30 s.
 */
export const REQUEST_PAUSE_MS = 5_000;
/** The most writes of one caller, including facts that arrived while it wrote. It is kept alive no longer. */
const WRITES_PER_CALLER = 3;
/** A caller whose writes take longer than this, in milliseconds, counts as cancelled with its request. */
const WRITE_LEASE_MS = 30_000;

/** The facts about some work, as lineage records them. */
export interface LineageFacts extends RunKey {
  readonly counts: Counts;
  /** When the work was done, if not now; milliseconds since the Unix epoch. */
  readonly at?: number;
  /** The range of event numbers, if it is known. */
  readonly firstSeq?: number;
  readonly lastSeq?: number;
  readonly prediction?: PredictionRecord;
}

export interface RecorderPorts {
  readonly now: () => number;
  readonly keepAlive: (promise: Promise<unknown>) => void;
  /** Resolves when it is time to write. Facts that arrive before that are written together. */
  readonly pause: () => Promise<void>;
  /** Writes in one transaction, and returns how many of the runs had not ended. */
  readonly write: (runs: readonly RunTally[], predictions: readonly PredictionRecord[]) => Promise<number>;
  /** Counts facts that lineage could not store. */
  readonly lost: (what: 'run' | 'prediction', reason: 'unavailable' | 'ended' | 'budget', by: number) => void;
}

interface Tally extends RunKey {
  readonly at: number;
  counts: Record<string, number>;
  firstSeq: number | null;
  lastSeq: number | null;
}

/**
 * Records what an isolate does, for lineage. No request waits for it, and it never fails. Facts that arrive during a
 * write go into the next one. Facts that cannot be written are counted as lost and not written again: the failed
 * write may have been committed, and its counts would then count twice.
 */
export class LineageRecorder {
  readonly #tallies = new Map<string, Tally>();
  #predictions: PredictionRecord[] = [];
  #window = 0;
  #kept = 0;
  #writingSince = Number.NEGATIVE_INFINITY;

  record(facts: LineageFacts, ports: RecorderPorts): void {
    const now = ports.now();
    this.#add(facts, facts.at ?? now);
    if (facts.prediction !== undefined) this.#keep(facts.prediction, now, ports);
    if (now - this.#writingSince < WRITE_LEASE_MS) return;
    this.#writingSince = now;
    ports.keepAlive(this.#write(now, ports));
  }

  #add({ job, subject, version, counts, firstSeq, lastSeq }: LineageFacts, now: number): void {
    const identity = JSON.stringify([job, subject, version, windowOf(now).from]);
    const tally = this.#tallies.get(identity) ?? {
      ...{ job, subject, version, at: now },
      counts: {},
      firstSeq: null,
      lastSeq: null,
    };
    for (const [name, by] of Object.entries(counts)) tally.counts[name] = (tally.counts[name] ?? 0) + by;
    if (firstSeq !== undefined) tally.firstSeq = Math.min(tally.firstSeq ?? firstSeq, firstSeq);
    if (lastSeq !== undefined) tally.lastSeq = Math.max(tally.lastSeq ?? lastSeq, lastSeq);
    this.#tallies.set(identity, tally);
  }

  #keep(prediction: PredictionRecord, now: number, { lost }: RecorderPorts): void {
    const window = windowOf(now).from;
    if (window !== this.#window) {
      this.#window = window;
      this.#kept = 0;
    }
    if (this.#kept >= PREDICTIONS_PER_WINDOW) {
      lost('prediction', 'budget', 1);
      return;
    }
    this.#kept += 1;
    this.#predictions.push(prediction);
  }

  async #write(since: number, ports: RecorderPorts): Promise<void> {
    for (let write = 0; write < WRITES_PER_CALLER && this.#tallies.size > 0; write += 1) {
      await ports.pause();
      const tallies = [...this.#tallies.values()];
      const predictions = this.#predictions;
      this.#tallies.clear();
      this.#predictions = [];
      try {
        const runs = await Promise.all(tallies.map(runOf));
        const taken = await ports.write(runs, predictions);
        if (taken < runs.length) ports.lost('run', 'ended', runs.length - taken);
      } catch (error) {
        log(
          'warn',
          'Lineage could not be written. These runs and predictions are missing from it.',
          { 'event.action': 'lineage' },
          error,
        );
        ports.lost('run', 'unavailable', tallies.length);
        if (predictions.length > 0) ports.lost('prediction', 'unavailable', predictions.length);
      }
    }
    if (this.#writingSince === since) this.#writingSince = Number.NEGATIVE_INFINITY;
  }
}

async function runOf({ at, counts, firstSeq, lastSeq, job, subject, version }: Tally): Promise<RunTally> {
  return { ...(await emptyRun({ job, subject, version }, at)), counts, firstSeq, lastSeq };
}
