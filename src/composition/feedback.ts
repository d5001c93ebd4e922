import type { NeonHttpDatabase } from 'drizzle-orm/neon-http';
import type { FeedbackPorts } from '../../durable-objects/feedback/object.ts';
import type { Catalog } from '../define/catalog.ts';
import type { FeedbackRoutePorts } from '../gateway/routes/admin-feedback.ts';
import type { SkewRoutePorts } from '../gateway/routes/admin-skew.ts';
import { FeedbackJoin } from '../inference/feedback/join.ts';
import type { ServedAnswer } from '../inference/feedback/record.ts';
import { asCurrent, withEarlierVersions } from '../pipeline/contracts/versions.ts';
import { sleep, systemNow } from '../platform/clock.ts';
import { calling } from '../platform/failure.ts';
import { newId } from '../platform/ids.ts';
import { log } from '../platform/logger.ts';
import { connect, guarded } from '../storage/postgres/connect.ts';
import { readHistory } from '../storage/postgres/history.ts';
import { notePruned } from '../storage/postgres/retention.ts';
import { newestSeq } from '../storage/postgres/training-history.ts';
import { r2ServedLog, servedBefore } from '../storage/served-files.ts';
import { databaseTarget, feedbackTimes } from './config.ts';
import type { Env } from './env.ts';
import type { BoundIsolate } from './isolate.ts';
import { feedback, rollouts } from './objects.ts';
import { skewChecks } from './skew.ts';

/** How long the log is kept if the catalog does not say, in days. It may name persons, so it always has an end. */
export const SERVED_KEEP_DAYS = 90;
const DAY_MS = 86_400_000;
const HOUR_MINUTES = 60;
/** Lists of files that one pruning deletes, of a thousand each. */
const PAGES_OF_PRUNING = 20;
const MINUTE_MS = 60_000;
const RETRY_S = 5;

/** Logs an answer, without waiting and without failing. */
export function noteServed(
  { isolate, env, observation, config }: BoundIsolate,
  keepAlive: (work: Promise<unknown>) => void,
  answer: ServedAnswer,
): void {
  const files = r2ServedLog(env.MODELS);
  isolate.served.add(answer, {
    ...{ now: systemNow, keepAlive, counted: observation.servedLogged },
    pause: () => sleep(config.feedback.pauseMs),
    put: (atMs, text) => files.put(atMs, newId(), text),
  });
}

/** The ports of the object that joins answers with events. */
export function feedbackPorts(env: Env, catalog: Catalog): FeedbackPorts {
  let made: FeedbackJoin | undefined;
  // Created with the first step and not with the object: with a wrong configuration, the constructor would throw.
  return {
    join: () => {
      made ??= joinIn(env, catalog, connect(databaseTarget(env)));
      return made;
    },
  };
}

function joinIn(env: Env, { models, eventTypes }: Catalog, db: NeonHttpDatabase): FeedbackJoin {
  const { list, read } = r2ServedLog(env.MODELS);
  return new FeedbackJoin({
    ...{ models, now: systemNow, settleMs: feedbackTimes(env).settleMs },
    files: { from: servedBefore, list, read },
    newestSeq: () => guarded(() => newestSeq(db)),
    events: async (current, page) => {
      const types = withEarlierVersions(eventTypes, current);
      const events = await guarded(() => readHistory(db, { types }, page));
      return events.map((event) => asCurrent(eventTypes, event));
    },
    compared: async (model, rollout, batches) => {
      try {
        await rollouts(env, model).labelled(model, rollout, batches);
      } catch (error) {
        // The batch is missing for both versions alike.
        const fields = { 'event.action': 'feedback', 'millrace.model.name': model };
        log('warn', 'A rollout was not told of the labels of some answers.', fields, error);
      }
    },
  });
}

/** The ports of the routes that show hit rates, and compute answers again. */
export function feedbackRoutePorts(
  bound: BoundIsolate,
  keepAlive: (work: Promise<unknown>) => void,
): FeedbackRoutePorts & SkewRoutePorts {
  const detail = 'The object that joins answers with events does not answer.';
  return {
    counts: (model, day) =>
      calling(() => feedback(bound.env).counts(model, day), 'statistics_unavailable', detail, RETRY_S),
    check: skewChecks(bound, keepAlive),
  };
}

/** The work of each minute: the join goes on, and once an hour old files of the log are deleted. */
export async function tendFeedback({ db, env, isolate: { catalog } }: BoundIsolate): Promise<void> {
  const now = systemNow();
  if (catalog.models.some((model) => model.feedback !== undefined)) await feedback(env).wake();
  if (Math.floor(now / MINUTE_MS) % HOUR_MINUTES !== 0) return;
  const days = catalog.retention.served ?? SERVED_KEEP_DAYS;
  const { removeBefore } = r2ServedLog(env.MODELS);
  for (let page = 0; page < PAGES_OF_PRUNING; page += 1) {
    const beforeMs = now - days * DAY_MS;
    const files = await removeBefore(beforeMs);
    if (files === 0) return;
    await notePruned(db, 'served', files, new Date(beforeMs).toISOString());
    log('info', 'Retention deleted old files of served predictions.', {
      'event.action': 'retention',
      'millrace.count': files,
    });
  }
}
