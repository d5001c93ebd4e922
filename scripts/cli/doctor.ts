import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod';
import {
  type Client,
  type components,
  DeadlineError,
  MillraceError,
  ProblemError,
} from '../../src/client/index.ts';
import { VERSION } from '../../src/platform/version.ts';
import { type Target, unreachable } from '../command-line/target.ts';
import { NotReachable } from './exit-codes.ts';

type Diagnosis = components['schemas']['Diagnosis'];
export type Check = Diagnosis['checks'][number];

/** All requests are sent at once, and each gives up after this, in milliseconds. The worker's own checks take two seconds at most. */
const ANSWER_MS_MAX = 2_600;
/** A check is made once: a dependency that is away is what it reports. */
const ONCE = { isRepeatable: false, deadlineMs: ANSWER_MS_MAX, attemptMs: ANSWER_MS_MAX } as const;
/** `Retry-After`, tokens and the expiry of keys are moments, so two clocks that differ by more disagree about them. */
const SKEW_MS_MAX = 5_000;
const LOCAL_HOST = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/;

/**
 * Looks at a deployment: what this machine sees of it, and what the worker says of everything that it depends on. It
 * ends within three seconds, whatever hangs.
 *
 * @throws NotReachable if no worker answers at the address.
 */
export async function diagnose(target: Required<Target>, client: Client): Promise<Check[]> {
  const [live, ready, diagnosed] = await Promise.all([
    timed(target, '/health/live'),
    timed(target, '/health/ready').catch(() => undefined),
    diagnosisOf(client),
  ]);
  if (live.status >= 400)
    return [
      fail(
        'worker',
        `/health/live answered ${live.status}`,
        'A binding, a variable or a secret is missing or invalid: the log of the worker names it (npx wrangler tail).',
      ),
    ];
  const worker = [
    ok('worker', `${target.url} answers in ${Math.round(live.tookMs)} ms`),
    ...addressChecks(target),
  ];
  if (!('data' in diagnosed))
    return [...worker, skewCheck(live.skewMs), diagnosed.check, ...dependenciesOf(ready?.body)];
  const { data, skewMs } = diagnosed;
  return [
    ...worker,
    skewCheck(skewMs),
    versionCheck(data),
    ok('key', 'admits to the operations'),
    ...data.checks,
  ];
}

interface Timed {
  readonly status: number;
  readonly tookMs: number;
  /** How far the worker's clock is ahead of this machine's; undefined where it does not say. */
  readonly skewMs: number | undefined;
  readonly body: unknown;
}

/** @throws NotReachable */
async function timed(target: Required<Target>, path: string): Promise<Timed> {
  const sentAt = Date.now();
  const startedAt = performance.now();
  try {
    const response = await fetch(new URL(path, target.url), { signal: AbortSignal.timeout(ANSWER_MS_MAX) });
    const body: unknown = await response.json().catch(() => undefined);
    const tookMs = performance.now() - startedAt;
    const date = Date.parse(response.headers.get('date') ?? '');
    // A Date has whole seconds, so half of one is what it leaves out on average.
    const skewMs = Number.isNaN(date) ? undefined : date + 500 - (sentAt + tookMs / 2);
    return { status: response.status, tookMs, skewMs, body };
  } catch (error) {
    throw new NotReachable(unreachable(target, error).message, { cause: error });
  }
}

/** What the worker says of itself; a check that says why it does not. */
async function diagnosisOf(client: Client): Promise<{ data: Diagnosis; skewMs: number } | { check: Check }> {
  const sentAt = Date.now();
  try {
    const { data } = await client.get('/v1/admin/diagnosis', ONCE);
    // The moment is that of the begin of the diagnosis, which itself takes up to two seconds.
    return { data, skewMs: Date.parse(data.at) - sentAt };
  } catch (error) {
    if (!(error instanceof MillraceError)) throw error;
    return { check: refusalOf(error) };
  }
}

function refusalOf(error: MillraceError): Check {
  if (error instanceof ProblemError && (error.status === 401 || error.status === 403))
    return fail(
      'key',
      error.message,
      'Give a key with the scope operations:read, with --key-file or MILLRACE_KEY.',
    );
  if (error instanceof ProblemError && error.status === 404)
    return warn('diagnosis', 'this worker has none', 'It is older than this command line: npm run deploy.');
  const isLate = error instanceof DeadlineError;
  return fail(
    'diagnosis',
    isLate ? `did not come within ${ANSWER_MS_MAX / 1_000} s` : error.message,
    isLate
      ? 'If the key is not the bootstrap secret, the database has to answer first: see the check of the database.'
      : 'Look at the log of the worker: npx wrangler tail.',
  );
}

function addressChecks({ url }: Pick<Target, 'url'>): Check[] {
  const { protocol, hostname } = new URL(url);
  const checks: Check[] = [];
  if (protocol === 'http:' && !LOCAL_HOST.test(hostname))
    checks.push(warn('address', 'http sends the key in the clear', 'Give the address with https.'));
  if (hostname.endsWith('.workers.dev'))
    checks.push(
      warn(
        'address',
        "the data centre's cache keeps nothing on workers.dev",
        'Deploy with a domain: npm run deploy -- --domain api.example.com.',
      ),
    );
  return checks;
}

export function skewCheck(skewMs: number | undefined): Check {
  const name = 'clock of this machine';
  if (skewMs === undefined)
    return warn(name, 'the worker does not tell its time', 'Check what answers at the address.');
  const text = `differs from the worker's by ${(Math.abs(skewMs) / 1_000).toFixed(1)} s`;
  return Math.abs(skewMs) <= SKEW_MS_MAX
    ? ok(name, text)
    : warn(name, text, 'Set the clock of this machine: moments that you give or read are off by as much.');
}

const Journal = z.object({ entries: z.array(z.object({ tag: z.string() })).min(1) });

/** Compares the worker with this checkout. Versions alone tell little between releases, so their newest migrations count too. */
export function versionCheck({ version, migration }: Pick<Diagnosis, 'version' | 'migration'>): Check {
  const file = join(import.meta.dirname, '../../migrations/meta/_journal.json');
  const own = Journal.parse(JSON.parse(readFileSync(file, 'utf8'))).entries.at(-1)?.tag;
  if (version === VERSION && migration === own)
    return ok('version', `${version} with ${migration}, as this command line`);
  return warn(
    'version',
    `the worker is ${version} with ${migration}, this command line ${VERSION} with ${own}`,
    'Deploy this checkout (npm run deploy), or run the command line of the version that is deployed.',
  );
}

/** What `/health/ready` says of each dependency, where the worker gives no diagnosis. */
export function dependenciesOf(body: unknown): Check[] {
  const checks: unknown = Reflect.get(Object(body), 'checks');
  return Object.entries(Object(checks)).map(([name, state]) =>
    state === 'ok'
      ? ok(name, 'answers')
      : fail(name, String(state), DEPENDENCIES[name] ?? 'Look at the log of the worker.'),
  );
}

const DEPENDENCIES: Readonly<Record<string, string>> = {
  database:
    'Check the secret DATABASE_URL (npx wrangler secret put DATABASE_URL), and that the database is up and its migrations are applied (npm run db:migrate).',
  clock:
    'The root TagClock does not answer. Check the Durable Object bindings of wrangler.toml, and the log of the worker.',
  artifacts: 'The R2 bucket of the models does not answer. Check the binding MODELS of wrangler.toml.',
};

function ok(name: string, detail: string): Check {
  return { name, verdict: 'ok', detail };
}

function warn(name: string, detail: string, advice: string): Check {
  return { name, verdict: 'warn', detail, advice };
}

function fail(name: string, detail: string, advice: string): Check {
  return { name, verdict: 'fail', detail, advice };
}
