import { type Client, MillraceError, ProblemError } from '../../src/client/index.ts';
import { type Target, unreachable } from '../command-line/target.ts';
import { NotReachable } from './exit-codes.ts';

/** A dependency that hangs is reported by the worker within this time, in milliseconds. */
const READY_MS_MAX = 30_000;
/** Between the readers and a database beside them; more is felt by every miss. */
const DATABASE_MS_MAX = 250;
/** A check is made once: a dependency that is away is what the check reports. */
const ONCE = { isRepeatable: false, deadlineMs: 15_000 } as const;
/** Requests of which the fastest counts: the others may have met a cold isolate. */
const ROUNDS = 3;

export interface Check {
  readonly name: string;
  readonly verdict: 'ok' | 'fault' | 'unknown';
  readonly detail: string;
  /** What to do. */
  readonly advice?: string;
}

const ADVICE: Readonly<Record<string, string>> = {
  database:
    'Check the secret DATABASE_URL (npx wrangler secret put DATABASE_URL), and that the database is up and its migrations are applied (npm run db:migrate).',
  clock:
    'The root TagClock does not answer. Check the Durable Object bindings of wrangler.toml, and the log of the worker.',
  artifacts:
    'The R2 bucket of the models does not answer. Create it: npx wrangler r2 bucket create millrace-models.',
};

/**
 * Looks at a deployment from outside, over its own routes.
 *
 * @throws NotReachable if no worker answers at the address.
 */
export async function diagnose(target: Required<Target>, client: Client): Promise<Check[]> {
  const network = await fastest(target, '/health/live');
  if (!network.ok)
    return [
      {
        ...{ name: 'worker', verdict: 'fault', detail: `/health/live answered ${network.status}` },
        advice:
          'A binding, a variable or a secret is missing or invalid: the log of the worker names it (npx wrangler tail).',
      },
    ];
  const worker: Check = { name: 'worker', verdict: 'ok', detail: `answers in ${Math.round(network.ms)} ms` };
  const ready = await fastest(target, '/health/ready');
  return [
    worker,
    ...dependenciesOf(ready.body),
    databaseLatency(ready, network.ms),
    await checked('key', client, keyCheck),
    await checked('relay', client, relayCheck),
    await checked('quarantine', client, quarantineCheck),
    await checked('dead letters', client, deadLetterCheck),
    await checked('queues', client, queueCheck),
  ];
}

interface Timed {
  readonly ok: boolean;
  readonly status: number;
  readonly ms: number;
  readonly body: unknown;
}

async function fastest(target: Required<Target>, path: string): Promise<Timed> {
  let best: Timed | undefined;
  for (let round = 0; round < ROUNDS; round += 1) {
    const startedAt = performance.now();
    try {
      const response = await fetch(new URL(path, target.url), { signal: AbortSignal.timeout(READY_MS_MAX) });
      const body: unknown = await response.json().catch(() => undefined);
      const ms = performance.now() - startedAt;
      if (best === undefined || ms < best.ms) best = { ok: response.ok, status: response.status, ms, body };
    } catch (error) {
      throw new NotReachable(unreachable(target, error).message, { cause: error });
    }
  }
  if (best === undefined) throw new Error('No request was made.');
  return best;
}

/** What `/health/ready` says of each dependency. */
export function dependenciesOf(body: unknown): Check[] {
  const checks: unknown = Reflect.get(Object(body), 'checks');
  return Object.entries(Object(checks)).map(([name, state]) => {
    if (state === 'ok') return { name, verdict: 'ok', detail: 'answers' };
    const advice = ADVICE[name];
    return { name, verdict: 'fault', detail: String(state), ...(advice === undefined ? {} : { advice }) };
  });
}

/** The readiness check asks the database, the clock and R2 at once, so the difference bounds the way to the database. */
function databaseLatency(ready: Timed, networkMs: number): Check {
  const name = 'latency to Postgres';
  if (!ready.ok) return { name, verdict: 'unknown', detail: 'not measured while a dependency is away' };
  const ms = Math.max(0, Math.round(ready.ms - networkMs));
  if (ms <= DATABASE_MS_MAX) return { name, verdict: 'ok', detail: `at most ${ms} ms` };
  return {
    ...{ name, verdict: 'fault', detail: `at most ${ms} ms, and more than ${DATABASE_MS_MAX}` },
    advice:
      'Set DATABASE_REGION to the region of the database before the first deployment, and see docs/operations.md.',
  };
}

/** A check that cannot be made says why. */
async function checked(
  name: string,
  client: Client,
  check: (client: Client) => Promise<Check>,
): Promise<Check> {
  try {
    return await check(client);
  } catch (error) {
    if (!(error instanceof MillraceError)) throw error;
    const isRefused = error instanceof ProblemError && (error.status === 401 || error.status === 403);
    return {
      ...{ name, verdict: isRefused && name !== 'key' ? 'unknown' : 'fault', detail: error.message },
      ...(isRefused && name === 'key'
        ? { advice: 'Give a key with the scope operations:read, with --key-file or MILLRACE_KEY.' }
        : {}),
    };
  }
}

async function keyCheck(client: Client): Promise<Check> {
  await client.get('/v1/admin/queues', ONCE);
  return { name: 'key', verdict: 'ok', detail: 'admits to the operations' };
}

async function relayCheck(client: Client): Promise<Check> {
  const { data } = await client.get('/v1/admin/pipeline', ONCE);
  const { pending } = data.outbox;
  const detail = `${pending} changes are not relayed yet`;
  if (pending < 10_000) return { name: 'relay', verdict: 'ok', detail };
  return {
    name: 'relay',
    verdict: 'fault',
    detail,
    advice: 'Relay them now with POST /v1/admin/outbox/sweep, and look at the log of OutboxRelay.',
  };
}

async function quarantineCheck(client: Client): Promise<Check> {
  const { data } = await client.get('/v1/admin/quarantine', {
    query: { limit: 1, state: 'open' },
    ...ONCE,
  });
  if (data.events.length === 0) return { name: 'quarantine', verdict: 'ok', detail: 'is empty' };
  return {
    ...{ name: 'quarantine', verdict: 'ok', detail: `has events; the newest: ${data.events[0]?.reason}` },
    advice: 'npm run cli -- quarantine list shows them.',
  };
}

async function deadLetterCheck(client: Client): Promise<Check> {
  const { data } = await client.get('/v1/admin/dead-letters', {
    query: { limit: 1, state: 'open' },
    ...ONCE,
  });
  if (data.events.length === 0) return { name: 'dead letters', verdict: 'ok', detail: 'none' };
  return {
    ...{ name: 'dead letters', verdict: 'fault', detail: 'messages could not be handled' },
    advice:
      'npm run cli -- dead-letters list shows them; dead-letters replay sends them again once the cause is mended.',
  };
}

async function queueCheck(client: Client): Promise<Check> {
  const { items } = (await client.get('/v1/admin/queues', ONCE)).data;
  if (items === null) return { name: 'queues', verdict: 'unknown', detail: "see Cloudflare's dashboard" };
  const text = Object.entries(items).map(([queue, count]) => `${queue} ${count}`);
  return { name: 'queues', verdict: 'ok', detail: text.join(', ') || 'empty' };
}
