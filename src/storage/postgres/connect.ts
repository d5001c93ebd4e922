import { neon, neonConfig } from '@neondatabase/serverless';
import { drizzle, type NeonHttpClient, type NeonHttpDatabase } from 'drizzle-orm/neon-http';
import { Failure } from '../../platform/failure.ts';
import { beginCall, countBytes } from '../../platform/peer.ts';
import { NO_SPAN, type Span } from '../../platform/tracing/span.ts';
import { decodeUtf8 } from '../../platform/utf8.ts';

export interface DatabaseTarget {
  readonly url: string;
  /** A SQL-over-HTTP endpoint to use instead of Neon's own, for local development. */
  readonly endpoint: string | undefined;
}

/** How long a statement or a batch may take, in milliseconds. */
const QUERY_TIMEOUT_MS = 10_000;

/**
 * A drizzle database over Neon's HTTP protocol: one round trip per statement or batch, and no connection to keep open.
 *
 * @param span the one that the statements are within.
 */
export function connect(
  target: DatabaseTarget,
  span: Span = NO_SPAN,
): NeonHttpDatabase & { readonly $client: NeonHttpClient } {
  const { endpoint } = target;
  if (endpoint !== undefined) neonConfig.fetchEndpoint = () => endpoint;
  neonConfig.fetchFunction = fetchAnswer;
  return drizzle(span.isRecording ? neon(target.url, { fetchOptions: { span } }) : neon(target.url));
}

/** The connection broke, or the time ran out, while the answer's body was read. */
class ConnectionLost extends Error {
  override readonly name = 'ConnectionLost';
}

/**
 * `fetch` for the driver. The driver wraps errors of `fetch` itself in a `NeonDbError`, but not errors of reading the
 * body. Without this marking, a connection that breaks there would look like an error of the calling code.
 */
async function fetchAnswer(input: string, { span: parent = NO_SPAN, ...init }: StatementInit) {
  const end = beginCall('database', QUERY_TIMEOUT_MS);
  const span = parent.isRecording ? parent.child(statementSpan(init.body)) : NO_SPAN;
  const count = (outcome: 'ok' | 'failed' | 'timeout', error?: unknown) => {
    end(outcome, error);
    if (outcome !== 'ok') span.fail(new Error(outcome));
    span.end();
  };
  const broken = (error: unknown): never => {
    count(isTimeout(error) ? 'timeout' : 'failed', error);
    throw error;
  };
  const signal = AbortSignal.timeout(QUERY_TIMEOUT_MS);
  const response = await fetch(input, { ...init, signal }).catch(broken);
  const lost = (cause: unknown) => {
    throw new ConnectionLost('The connection broke while the database answered.', { cause });
  };
  const text = async () => {
    const bytes = await response.arrayBuffer().catch((cause: unknown) => {
      count(isTimeout(cause) ? 'timeout' : 'failed', cause);
      return lost(cause);
    });
    countBytes('database', bytes.byteLength);
    // 400 is an error of a statement, which the database has answered.
    if (response.status === 400) span.set({ 'db.response.status_code': '400' });
    if (response.ok || response.status === 400) count('ok');
    else count('failed', new Error(`The endpoint answered status ${response.status}.`));
    return decodeUtf8(bytes);
  };
  return {
    ok: response.ok,
    status: response.status,
    json: async (): Promise<unknown> => parseAnswer(await text(), lost),
    text,
  };
}

/** A request of the driver: `connect` adds the span of its caller. */
interface StatementInit extends RequestInit {
  readonly span?: Span;
}

/** The first word of the first statement, behind which its text is not recorded: a catalog may write values into it. */
const FIRST_WORD = /^\{"quer(?:y|ies)":(?:\[\{"query":)?"(?:\s|\\n)*([a-z]{1,12})\b/i;

/** The span of a statement or a batch, as OpenTelemetry's conventions for databases name it. */
function statementSpan(body: RequestInit['body']) {
  const text = typeof body === 'string' ? body : '';
  const isBatch = text.startsWith('{"queries"');
  const operation = isBatch ? 'BATCH' : (FIRST_WORD.exec(text)?.[1]?.toUpperCase() ?? 'QUERY');
  const attributes = { 'db.system.name': 'postgresql', 'db.operation.name': operation };
  return { name: `${operation} postgresql`, kind: 'client', attributes } as const;
}

function parseAnswer(text: string, lost: (cause: unknown) => never): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    // The proxy of the database writes whole JSON, so a part of it is what a broken connection leaves.
    return lost(error);
  }
}

/** SQLSTATE classes of errors in the statement's own data. A retry cannot succeed. */
const DATA_FAULT_CLASSES = new Set(['22', '23']);

export type DatabaseFault = 'data' | 'unavailable' | 'bug';

/**
 * Classifies an error of a query, or of the code around it: bad data, an outage that may pass, or a bug in a statement or
 * in code. Without an SQLSTATE only a connection error counts as an outage. Otherwise a `TypeError` in a view would be
 * retried forever, and old answers would hide it.
 */
export function classifyFault(error: unknown): DatabaseFault {
  const state = sqlState(error);
  if (state === undefined) return isConnectionError(error) ? 'unavailable' : 'bug';
  const stateClass = state.slice(0, 2);
  if (DATA_FAULT_CLASSES.has(stateClass)) return 'data';
  // 08 connection, 53 resources, 57 operator intervention, 40 rollback, 58 system, 55 not in the required state.
  return ['08', '53', '57', '40', '58', '55'].includes(stateClass) ? 'unavailable' : 'bug';
}

/** Text that Postgres cannot store, such as NUL: character_not_in_repertoire, and in jsonb untranslatable_character. */
const TEXT_FAULTS: readonly (string | undefined)[] = ['22021', '22P05'];

/** Runs a query. It turns an outage, or text that cannot be stored, into a failure that the caller can act on. */
export async function guarded<T>(query: () => Promise<T>): Promise<T> {
  try {
    return await query();
  } catch (error) {
    if (error instanceof Failure) throw error;
    if (TEXT_FAULTS.includes(sqlState(error)))
      throw new Failure(
        'invalid_request',
        'A text contains NUL or an unpaired surrogate, which cannot be stored. Remove it.',
        { cause: error },
      );
    if (classifyFault(error) !== 'unavailable') throw error;
    throw new Failure('database_unavailable', 'The database does not answer. Try again shortly.', {
      retryAfterS: 5,
      cause: error,
    });
  }
}

/** Whether a foreign key prevented the deletion of a row: foreign_key_violation or restrict_violation. */
export function isStillReferenced(error: unknown): boolean {
  return ['23503', '23001'].includes(sqlState(error) ?? '');
}

/** Whether a query was cancelled because it took too long, by this worker or by the database (query_canceled). */
export function isTimeout(error: unknown): boolean {
  if (sqlState(error) === '57014') return true;
  let cause = error;
  for (let depth = 0; cause instanceof Error && depth < 5; depth += 1) {
    if (cause.name === 'TimeoutError') return true;
    // The driver's own wrapper holds the error of `fetch` in `sourceError`, not in `cause`.
    cause = Reflect.get(cause, 'sourceError') ?? cause.cause;
  }
  return false;
}

/**
 * Whether the database refused a statement for what the statement says. It is false for an outage, a timeout, a lack of
 * resources, and any failure that Postgres did not report.
 */
export function isRefused(error: unknown): boolean {
  return sqlState(error) !== undefined && classifyFault(error) !== 'unavailable';
}

/** Whether the database could not be reached in time. The driver's errors without an SQLSTATE mean that. */
function isConnectionError(error: unknown): boolean {
  for (let cause = error, depth = 0; cause instanceof Error && depth < 5; cause = cause.cause, depth += 1) {
    if (cause.name === 'NeonDbError' || cause instanceof ConnectionLost) return true;
  }
  return false;
}

/** Format of an SQLSTATE (Postgres manual, appendix A). The first character excludes system error codes such as `EPIPE`. */
const SQLSTATE = /^[0-9FHPX][0-9A-Z]{4}$/;

/** The SQLSTATE of a Postgres error, found through the wrappers of drivers. */
export function sqlState(error: unknown): string | undefined {
  for (let cause = error, depth = 0; cause instanceof Error && depth < 5; cause = cause.cause, depth += 1) {
    if ('code' in cause && typeof cause.code === 'string' && SQLSTATE.test(cause.code)) return cause.code;
  }
  return undefined;
}
