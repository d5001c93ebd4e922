import { sql } from 'drizzle-orm';
import type { HealthPorts } from '../gateway/routes/health.ts';
import { type Checked, dependenciesOf } from '../operations/dependencies.ts';
import { systemNow, withTimeout } from '../platform/clock.ts';
import { redactedReason } from '../platform/redaction.ts';
import type { BoundIsolate } from './isolate.ts';
import { alerts, cacheStats, rootClock } from './objects.ts';

/** How long a check may take, in milliseconds: longer than any healthy service does. */
const CHECK_MS = 2_000;

/** The ports of the routes of health. */
export function healthPorts({ config, env, db, registry }: BoundIsolate): HealthPorts {
  const database = async () => void (await db.execute(sql`select 1`));
  const clock = async () =>
    void (await rootClock(env).sync({ epoch: '', sinceSeq: 0, maxAgeMs: 0, atLeast: undefined }));
  const artifacts = async () => void (await registry.store.get('health'));
  return {
    ...{ instance: config.instanceId, database, clock, artifacts },
    release: config.instanceId === undefined ? env.RELEASE?.id : undefined,
    dependencies: async () => {
      const [counted, lastErrors, ...checked] = await Promise.all([
        perhaps(() => cacheStats(env).report()),
        perhaps(() => alerts(env).lastErrors()),
        ...Object.entries({ database, 'root-clock': clock, artifacts }).map(
          async ([name, check]) => [name, await timed(check)] as const,
        ),
      ]);
      const windows = counted?.windows[5];
      return {
        isCounted: windows !== undefined,
        dependencies: dependenciesOf(
          windows,
          lastErrors ?? {},
          Object.fromEntries(checked),
          counted?.failures,
        ),
      };
    },
  };
}

async function timed(check: () => Promise<void>): Promise<Checked> {
  const startedMs = systemNow();
  let message: string | null = null;
  try {
    await soon(check);
  } catch (error) {
    message = redactedReason(error);
  }
  return { isOk: message === null, ms: systemNow() - startedMs, message };
}

async function perhaps<T>(ask: () => Promise<T>): Promise<T | undefined> {
  try {
    return await soon(ask);
  } catch {
    return undefined;
  }
}

function soon<T>(ask: () => Promise<T>): Promise<T> {
  return withTimeout(ask(), CHECK_MS, () => new Error('No answer in time.'));
}
