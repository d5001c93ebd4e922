import * as z from 'zod';
import type { Env } from './env.ts';
import type { DatabaseTarget } from './storage/postgres/connect.ts';

export interface Config {
  readonly database: DatabaseTarget;
  /** SHA-256 of the key for writes, lower case. */
  readonly apiKeySha256: string;
  /** The share of hits that are compared with the origin. */
  readonly probeShare: number;
  /** Whether `GET /metrics` is answered without the key. */
  readonly isMetricsPublic: boolean;
}

/** One hit in a hundred, and one a second and isolate at most: enough for three nines within the hour. */
const PROBE_SHARE_DEFAULT = 0.01;

const Vars = z.object({
  DATABASE_URL: z.string().regex(/^postgres(ql)?:\/\//, 'expected a postgres:// URL'),
  DATABASE_ENDPOINT: z.url().optional(),
  API_KEY_SHA256: z
    .string()
    .regex(/^[0-9a-fA-F]{64}$/, 'expected 64 hexadecimal digits')
    .toLowerCase(),
  PROBE_SHARE: z.coerce.number().min(0).max(1).default(PROBE_SHARE_DEFAULT),
  // A variable of wrangler.toml may be a boolean; a secret is text.
  METRICS_PUBLIC: z
    .union([z.boolean(), z.enum(['true', 'false']).transform((text) => text === 'true')])
    .default(false),
});

/** Reads variables and secrets. Throws with the names of what is missing or wrong, never with their values. */
export function readConfig(env: Env): Config {
  const vars = parse(Vars, env);
  const { API_KEY_SHA256: apiKeySha256, PROBE_SHARE: probeShare, METRICS_PUBLIC: isMetricsPublic } = vars;
  return Object.freeze({ database: targetOf(vars), apiKeySha256, probeShare, isMetricsPublic });
}

/** The database alone, for an object that needs nothing else. */
export function databaseTarget(env: Pick<Env, 'DATABASE_URL' | 'DATABASE_ENDPOINT'>): DatabaseTarget {
  return targetOf(parse(Vars.pick({ DATABASE_URL: true, DATABASE_ENDPOINT: true }), env));
}

function targetOf(vars: { DATABASE_URL: string; DATABASE_ENDPOINT?: string | undefined }): DatabaseTarget {
  return { url: vars.DATABASE_URL, endpoint: vars.DATABASE_ENDPOINT };
}

function parse<Schema extends z.ZodType>(schema: Schema, env: unknown): z.output<Schema> {
  const parsed = schema.safeParse(env);
  if (parsed.success) return parsed.data;
  const faults = parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`);
  throw new Error(`The configuration is not complete: ${faults.join('; ')}`);
}
