import { Probe, type ProbeContext, type ProbePorts } from '../cache/probe.ts';
import type { CachedAnswer, ReadRequest } from '../cache/read-through.ts';
import { AnswerCounts } from '../cache/statistics.ts';
import type { Now } from '../platform/clock.ts';
import { type CounterBatch, CounterFlush, type CounterSample, Counters } from '../platform/counters.ts';
import { PROBE_SAMPLES } from './consistency.ts';
import { CACHE_ANSWERS } from './hit-ratio.ts';

export interface ObservationContext extends ProbeContext {
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

  constructor(newIsolateId: () => string, probe: Omit<ProbePorts, 'count'>) {
    this.#flush = new CounterFlush(newIsolateId);
    this.#now = probe.now;
    this.#probe = new Probe({
      ...probe,
      count: (view, { verdict, reason }) => this.#counters.add(PROBE_SAMPLES, { view, verdict, reason }),
    });
  }

  /** To be told of every answer. On the path of every hit. */
  answered(request: ReadRequest, answer: CachedAnswer, context: ObservationContext): void {
    this.#answers.record(request.view, answer);
    this.#probe.consider(request, answer, context);
    const nowMs = this.#now();
    if (this.#flush.isDue(nowMs))
      context.keepAlive(this.#flush.flush(nowMs, () => this.#drain(), context.send));
  }

  #drain(): CounterSample[] {
    this.#answers.drain((view, labels, count) =>
      this.#counters.add(CACHE_ANSWERS, { view, ...labels }, count),
    );
    return this.#counters.drain();
  }
}
