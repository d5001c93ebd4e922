import type { ModelDefinition } from '../define/model.ts';
import { systemNow } from '../platform/clock.ts';
import { log } from '../platform/logger.ts';
import { pruneOld } from '../storage/postgres/retention.ts';
import { tendFeedback } from './feedback.ts';
import type { BoundIsolate } from './isolate.ts';
import { startKafkaSources } from './kafka.ts';
import { tendLifecycle } from './lifecycle.ts';
import { sweepRuns } from './lineage.ts';
import { replaceLostChampions } from './lost-champions.ts';
import { exportMetrics } from './metrics-export.ts';
import { alerts, outboxRelay, trainingRuns } from './objects.ts';
import type { RequestScope } from './request-scope.ts';
import { wakeRollouts } from './rollouts.ts';
import { checkSkew } from './skew.ts';
import { scorePendingIn } from './storing.ts';

/** The work of each minute. A part that fails is repeated a minute later and stops no other part. */
export async function runCron(bound: BoundIsolate, scope: RequestScope): Promise<void> {
  const { db, env, isolate } = bound;
  const behind = (action: string, work: Promise<unknown>) =>
    scope.keepAlive(
      work.catch((error: unknown) => {
        const fields = { 'event.action': action };
        log('warn', 'A part of the cron failed. The cron repeats it in a minute.', fields, error);
      }),
    );
  behind('lineage-sweep', sweepRuns(db));
  behind('retention', prune(bound));
  behind('kafka-source', startKafkaSources(env));
  if (isolate.catalog.models.some(isRetrained)) behind('training', trainingRuns(env).check());
  behind('alerts', alerts(env).wake());
  behind('rollout', wakeRollouts(bound));
  behind('feedback', tendFeedback(bound));
  behind('lifecycle', tendLifecycle(bound));
  behind('metrics-export', exportMetrics(bound));
  behind(
    'skew',
    checkSkew(bound, (work) => scope.keepAlive(work)),
  );
  behind(
    'lost-champion',
    replaceLostChampions(bound, (work) => scope.keepAlive(work)),
  );
  await outboxRelay(env).heartbeat('cron');
  bound.warm(scope);
  scorePendingIn(bound, (work) => scope.keepAlive(work));
}

/** Whether a model is trained without anybody asking for it. */
function isRetrained({ retraining: { afterEvents, everyDays } }: ModelDefinition): boolean {
  return afterEvents !== undefined || everyDays !== undefined;
}

/** Deletes what is older than the catalog's retention, a bounded number of rows. */
async function prune({ db, isolate }: BoundIsolate): Promise<void> {
  const { features, retention } = isolate.catalog;
  const ofRows = features.filter(({ column }) => column !== undefined).map(({ eventType }) => eventType);
  const now = new Date(systemNow()).toISOString();
  const rows = await pruneOld(db, retention, now, [...new Set(ofRows)]);
  if (Object.keys(rows).length > 0)
    log('info', 'Retention deleted old rows.', { 'event.action': 'retention', ...rows });
}
