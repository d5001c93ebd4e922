import type { RetentionPolicy } from '../define/retention.ts';
import { type LifecyclePorts, lifecycleStep } from '../operations/lifecycle/step.ts';
import { systemNow } from '../platform/clock.ts';
import { r2Walk } from '../storage/bucket-walk.ts';
import {
  claimArtifacts,
  claimDatasets,
  claimProfiles,
  dropRemoval,
  endRemovals,
  forgetRemovals,
  unfinishedRemovals,
} from '../storage/postgres/removals.ts';
import { KEEP_DAYS_MIN, notePruned } from '../storage/postgres/retention.ts';
import { advanceWalk, endLease, leaseWalk } from '../storage/postgres/storage-walk.ts';
import { SERVED_KEEP_DAYS } from './feedback.ts';
import type { BoundIsolate } from './isolate.ts';
import { datasets, trainingRuns } from './objects.ts';

/** The work of each minute: a bounded step of the walk over what is kept outside Postgres, if one is due. */
export async function tendLifecycle(bound: BoundIsolate): Promise<boolean> {
  return await lifecycleStep(stepPorts(bound, bound.isolate.catalog.retention));
}

function stepPorts({ db, env }: BoundIsolate, policy: RetentionPolicy): LifecyclePorts {
  const { page, remove } = r2Walk(env.MODELS);
  const days = { models: Math.max(policy.models ?? 0, KEEP_DAYS_MIN), served: policy.served ?? SERVED_KEEP_DAYS };
  return {
    ...{ now: systemNow, policy, page, removeObjects: remove },
    lease: (now) => leaseWalk(db, now),
    advance: (leased, to, now) => advanceWalk(db, leased, to, now),
    endLease: (leased, now) => endLease(db, leased, now),
    claim: {
      artifacts: (of, now) => claimArtifacts(db, of, days, now),
      drift: (of, now) => claimProfiles(db, of, now),
      datasets: (of, max, now) => claimDatasets(db, of, max, now),
    },
    unfinished: (max) => unfinishedRemovals(db, max),
    ended: (store, ids, now) => endRemovals(db, store, ids, now),
    dropped: (store, id) => dropRemoval(db, store, id),
    forgetRemovals: (now) => forgetRemovals(db, now),
    datasets: {
      unused: async (beforeMs) => {
        const unused = await datasets(env).unused(beforeMs);
        return unused.map(({ id, spec, endedMs, progress: { rows, bytes } }) => {
          const at = endedMs === null ? {} : { at: new Date(endedMs).toISOString() };
          return { id, detail: { spec, rows, bytes, ...at } };
        });
      },
      expire: (id, beforeMs) => datasets(env).expire(id, beforeMs),
    },
    training: {
      expire: (beforeMs) => trainingRuns(env).expire(beforeMs),
      needed: (ids) => trainingRuns(env).needed(ids),
      note: (runs, until) => notePruned(db, 'training', runs, until),
    },
  };
}
