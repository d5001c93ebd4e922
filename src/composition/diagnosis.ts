import { sql } from 'drizzle-orm';
import { OUTBOX } from '../cache/clock/sources.ts';
import { clockAt } from '../cache/clock/wire.ts';
import { EVERYTHING } from '../cache/entry.ts';
import type { DiagnosisPorts } from '../gateway/routes/admin-diagnosis.ts';
import { type DiagnosisSources, diagnose } from '../operations/diagnosis.ts';
import type { QueueFacts, Settings } from '../operations/diagnosis-rules.ts';
import { kafkaConfig } from '../pipeline/kafka/config.ts';
import { systemNow, systemTime } from '../platform/clock.ts';
import { callPeer } from '../platform/peer.ts';
import { VERSION } from '../platform/version.ts';
import { capturedTriggers } from '../storage/postgres/capture.ts';
import {
  readAppliedMigrations,
  readCaptureTriggers,
  readMissingColumns,
  readServer,
  readWaiting,
} from '../storage/postgres/diagnosis.ts';
import { MIGRATIONS } from '../storage/postgres/migrations.ts';
import { queuedItems } from './backlog.ts';
import { outboxWatchMs } from './config.ts';
import { BINDINGS, type Env } from './env.ts';
import type { BoundIsolate } from './isolate.ts';
import { kafkaReport } from './kafka.ts';
import { outboxRelay, rootClock } from './objects.ts';

/** The secrets, and the variables that hold a peer's address. The worker answers nothing without the first two. */
const SECRETS = [
  'DATABASE_URL',
  'API_KEY_SHA256',
  'OIDC_ISSUER',
  'KAFKA_REST_URL',
  'KAFKA_REST_USERNAME',
  'KAFKA_REST_PASSWORD',
] as const satisfies readonly (keyof Env)[];
const QUEUES = ['EVENTS', 'EVENTS_BULK', 'CHANGES', 'CHANGES_BULK', 'SINK', 'DEAD'] as const;
/** A queue tells its backlog within some hundred milliseconds. The check has a deadline of its own. */
const METRICS_MS = 800;
/** The clock is asked to look at the outbox if it has not within this time, in milliseconds. */
const OUTBOX_AGE_MS_WANTED = 10_000;

/** The ports of the route that examines the deployment. */
export function diagnosisPorts(bound: BoundIsolate): DiagnosisPorts {
  return {
    version: VERSION,
    migration: MIGRATIONS.at(-1)?.tag ?? '',
    now: systemNow,
    diagnose: () => diagnose(examined(bound)),
  };
}

function examined({ db, env, isolate, registry, config }: BoundIsolate): DiagnosisSources {
  const { catalog } = isolate;
  const expected = capturedTriggers({ ...catalog, everything: EVERYTHING });
  const tables = [...new Set([...catalog.entities, ...catalog.histories].map(({ table }) => table))];
  return {
    now: systemNow,
    withTimeout: systemTime.withTimeout,
    settings: settingsOf(env, {
      expected,
      isLocal: config.instanceId !== undefined,
      isLimiting: config.isLimiting,
    }),
    database: {
      server: () => readServer(db),
      ping: () => db.execute(sql`select 1`),
      migrations: () => readAppliedMigrations(db),
      missingColumns: () => readMissingColumns(db, tables),
      triggers: () => readCaptureTriggers(db, expected),
      waiting: () => readWaiting(db),
    },
    relay: () => outboxRelay(env).status(),
    clock: async () => {
      const { seq, sources } = await clockAt(rootClock(env)).sync({
        ...{ epoch: '', sinceSeq: Number.MAX_SAFE_INTEGER, maxAgeMs: 0, atLeast: undefined },
        sourceMaxAgeMs: OUTBOX_AGE_MS_WANTED,
      });
      return { seq, outboxAgeMs: sources[OUTBOX] };
    },
    queues: () => backlogOf(env),
    kv: () => callPeer('kv', METRICS_MS, () => env.CACHE.get('diagnosis')),
    artifacts: () => registry.store.get('health'),
    kafka: kafkaConfig(env) === undefined ? undefined : () => kafkaReport(env),
  };
}

function settingsOf(env: Env, known: Pick<Settings, 'expected' | 'isLocal' | 'isLimiting'>): Settings {
  const isSet = (name: (typeof SECRETS)[number]) => env[name] !== undefined && env[name] !== '';
  return {
    ...known,
    bindings: BINDINGS.length,
    set: SECRETS.filter(isSet),
    unset: SECRETS.filter((name) => !isSet(name)),
    knownMigrations: MIGRATIONS,
    outboxWatchMs: outboxWatchMs(env),
  };
}

/** The local queues are counted by the isolate; those of the platform tell it themselves. */
export async function backlogOf(env: Env): Promise<QueueFacts> {
  const local = queuedItems(env);
  if (local !== undefined)
    return Object.fromEntries(Object.entries(local).map(([queue, items]) => [queue, { items }]));
  const told = QUEUES.map(async (name) => {
    try {
      const { backlogCount, oldestMessageTimestamp } = await callPeer('queue', METRICS_MS, () =>
        env[name].metrics(),
      );
      return [name, { items: backlogCount, oldestAtMs: oldestMessageTimestamp?.getTime() }] as const;
    } catch {
      return [name, undefined] as const;
    }
  });
  return Object.fromEntries(await Promise.all(told));
}
