import type { AlertsPorts } from '../../durable-objects/alerts/object.ts';
import { OUTBOX } from '../cache/clock/sources.ts';
import { clockAt } from '../cache/clock/wire.ts';
import type { Catalog } from '../define/catalog.ts';
import type { AlertRoutePorts } from '../gateway/routes/admin-alerts.ts';
import type { IncidentRoutePorts } from '../gateway/routes/admin-incidents.ts';
import { sendNotice } from '../operations/alerts/deliver.ts';
import type { StreamAges } from '../operations/alerts/stream-checks.ts';
import { parseTargets } from '../operations/alerts/targets.ts';
import { watchRulesOf } from '../operations/alerts/watch.ts';
import { changesIn } from '../operations/incidents/changes.ts';
import { qualityChecksOf } from '../operations/quality/metrics.ts';
import { systemNow, withTimeout } from '../platform/clock.ts';
import type { CounterBatch } from '../platform/counters.ts';
import { calling } from '../platform/failure.ts';
import { systemRandom } from '../platform/random.ts';
import { listAudit, recordAction } from '../storage/postgres/audit.ts';
import { connect, guarded } from '../storage/postgres/connect.ts';
import { readWaiting } from '../storage/postgres/diagnosis.ts';
import { alertsMinuteMs, databaseTarget } from './config.ts';
import type { Env } from './env.ts';
import { alerts, cacheStats, qualityWindow, rootClock } from './objects.ts';

/** How long a check of the pipeline may take, in milliseconds: an evaluation waits for it. */
const CHECK_MS = 2_000;
/** The clock looks at the outbox if it has not within this time, in milliseconds. */
const OUTBOX_AGE_MS_WANTED = 10_000;
/** How often an isolate makes sure that the object evaluates, in milliseconds. The object itself sets its next alarm. */
const WAKE_EVERY_MS = 600_000;
const RETRY_S = 5;
/** The most entries of the audit log in one reading for a timeline. */
const CHANGES_MAX = 100;
/** The queues through which every event and change goes. */
const QUEUES = ['EVENTS', 'EVENTS_BULK', 'CHANGES', 'CHANGES_BULK'] as const;
/** The name under which the checks are counted, beside the isolates. */
const COUNTED_AS = 'alerts';

/** The ports of the object that evaluates the objectives. */
export function alertsPorts(env: Env, catalog: Catalog): AlertsPorts {
  const isLocal = env.INSTANCE_ID !== undefined;
  return {
    now: systemNow,
    random: systemRandom,
    rules: watchRulesOf(catalog.objectives, alertsMinuteMs(env)),
    targets: once(() => parseTargets(env.ALERT_WEBHOOKS, isLocal)),
    send: (target, id, notice) =>
      sendNotice(target, { id, notice, nowMs: systemNow() }, (url, init) => fetch(url, init)),
    release: env.RELEASE?.id,
    totals: async () => {
      const [counted, quality] = await Promise.all([cacheStats(env).totals(), qualityWindow(env).totals()]);
      return [...counted, ...qualityChecksOf(quality)];
    },
    ages: () => agesIn(env),
    // The number of the minute makes a batch that is sent again count once.
    count: (minute, counters) =>
      cacheStats(env).flush({ isolate: COUNTED_AS, n: minute, counters: [...counters] }),
    record: (entry) => inDatabase(env, (db) => recordAction(db, entry)),
    changes: async (fromMs, toMs) => {
      const [from, to] = [fromMs, toMs].map((ms) => new Date(ms).toISOString());
      return changesIn(await inDatabase(env, (db) => listAudit(db, { from, to, limit: CHANGES_MAX })));
    },
  };
}

/** A statement that an evaluation waits for. */
async function inDatabase<T>(env: Env, query: (db: ReturnType<typeof connect>) => Promise<T>): Promise<T> {
  const db = connect(databaseTarget(env));
  return await withTimeout(
    guarded(() => query(db)),
    CHECK_MS,
    () => new Error('The database takes too long.'),
  );
}

/** The value of the first call. A call that throws is repeated by the next. */
function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}

/** Sends an isolate's counts, and wakes the object that evaluates them: locally, no cron does. */
export function sendingCounts(env: Env): (batch: CounterBatch) => Promise<void> {
  let wokenMs = Number.NEGATIVE_INFINITY;
  return async (batch) => {
    await cacheStats(env).flush(batch);
    if (systemNow() - wokenMs < WAKE_EVERY_MS) return;
    wokenMs = systemNow();
    await alerts(env)
      .wake()
      .catch(() => undefined);
  };
}

/** The ports of the routes of alerts and silences. They need no database. */
export function alertRoutePorts({ env }: { readonly env: Env }): AlertRoutePorts & IncidentRoutePorts {
  const asked = <T>(ask: () => Promise<T>) =>
    calling(
      ask,
      'alerts_unavailable',
      'The object of the alerts does not answer. Try again shortly.',
      RETRY_S,
    );
  return {
    now: systemNow,
    report: () => asked(() => alerts(env).report()),
    silences: (kind) => asked(() => alerts(env).silences(kind)),
    silence: (silence) => asked(() => alerts(env).silence(silence)),
    endSilence: (kind, id, by) => asked(() => alerts(env).endSilence(kind, id, by)),
    test: (by) => asked(() => alerts(env).test(by)),
    incidents: (filter) => asked(() => alerts(env).incidents(filter)),
    incident: (id) => asked(() => alerts(env).incident(id)),
    open: (incident, by) => asked(() => alerts(env).openIncident(incident, by)),
    act: (id, act, by) => asked(() => alerts(env).actOnIncident(id, act, by)),
  };
}

async function agesIn(env: Env): Promise<StreamAges> {
  const [clock, outbox, queue] = await Promise.all([
    soon(() => outboxAgeAtClock(env)),
    soon(() => outboxState(env)),
    soon(() => queueAge(env)),
  ]);
  return { clock, outbox: outbox?.ageMs, outboxLength: outbox?.length, queue };
}

/** How old the newest moment is up to which all commits have been invalidated. */
async function outboxAgeAtClock(env: Env): Promise<number | undefined> {
  const { sources } = await clockAt(rootClock(env)).sync({
    ...{ epoch: '', sinceSeq: Number.MAX_SAFE_INTEGER, maxAgeMs: 0, atLeast: undefined },
    sourceMaxAgeMs: OUTBOX_AGE_MS_WANTED,
  });
  return sources[OUTBOX];
}

async function outboxState(env: Env): Promise<{ readonly ageMs: number; readonly length: number }> {
  const db = connect(databaseTarget(env));
  const { oldestS, pending } = await guarded(() => readWaiting(db));
  return { ageMs: (oldestS ?? 0) * 1_000, length: pending };
}

/** The local platform has no metrics of queues. */
async function queueAge(env: Env): Promise<number | undefined> {
  const nowMs = systemNow();
  const ages = await Promise.all(
    QUEUES.map(async (name) => {
      // Not counted as a call: the local platform answers it with an error.
      const { oldestMessageTimestamp } = await env[name].metrics();
      return oldestMessageTimestamp === undefined ? 0 : nowMs - oldestMessageTimestamp.getTime();
    }),
  );
  return Math.max(...ages);
}

async function soon<T>(check: () => Promise<T | undefined>): Promise<T | undefined> {
  try {
    return await withTimeout(check(), CHECK_MS, () => new Error('The check takes too long.'));
  } catch {
    return undefined;
  }
}
