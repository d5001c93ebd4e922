import * as z from 'zod';
import { deploymentOf } from '../cache/tiers/deployment.ts';
import { parseTargets } from '../operations/alerts/targets.ts';
import { kafkaConfig } from '../pipeline/kafka/config.ts';
import { sha256HexNow } from '../platform/digest.ts';
import type { Region } from '../platform/regions.ts';
import type { Span } from '../platform/tracing/span.ts';
import { parseVars } from '../platform/vars.ts';
import type { DatabaseTarget } from '../storage/postgres/connect.ts';
import type { Env } from './env.ts';
import { type OidcConfig, oidcConfig } from './oidc.ts';
import { DatabaseRegion, regionFor } from './placement.ts';

export interface Config {
  readonly database: DatabaseTarget;
  /** SHA-256 of the key, lower case. */
  readonly apiKeySha256: string;
  /** Tells this deployment from others, in 16 hexadecimal digits; see `deploymentOf`. */
  readonly deployment: string;
  /** The id of this start of the local stack; undefined on Cloudflare. */
  readonly instanceId: string | undefined;
  /** The share of hits that the probe compares with the origin. */
  readonly probeShare: number;
  /** The share of the runtime's runs that the evaluator computes, too, for a comparison. */
  readonly parityShare: number;
  /** The time of a prediction that does not name its own, in milliseconds. */
  readonly deadlineMs: number;
  /** Whether `GET /metrics` is readable without the key. */
  readonly isMetricsPublic: boolean;
  /** Whether the cache fills keys that are expected to be read next. */
  readonly isWarming: boolean;
  /** The issuer whose tokens are accepted; undefined for none. */
  readonly oidc: OidcConfig | undefined;
  /** Whether requests are charged to budgets. */
  readonly isLimiting: boolean;
  readonly feedback: FeedbackTimes;
}

/** One hit in a hundred, and at most one a second in each isolate: enough to measure three nines within an hour. */
const PROBE_SHARE_DEFAULT = 0.01;

/** What people take for at once. */
const DEADLINE_MS_DEFAULT = 100;

/** A comparison costs one more run, of which a hundredth is not noticed. */
const PARITY_SHARE_DEFAULT = 0.01;

/**
 * The pause between two sweeps of the outbox while there are readers, in milliseconds. Other writers do not notify
 * Millrace of their changes, so a reader may miss such a change for this long plus Δ. Each sweep costs a query, and
 * prevents an idle database from sleeping. 0 means that there are no other writers: the relay then sweeps only as often
 * as the views' `sourceBoundMs` requires.
 */
const OUTBOX_WATCH_MS_DEFAULT = 500;
/** A pass over Neon takes tens of milliseconds. With a shorter pause, one pass would follow the other at once. */
const OUTBOX_WATCH_MS_MIN = 200;
/** With a pause longer than half of the default `sourceBoundMs`, readers themselves trigger sweeps more often. */
const OUTBOX_WATCH_MS_MAX = 60_000;

/**
 * How long an isolate gathers served predictions before it writes a file, in milliseconds. A request stays alive for 30 s
 * after its answer at most, and a file takes a part of that. A shorter pause costs more writes of R2.
 */
const FEEDBACK_PAUSE_MS_DEFAULT = 20_000;
/** How long a file or an event may take until everybody can read it, in milliseconds: a long transaction takes seconds. */
const FEEDBACK_SETTLE_MS_DEFAULT = 60_000;

/** The minute of the rules of alerts, in milliseconds. A test or a game day that cannot wait makes it shorter. */
const ALERTS_MINUTE_MS_DEFAULT = 60_000;
/** Isolates send their counts every five seconds: in a shorter minute, nothing would be counted in most of them. */
const ALERTS_MINUTE_MS_MIN = 1_000;

/** The times of the log of served predictions, in milliseconds. */
interface FeedbackTimes {
  readonly pauseMs: number;
  readonly settleMs: number;
}

/** SHA-256 of nothing, a space, a line feed and CR LF: what `sha256sum` prints for a key that is not set. */
const HASHES_OF_NO_KEY: ReadonlySet<string> = new Set(['', ' ', '\n', '\r\n'].map(sha256HexNow));

const Vars = z.object({
  DATABASE_URL: z.string().regex(/^postgres(ql)?:\/\//, 'expected a postgres:// URL'),
  DATABASE_ENDPOINT: z.url().optional(),
  DATABASE_REGION: DatabaseRegion,
  API_KEY_SHA256: z
    .string()
    .regex(/^[0-9a-fA-F]{64}$/, 'expected 64 hexadecimal digits')
    .toLowerCase()
    .refine((hash) => !HASHES_OF_NO_KEY.has(hash), 'expected the hash of a key, not that of an empty text'),
  INSTANCE_ID: z
    .string()
    .regex(/^[\w-]{1,64}$/, 'expected at most 64 letters, digits, "-" and "_"')
    .optional(),
  PROBE_SHARE: z.coerce.number().min(0).max(1).default(PROBE_SHARE_DEFAULT),
  DEADLINE_MS: z.coerce.number().int().min(5).max(10_000).default(DEADLINE_MS_DEFAULT),
  PARITY_SHARE: z.coerce.number().min(0).max(1).default(PARITY_SHARE_DEFAULT),
  // A variable of wrangler.toml may be a boolean; a secret is text.
  METRICS_PUBLIC: z
    .union([z.boolean(), z.enum(['true', 'false']).transform((text) => text === 'true')])
    .default(false),
  WARMING: z.enum(['on', 'off']).default('on'),
  LIMITS: z.enum(['on', 'off']).default('on'),
  OUTBOX_WATCH_MS: z.coerce
    .number()
    .int()
    .max(OUTBOX_WATCH_MS_MAX)
    .refine((ms) => ms === 0 || ms >= OUTBOX_WATCH_MS_MIN, `expected 0, or at least ${OUTBOX_WATCH_MS_MIN}`)
    .default(OUTBOX_WATCH_MS_DEFAULT),
  FEEDBACK_PAUSE_MS: z.coerce.number().int().min(0).max(25_000).default(FEEDBACK_PAUSE_MS_DEFAULT),
  FEEDBACK_SETTLE_MS: z.coerce.number().int().min(0).max(3_600_000).default(FEEDBACK_SETTLE_MS_DEFAULT),
  ALERTS_MINUTE_MS: z.coerce
    .number()
    .int()
    .min(ALERTS_MINUTE_MS_MIN)
    .max(60_000)
    .default(ALERTS_MINUTE_MS_DEFAULT),
});

/** Reads variables and secrets. Throws with the names of missing or invalid ones, never with their values. */
export function readConfig(env: Env): Config {
  const vars = parseVars(Vars, env);
  const { API_KEY_SHA256: apiKeySha256, PROBE_SHARE: probeShare, PARITY_SHARE: parityShare } = vars;
  // An incomplete configuration of Kafka or of notices then fails here, at the first request, and not later in the cron.
  kafkaConfig(env);
  parseTargets(env.ALERT_WEBHOOKS, vars.INSTANCE_ID !== undefined);
  return Object.freeze({
    database: targetOf(vars),
    apiKeySha256,
    deployment: deploymentOf(vars.DATABASE_URL, apiKeySha256),
    instanceId: vars.INSTANCE_ID,
    probeShare,
    parityShare,
    deadlineMs: vars.DEADLINE_MS,
    isMetricsPublic: vars.METRICS_PUBLIC,
    isWarming: vars.WARMING === 'on',
    oidc: oidcConfig(env),
    isLimiting: vars.LIMITS === 'on',
    feedback: { pauseMs: vars.FEEDBACK_PAUSE_MS, settleMs: vars.FEEDBACK_SETTLE_MS },
  });
}

/** Reads only the database configuration, for objects that need nothing else. */
export function databaseTarget(env: Pick<Env, 'DATABASE_URL' | 'DATABASE_ENDPOINT'>): DatabaseTarget {
  return targetOf(parseVars(Vars.pick({ DATABASE_URL: true, DATABASE_ENDPOINT: true }), env));
}

/** By the bindings of an isolate: they do not change, and each use of an object asks. */
const databaseRegions = new WeakMap<object, { readonly region: Region | undefined }>();

/**
 * The region of the database, as `regionFor` finds it.
 *
 * @throws Error if `DATABASE_REGION` is not a location hint.
 */
export function databaseRegion(env: Pick<Env, 'DATABASE_URL' | 'DATABASE_REGION'>): Region | undefined {
  const known = databaseRegions.get(env);
  if (known !== undefined) return known.region;
  const { DATABASE_REGION: configured } = parseVars(Vars.pick({ DATABASE_REGION: true }), env);
  const region = regionFor(configured, env.DATABASE_URL);
  databaseRegions.set(env, { region });
  return region;
}

/** The same bindings, for calls that are within a span. */
export function envIn<Bindings extends Pick<Env, 'DATABASE_URL' | 'DATABASE_REGION'>>(
  env: Bindings,
  span: Span,
): Bindings & Pick<Env, 'span'> {
  const traced = { ...env, span };
  databaseRegions.set(traced, { region: databaseRegion(env) });
  return traced;
}

/** Reads only the times of the log of served predictions. */
export function feedbackTimes(env: Pick<Env, 'FEEDBACK_PAUSE_MS' | 'FEEDBACK_SETTLE_MS'>): FeedbackTimes {
  const vars = parseVars(Vars.pick({ FEEDBACK_PAUSE_MS: true, FEEDBACK_SETTLE_MS: true }), env);
  return { pauseMs: vars.FEEDBACK_PAUSE_MS, settleMs: vars.FEEDBACK_SETTLE_MS };
}

/** Reads only the length of a minute of the alert rules, in milliseconds. */
export function alertsMinuteMs(env: Pick<Env, 'ALERTS_MINUTE_MS'>): number {
  return parseVars(Vars.pick({ ALERTS_MINUTE_MS: true }), env).ALERTS_MINUTE_MS;
}

/** Reads only the pause between two sweeps of the outbox, in milliseconds; 0 for none. */
export function outboxWatchMs(env: Pick<Env, 'OUTBOX_WATCH_MS'>): number {
  return parseVars(Vars.pick({ OUTBOX_WATCH_MS: true }), env).OUTBOX_WATCH_MS;
}

function targetOf(vars: { DATABASE_URL: string; DATABASE_ENDPOINT?: string | undefined }): DatabaseTarget {
  return { url: vars.DATABASE_URL, endpoint: vars.DATABASE_ENDPOINT };
}
