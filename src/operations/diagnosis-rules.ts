import { COLUMNS_PREFIX } from '../storage/postgres/column-history.ts';
import { type InstalledTrigger, PENDING_COUNTED_MAX, type Waiting } from '../storage/postgres/diagnosis.ts';
import type { CapturedTrigger } from '../storage/postgres/trigger-sql.ts';

/** What a diagnosis shows of one part of the deployment. */
export interface Check {
  readonly name: string;
  readonly verdict: 'ok' | 'warn' | 'fail';
  /** What was found. It never has the value of a secret. */
  readonly detail: string;
  /** What to do, where the verdict is not `ok`. */
  readonly advice?: string;
  /** Set where the part could not be examined, so that nothing is known of it. Not shown. */
  readonly isUnknown?: true;
}

/** The rules by which a diagnosis judges what it has read. Durations are in milliseconds unless the name says seconds. */

/** What the isolate knows without asking. */
export interface Settings {
  /** The number of bindings of `wrangler.toml`; the worker answers nothing without one of them. */
  readonly bindings: number;
  /** The names of the secrets and variables that have a value, and of those that have none. */
  readonly set: readonly string[];
  readonly unset: readonly string[];
  readonly isLocal: boolean;
  readonly isLimiting: boolean;
  /** The migrations of Millrace's own tables that this worker was built with, oldest first. */
  readonly knownMigrations: readonly { readonly tag: string; readonly when: number }[];
  readonly expected: readonly CapturedTrigger[];
  /** The pause between two looks for changes of other writers; 0 where there are none. */
  readonly outboxWatchMs: number;
}

export interface DatabaseFacts {
  readonly server: { readonly version: string; readonly atMs: number };
  /** The worker's clock when the server had answered. */
  readonly atMs: number;
  readonly tookMs: readonly number[];
}

export type MissingColumns = readonly { readonly table: string; readonly column: string | null }[];
export interface TriggerFacts extends Pick<Settings, 'expected' | 'outboxWatchMs'> {
  readonly installed: readonly InstalledTrigger[];
}
export type WaitingFacts = Waiting;
export interface RelayFacts {
  readonly startedAtMs: number;
  readonly cronAtMs: number | null;
  readonly alarmAtMs: number | null;
  readonly failures: number;
}
export interface ClockFacts {
  readonly seq: number;
  /** Age of the newest look at the outbox; undefined while there was none. */
  readonly outboxAgeMs: number | undefined;
}
/** The backlog of each queue; undefined for one that does not tell. */
export type QueueFacts = Readonly<
  Record<string, { readonly items: number; readonly oldestAtMs?: number | undefined } | undefined>
>;
export type KafkaFacts = readonly {
  readonly topic: string;
  readonly partition: number;
  readonly lag: number | null;
  readonly lastError: string | null;
}[];

/** A miss waits for a few round trips, so more than this is felt by each. */
const LATENCY_MS_MAX = 100;
/** A worker and a database whose clocks differ by more disagree about what expires and about retention. */
const SKEW_MS_MAX = 2_000;
/** The oldest pending change: the relay takes milliseconds, and seconds after an outage. */
const PENDING_S_WARN = 30;
const PENDING_S_FAIL = 300;
/** The cron runs each minute. */
const CRON_MS_MAX = 180_000;
/** A look at the outbox is at most this old while there are readers; the clock has just been asked for one. */
const OUTBOX_AGE_MS_MAX = 90_000;
const QUEUED_MS_WARN = 300_000;
const NAMES_SHOWN = 5;

/** The checks that are left out while the database does not answer. */
export const NEEDS_DATABASE = ['migrations', 'tables', 'capture', 'outbox'] as const;

const ADVICE: Readonly<Record<string, string>> = {
  database:
    'Check the secret DATABASE_URL (npx wrangler secret put DATABASE_URL) and that the database is up. One that slept wakes up meanwhile: run this again.',
  clock:
    'Check the Durable Object bindings and migrations of wrangler.toml, and the log of the worker (npx wrangler tail).',
  relay: 'Check the log of the object OutboxRelay (npx wrangler tail).',
  cron: 'Check the log of the object OutboxRelay (npx wrangler tail).',
  queues: "Check the queues in Cloudflare's dashboard: npx wrangler queues list.",
  KV: 'Check the binding CACHE of wrangler.toml. Views that do not name the tier kv work without it.',
  R2: 'Check the binding MODELS of wrangler.toml: npx wrangler r2 bucket list.',
  Kafka: 'Check KAFKA_REST_URL and its credentials, and that the bridge runs: npm run cli -- kafka.',
  migrations: 'Apply the migrations: DATABASE_URL=… npm run db:migrate.',
};

/** SQLSTATE undefined_table and invalid_schema_name. */
const NOT_THERE: readonly (string | undefined)[] = ['42P01', '3F000'];

/** A check that could not be made. */
export function failed(name: string, reason: string, sqlState: string | undefined): Check {
  if (NOT_THERE.includes(sqlState))
    return fail(name, "The database has none of Millrace's own tables.", ADVICE['migrations'] ?? '');
  const check = fail(name, reason, ADVICE[name] ?? 'Check the log of the worker (npx wrangler tail).');
  return { ...check, isUnknown: true };
}

export function notChecked(name: string): Check {
  const check = warn(name, 'not checked while the database does not answer', 'Mend the database first.');
  return { ...check, isUnknown: true };
}

export function answers(name: string): Check {
  return ok(name, 'answers');
}

export function settings({ bindings, set, unset, isLocal, isLimiting }: Settings): Check[] {
  const missing = unset.length === 0 ? '' : `; without a value, and not required: ${unset.join(', ')}`;
  const limits =
    isLimiting || isLocal
      ? ok('limits', isLimiting ? 'requests are charged to budgets' : 'off in the local stack')
      : warn('limits', 'LIMITS is off', 'Remove the variable LIMITS: anybody can wear the database down.');
  return [
    ok('bindings', `all ${bindings} of wrangler.toml are there`),
    ok('secrets', `${set.join(', ')} have a value${missing}`),
    limits,
  ];
}

export function database({ server, atMs, tookMs }: DatabaseFacts): Check[] {
  const p50 = medianOf(tookMs);
  const latency = `${tookMs.length} round trips took ${p50} ms at the median`;
  const skewMs = Math.round(server.atMs - atMs);
  const isBehind = Math.abs(skewMs) > SKEW_MS_MAX;
  return [
    ok('database', `Postgres ${server.version} answers`),
    p50 <= LATENCY_MS_MAX
      ? ok('latency to Postgres', latency)
      : warn(
          'latency to Postgres',
          `${latency}; each miss waits for one or more`,
          'Objects are placed beside the database by DATABASE_REGION, before the first deployment: see docs/operations.md.',
        ),
    isBehind
      ? warn(
          'clock of Postgres',
          `differs from the worker's by ${seconds(skewMs)}`,
          'Set the clock of the database server: retention and expiry of keys depend on it.',
        )
      : ok('clock of Postgres', `differs from the worker's by less than ${seconds(SKEW_MS_MAX)}`),
  ];
}

export function migrations(
  applied: readonly number[],
  { knownMigrations }: Pick<Settings, 'knownMigrations'>,
): Check {
  const missing = knownMigrations.filter(({ when }) => !applied.includes(when)).map(({ tag }) => tag);
  const newest = knownMigrations.at(-1);
  if (missing.length > 0)
    return fail(
      'migrations',
      `${missing.length} of ${knownMigrations.length} are not applied: ${listed(missing)}`,
      ADVICE['migrations'] ?? '',
    );
  const newer = applied.filter((when) => when > (newest?.when ?? 0)).length;
  if (newer > 0)
    return warn(
      'migrations',
      `the database has ${newer} that this worker does not know`,
      'Deploy the version of Millrace that brought them: npm run deploy.',
    );
  return ok('migrations', `all ${knownMigrations.length} are applied, up to ${newest?.tag}`);
}

export function tables(missing: MissingColumns): Check {
  if (missing.length === 0) return ok('tables', 'the database has all tables and columns of the catalog');
  const names = missing.map(({ table, column }) => (column === null ? table : `${table}.${column}`));
  return fail(
    'tables',
    `the catalog declares what the database does not have: ${listed(names)}`,
    'Run npm run db:generate, then npm run db:migrate. For a table of another tool, correct adopted.ts.',
  );
}

function isOfColumns({ functionName }: CapturedTrigger): boolean {
  return functionName.startsWith(`${COLUMNS_PREFIX} `);
}

export function capture({ installed, expected, outboxWatchMs }: TriggerFacts): Check {
  const faultyOf = ({ table, functionName, body, triggers }: CapturedTrigger) => {
    const found = installed.find((of) => of.functionName === functionName);
    const lacking = triggers.filter((name) => found?.triggers.includes(name) !== true);
    if (lacking.length > 0) return [`${table} lacks ${lacking.length} of ${triggers.length}`];
    return found?.body === body ? [] : [`those of ${table} are of another version`];
  };
  const faulty = expected.flatMap(faultyOf);
  if (faulty.length === 0) return ok('capture', `the triggers of all ${expected.length} tables are in place`);
  const advice =
    'Run DATABASE_URL=… npm run db:capture. If no other program writes to these tables, set OUTBOX_WATCH_MS = 0.';
  // The worker's own writes need the triggers of columns, too.
  const unrecorded = expected.filter(isOfColumns).flatMap(faultyOf);
  if (unrecorded.length > 0)
    return fail('capture', `features over columns do not follow their rows: ${listed(faulty)}`, advice);
  if (outboxWatchMs === 0)
    return ok(
      'capture',
      `OUTBOX_WATCH_MS is 0, so there are no other writers to capture (${listed(faulty)})`,
    );
  return fail('capture', `changes by other writers are not noticed: ${listed(faulty)}`, advice);
}

export function waiting({ pending, oldestS, quarantined, deadLetters }: Waiting): Check[] {
  const age = oldestS === null ? '' : `, the oldest for ${Math.round(oldestS)} s`;
  const count = pending >= PENDING_COUNTED_MAX ? `${PENDING_COUNTED_MAX} or more` : String(pending);
  const outbox = `${count} changes are not relayed yet${age}`;
  const sweep = 'Relay them now with POST /v1/admin/outbox/sweep, and look at the log of OutboxRelay.';
  const isLate = oldestS !== null && oldestS >= PENDING_S_WARN;
  const late = oldestS !== null && oldestS >= PENDING_S_FAIL ? fail : warn;
  return [
    isLate ? late('outbox', outbox, sweep) : ok('outbox', outbox),
    quarantined === 0
      ? ok('quarantine', 'is empty')
      : warn('quarantine', `has ${quarantined} open events`, 'npm run cli -- quarantine list shows them.'),
    deadLetters === 0
      ? ok('dead letters', 'none')
      : fail(
          'dead letters',
          `${deadLetters} messages could not be handled`,
          'npm run cli -- dead-letters list shows them; dead-letters replay sends them again once the cause is mended.',
        ),
  ];
}

export function relay({ failures, alarmAtMs }: RelayFacts, nowMs: number): Check {
  const next = alarmAtMs === null ? '' : `, and again in ${seconds(Math.max(0, alarmAtMs - nowMs))}`;
  if (failures === 0) return ok('relay', alarmAtMs === null ? 'idle' : `sweeps${next}`);
  return fail('relay', `its alarm has failed ${failures} times${next}`, ADVICE['relay'] ?? '');
}

export function cron({ startedAtMs, cronAtMs }: RelayFacts, isLocal: boolean, nowMs: number): Check {
  if (isLocal)
    return ok('cron', 'the local stack has none; the work of each minute is done when it is asked for');
  const advice =
    'Check [triggers] crons of wrangler.toml; after a deployment it takes some minutes to start.';
  if (cronAtMs === null) {
    const upMs = nowMs - startedAtMs;
    const detail = `has not run since the relay started ${seconds(upMs)} ago`;
    return upMs < CRON_MS_MAX
      ? warn('cron', detail, `Run this again in three minutes. ${advice}`)
      : fail('cron', detail, advice);
  }
  const detail = `ran ${seconds(nowMs - cronAtMs)} ago`;
  return nowMs - cronAtMs <= CRON_MS_MAX ? ok('cron', detail) : fail('cron', detail, advice);
}

export function clock({ seq, outboxAgeMs }: ClockFacts): Check {
  const detail = `answers; ${seq} invalidations so far`;
  if (outboxAgeMs === undefined)
    return warn('clock', `${detail}; it has not looked at the outbox yet`, 'Run this again in some seconds.');
  if (outboxAgeMs <= OUTBOX_AGE_MS_MAX)
    return ok('clock', `${detail}; it knows all changes that are older than ${seconds(outboxAgeMs)}`);
  return fail(
    'clock',
    `${detail}; the outbox was last read ${seconds(outboxAgeMs)} ago, so bounded reads go to the database`,
    ADVICE['relay'] ?? '',
  );
}

export function queues(facts: QueueFacts, nowMs: number): Check {
  const told = Object.entries(facts).flatMap(([name, fact]) =>
    fact === undefined ? [] : [{ name, ...fact }],
  );
  const filled = told.filter(({ items }) => items > 0);
  const silent = Object.keys(facts).length - told.length;
  const age = (atMs: number | undefined) =>
    atMs === undefined ? '' : `, the oldest for ${seconds(nowMs - atMs)}`;
  const detail =
    filled.map(({ name, items, oldestAtMs }) => `${name} ${items}${age(oldestAtMs)}`).join('; ') || 'empty';
  const isLate = filled.some(
    ({ oldestAtMs }) => oldestAtMs !== undefined && nowMs - oldestAtMs > QUEUED_MS_WARN,
  );
  if (told.length === 0)
    return warn('queues', 'none tells its backlog', "See them in Cloudflare's dashboard.");
  if (silent > 0)
    return warn('queues', `${detail}; ${silent} did not tell their backlog`, ADVICE['queues'] ?? '');
  if (!isLate) return ok('queues', detail);
  return warn(
    'queues',
    detail,
    'A consumer fails or is too slow: look at the log of the worker (npx wrangler tail).',
  );
}

export function kafka(partitions: KafkaFacts): Check {
  const faulty = partitions.filter(({ lastError }) => lastError !== null);
  const lag = partitions.reduce((sum, of) => sum + (of.lag ?? 0), 0);
  const detail = `${partitions.length} partitions, ${lag} records behind`;
  if (faulty.length === 0) return ok('Kafka', detail);
  const names = faulty.map(({ topic, partition }) => `${topic}/${partition}`);
  return fail('Kafka', `${detail}; failing: ${listed(names)}`, 'npm run cli -- kafka shows the errors.');
}

function ok(name: string, detail: string): Check {
  return { name, verdict: 'ok', detail };
}

function warn(name: string, detail: string, advice: string): Check {
  return { name, verdict: 'warn', detail, advice };
}

function fail(name: string, detail: string, advice: string): Check {
  return { name, verdict: 'fail', detail, advice };
}

function listed(names: readonly string[]): string {
  const more = names.length - NAMES_SHOWN;
  return `${names.slice(0, NAMES_SHOWN).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}

function medianOf(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return Math.round(sorted[Math.floor(sorted.length / 2)] ?? 0);
}
