import * as z from 'zod';
import type { RetentionPolicy } from '../define/retention.ts';
import { championKey } from '../inference/names.ts';
import { type LifecyclePorts, lifecycleStep } from '../operations/lifecycle/step.ts';
import { systemNow } from '../platform/clock.ts';
import { decodeUtf8 } from '../platform/utf8.ts';
import { r2Artifacts } from '../storage/artifacts.ts';
import { r2Walk } from '../storage/bucket-walk.ts';
import {
  claimArtifacts,
  claimDatasets,
  claimProfiles,
  dropRemovals,
  endRemovals,
  forgetRemovals,
  unfinishedRemovals,
} from '../storage/postgres/removals.ts';
import { KEEP_DAYS_MIN, notePruned } from '../storage/postgres/retention.ts';
import { advanceWalk, endLease, leaseWalk } from '../storage/postgres/storage-walk.ts';
import { SERVED_KEEP_DAYS } from './feedback.ts';
import type { BoundIsolate } from './isolate.ts';
import { datasets, trainingRuns } from './objects.ts';

const Artifact = z.object({ sha256: z.string() });
const Copy = z.object({ model: Artifact, candidates: Artifact.optional() }).nullable();

/** The work of each minute: a bounded step of the walk over what is kept outside Postgres, if one is due. */
export async function tendLifecycle(bound: BoundIsolate): Promise<boolean> {
  return await lifecycleStep(stepPorts(bound, bound.isolate.catalog.retention));
}

function stepPorts({ db, env, isolate }: BoundIsolate, policy: RetentionPolicy): LifecyclePorts {
  const { page, remove } = r2Walk(env.MODELS);
  const days = {
    models: Math.max(policy.models ?? 0, KEEP_DAYS_MIN),
    served: policy.served ?? SERVED_KEEP_DAYS,
  };
  return {
    ...{ now: systemNow, policy, page, removeObjects: remove },
    copied: async () => {
      const copies = isolate.catalog.models.map(({ name }) => r2Artifacts(env.MODELS).get(championKey(name)));
      return (await Promise.all(copies)).flatMap(artifactsOfCopy);
    },
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
    dropped: (store, ids) => dropRemovals(db, store, ids),
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

/** The artifacts of a copy of a manifest, whatever release has written it; none for that of an alias that was cleared. */
function artifactsOfCopy(bytes: Uint8Array | undefined): string[] {
  if (bytes === undefined) return [];
  const { model, candidates } = Copy.parse(JSON.parse(decodeUtf8(bytes))) ?? {};
  return [model, candidates].flatMap((artifact) => (artifact === undefined ? [] : [artifact.sha256]));
}
