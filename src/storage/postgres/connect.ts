import { neon, neonConfig } from '@neondatabase/serverless';
import { drizzle, type NeonHttpClient, type NeonHttpDatabase } from 'drizzle-orm/neon-http';
import { Failure } from '../../platform/failure.ts';

export interface DatabaseTarget {
  readonly url: string;
  /** Another SQL-over-HTTP endpoint than Neon's own, as local development has it. */
  readonly endpoint: string | undefined;
}

/** How long a statement or a batch may take before its request gives up, in milliseconds. */
const QUERY_TIMEOUT_MS = 10_000;

/** A drizzle database over Neon's HTTP protocol: one round trip a statement or batch, no connection to keep. */
export function connect(target: DatabaseTarget): NeonHttpDatabase & { readonly $client: NeonHttpClient } {
  const { endpoint } = target;
  if (endpoint !== undefined) neonConfig.fetchEndpoint = () => endpoint;
  neonConfig.fetchFunction = (input: string, init: RequestInit) =>
    fetch(input, { ...init, signal: AbortSignal.timeout(QUERY_TIMEOUT_MS) });
  return drizzle(neon(target.url));
}

/** SQLSTATE classes in which the statement's own data is at fault: trying again cannot help. */
const DATA_FAULT_CLASSES = new Set(['22', '23']);

export type DatabaseFault = 'data' | 'unavailable' | 'bug';

/** What kind of error a query ended with: the data's fault, an outage that passes, or our own mistake. */
export function classifyFault(error: unknown): DatabaseFault {
  const state = sqlState(error);
  if (state === undefined) return 'unavailable';
  const stateClass = state.slice(0, 2);
  if (DATA_FAULT_CLASSES.has(stateClass)) return 'data';
  // 08 connection, 53 resources, 57 operator intervention, 40 rollback, 58 system, 55 not in the required state.
  return ['08', '53', '57', '40', '58', '55'].includes(stateClass) ? 'unavailable' : 'bug';
}

/** Text that Postgres cannot hold, such as NUL: character_not_in_repertoire, and in jsonb untranslatable_character. */
const TEXT_FAULTS: readonly (string | undefined)[] = ['22021', '22P05'];

/** Runs a query and turns an outage, or text that cannot be text, into a failure that a caller can act on. */
export async function guarded<T>(query: () => Promise<T>): Promise<T> {
  try {
    return await query();
  } catch (error) {
    if (error instanceof Failure) throw error;
    if (TEXT_FAULTS.includes(sqlState(error)))
      throw new Failure('invalid_request', 'NUL and unpaired surrogates cannot be stored.', { cause: error });
    if (classifyFault(error) !== 'unavailable') throw error;
    throw new Failure('database_unavailable', 'The database does not answer. Try again shortly.', {
      retryAfterS: 5,
      cause: error,
    });
  }
}

/** Whether a foreign key kept a row from being deleted: foreign_key_violation, or restrict_violation. */
export function isStillReferenced(error: unknown): boolean {
  return ['23503', '23001'].includes(sqlState(error) ?? '');
}

/** Whether a query was given up because it took too long, by us or by the database (query_canceled). */
export function isTimeout(error: unknown): boolean {
  if (sqlState(error) === '57014') return true;
  let cause = error;
  for (let depth = 0; cause instanceof Error && depth < 5; depth += 1) {
    if (cause.name === 'TimeoutError') return true;
    // The driver's own wrapper names what `fetch` threw otherwise than `cause`.
    cause = Reflect.get(cause, 'sourceError') ?? cause.cause;
  }
  return false;
}

/** The SQLSTATE of a Postgres error, found through the wrappers that drivers put around it. */
export function sqlState(error: unknown): string | undefined {
  for (let cause = error, depth = 0; cause instanceof Error && depth < 5; cause = cause.cause, depth += 1) {
    if ('code' in cause && typeof cause.code === 'string' && /^[0-9A-Z]{5}$/.test(cause.code))
      return cause.code;
  }
  return undefined;
}
