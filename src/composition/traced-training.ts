import { log } from '../platform/logger.ts';
import { parseTraceparent } from '../platform/tracing/context.ts';
import { contextOfRun } from '../platform/tracing/run-trace.ts';
import type { KeepAlive, Tracing } from '../platform/tracing/tracing.ts';
import type { connect } from '../storage/postgres/connect.ts';
import { newestTraces } from '../storage/postgres/outbox.ts';
import type { TrainedVersion } from '../training/runs/ports.ts';
import type { TrainingRun } from '../training/runs/run.ts';

/** The traces of events that the span of a training names: the newest of those that it has learned from. */
const LEARNED_TRACES_MAX = 32;

/**
 * Records the span of a training run that has ended, in a trace of its own which the traces of its newest events lead to,
 * and which those of its version's predictions name. Every run is recorded: they are few. It never fails.
 */
export async function traceTraining(
  tracing: Tracing | undefined,
  db: ReturnType<typeof connect>,
  run: TrainingRun,
  made: TrainedVersion | undefined,
  keepAlive: KeepAlive,
): Promise<void> {
  const context = contextOfRun(run.id);
  if (tracing === undefined || context === undefined) return;
  try {
    const trace = tracing.trace(context.traceId, true, keepAlive);
    trace.decide(true);
    const of = {
      name: `train ${run.model}`,
      attributes: {
        'millrace.model': run.model,
        'millrace.model.version': made?.version,
        'millrace.training.reason': run.reason,
        'millrace.training.state': made === undefined ? run.state : 'done',
      },
    };
    const span = trace.begin(of, undefined, { startMs: run.begunMs, spanId: context.spanId });
    for (const text of await newestTraces(db, run.lastSeq, LEARNED_TRACES_MAX)) {
      const learned = parseTraceparent(text);
      if (learned !== undefined) span.link(learned);
    }
    if (made === undefined) span.fail(Object.assign(new Error(), { code: run.failure?.code ?? run.state }));
    span.end();
  } catch (error) {
    log('warn', 'The trace of a training could not be recorded.', { 'event.action': 'training' }, error);
  }
}
