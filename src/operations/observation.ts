import { Probe, type ProbeContext, type ProbePorts } from '../cache/probe.ts';
import type { CachedAnswer, FillOutcome, ReadRequest } from '../cache/read-through.ts';
import { AnswerCounts } from '../cache/statistics.ts';
import type { Now } from '../platform/clock.ts';
import { type CounterBatch, CounterFlush, Counters } from '../platform/counters.ts';
import { PROBE_SAMPLES } from './consistency.ts';
import { CACHE_ANSWERS, CACHE_FILLS } from './hit-ratio.ts';

/** What lineage could not keep: runs, and predictions beyond the budget of an isolate. */
export const LINEAGE_LOST = 'millrace_lineage_lost_total';

export interface ObservationPorts extends Omit<ProbePorts, 'count'> {
  /** Hands a batch over to where all isolates' are added up. */
  readonly send: (batch: CounterBatch) => Promise<void>;
}

/** What an isolate sees of its own cache: counts every answer, and has a sample of them compared with the origin. */
export class Observation {
  readonly #answers = new AnswerCounts();
  readonly #counters = new Counters();
  readonly #flush: CounterFlush;
  readonly #probe: Probe;
  readonly #now: Now;
  readonly #memoryBytes: () => number;
  readonly #send: ObservationPorts['send'];

  /** @param memoryBytes what the isolate's memory tier holds. */
  constructor(newIsolateId: () => string, memoryBytes: () => number, { send, ...probe }: ObservationPorts) {
    this.#send = send;
    this.#memoryBytes = memoryBytes;
    this.#flush = new CounterFlush(newIsolateId);
    this.#now = probe.now;
    this.#probe = new Probe({
      ...probe,
      count: (view, { verdict, reason }) => this.#counters.add(PROBE_SAMPLES, { view, verdict, reason }),
    });
  }

  /** To be told of every answer. On the path of every hit. */
  answered(request: ReadRequest, answer: CachedAnswer, context: ProbeContext): void {
    this.#answers.record(request.view, answer);
    this.#probe.consider(request, answer, context);
    const nowMs = this.#now();
    if (this.#flush.isDue(nowMs))
      context.keepAlive(this.#flush.flush(nowMs, () => this.#drain(), this.#send));
  }

  /** To be told of every read of the origin. */
  readonly filled = (view: string, outcome: FillOutcome): void => {
    this.#counters.add(CACHE_FILLS, { view, outcome });
  };

  /** To be told of what no lineage will have. */
  readonly lineageLost = (what: string, reason: string, by: number): void => {
    this.#counters.add(LINEAGE_LOST, { what, reason }, by);
  };

  #drain(): Omit<CounterBatch, 'isolate' | 'n'> {
    this.#answers.drain((view, labels, count) =>
      this.#counters.add(CACHE_ANSWERS, { view, ...labels }, count),
    );
    return { counters: this.#counters.drain(), memoryBytes: this.#memoryBytes() };
  }
}
