import type { PhasePorts } from '../gateway/routes/admin-phases.ts';
import { modelTag } from '../inference/names.ts';
import { systemTime } from '../platform/clock.ts';
import { readWaiting } from '../storage/postgres/diagnosis.ts';
import { clockUnavailable } from './clock.ts';
import { backlogOf } from './diagnosis.ts';
import type { BoundIsolate } from './isolate.ts';
import { rootClock } from './objects.ts';
import type { RequestScope } from './request-scope.ts';

/** How long an answer waits for what is still to be stored, in milliseconds. Without it the answer says null. */
const WAITING_MS = 900;

/** How operators see and switch the phases, and how routes know their states. */
export function phasePorts(bound: BoundIsolate, scope: RequestScope): PhasePorts {
  const { db, env, isolate } = bound;
  const root = async <T>(ask: (clock: ReturnType<typeof rootClock>) => Promise<T>): Promise<T> => {
    try {
      return await ask(rootClock(env));
    } catch (cause) {
      throw clockUnavailable(cause);
    }
  };
  return {
    states: () => bound.phases(scope),
    record: () => root((clock) => clock.phases()),
    change: (change) => {
      // Nobody may get an answer that a model made before it was switched off.
      const ofModels = change.phase === 'inference' && change.state === 'off';
      const tags = ofModels ? isolate.catalog.models.map(({ name }) => modelTag(name)) : [];
      return root((clock) => clock.switchPhase(change, tags));
    },
    ask: (ask) => root((clock) => clock.askPhase(ask)),
    approve: (approval) => root(async (clock) => await clock.approvePhase(approval)),
    waiting: async () => {
      const [queues, outbox] = await Promise.all([soon(() => backlogOf(env)), soon(() => readWaiting(db))]);
      const told = Object.entries(queues ?? {}).flatMap(([name, fact]) =>
        fact === undefined ? [] : [[name, fact.items] as const],
      );
      return {
        queued: told.length === 0 ? null : Object.fromEntries(told),
        unrelayed: outbox?.pending ?? null,
      };
    },
  };
}

async function soon<T>(read: () => Promise<T>): Promise<T | undefined> {
  try {
    return await systemTime.withTimeout(read(), WAITING_MS, () => new Error('No answer in time.'));
  } catch {
    return undefined;
  }
}
