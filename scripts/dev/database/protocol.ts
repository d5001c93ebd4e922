import type { IncomingHttpHeaders } from 'node:http';
import { z } from 'zod';
import type { SqlBackend, Statement, TextResult } from './backend.ts';
import { decodeValue, encodeParameter } from './values.ts';

/**
 * Neon's SQL-over-HTTP protocol, as `@neondatabase/serverless` 1.2.0 speaks it and as Neon's proxy answers it
 * (neondatabase/neon, proxy/src/serverless).
 */

/** 64 MiB of values in a response, as at Neon: a query that is too wide there has to fail here as well. */
const RESPONSE_BYTES_MAX = 64 * 1024 * 1024;

/** Postgres counts the parameters of a statement in 16 bits. */
const PARAMS_MAX = 65_535;

const statementSchema = z.object({
  query: z.string(),
  params: z
    .array(z.json())
    .max(PARAMS_MAX)
    .default(() => []),
  arrayMode: z.boolean().nullish(),
});
const batchSchema = z.object({ queries: z.array(statementSchema) });

/** An answer that is not a result: an HTTP status with Neon's error body. */
export class SqlHttpError extends Error {
  readonly status: number;
  readonly code: string | null;

  constructor(status: number, message: string, code: string | null = null) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

const ISOLATION_LEVELS: Readonly<Record<string, string>> = {
  ReadUncommitted: 'ISOLATION LEVEL READ UNCOMMITTED',
  ReadCommitted: 'ISOLATION LEVEL READ COMMITTED',
  RepeatableRead: 'ISOLATION LEVEL REPEATABLE READ',
  Serializable: 'ISOLATION LEVEL SERIALIZABLE',
};

/** The headers that say how a batch runs; Neon sends those that took effect back. */
const BATCH_HEADERS = [
  'neon-batch-isolation-level',
  'neon-batch-read-only',
  'neon-batch-deferrable',
] as const;

/** Runs a request's statements and gives the body and the headers of the answer. */
export async function executeRequest(
  backend: SqlBackend,
  headers: IncomingHttpHeaders,
  body: string,
): Promise<{ headers: Record<string, string>; body: unknown }> {
  const json = parseJson(body);
  const check = responseBudget();
  if (typeof json === 'object' && json !== null && 'queries' in json) {
    const { queries } = parseBody(batchSchema, json);
    const results = await backend.batch(queries.map(toStatement), transactionModes(headers), check);
    const answers = results.map((result, index) => toAnswer(result, headers, queries[index]?.arrayMode));
    return { headers: batchHeaders(headers), body: { results: answers } };
  }
  const query = parseBody(statementSchema, json);
  return {
    headers: {},
    body: toAnswer(await backend.query(toStatement(query), check), headers, query.arrayMode),
  };
}

function parseJson(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    throw new SqlHttpError(400, 'could not parse the HTTP request body: it is not JSON');
  }
}

function parseBody<T>(schema: z.ZodType<T>, json: unknown): T {
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  throw new SqlHttpError(400, `could not parse the HTTP request body: ${z.prettifyError(parsed.error)}`);
}

function toStatement({ query, params }: z.infer<typeof statementSchema>): Statement {
  return { text: query, params: params.map(encodeParameter) };
}

/** The modes for SET TRANSACTION; empty when the headers ask for none. */
function transactionModes(headers: IncomingHttpHeaders): string {
  const modes: string[] = [];
  const level = headers['neon-batch-isolation-level'];
  if (level !== undefined) {
    const mode = typeof level === 'string' ? ISOLATION_LEVELS[level] : undefined;
    if (mode === undefined) throw new SqlHttpError(400, 'invalid isolation level');
    modes.push(mode);
  }
  if (headers['neon-batch-read-only'] === 'true') modes.push('READ ONLY');
  if (headers['neon-batch-deferrable'] === 'true') modes.push('DEFERRABLE');
  return modes.join(', ');
}

function batchHeaders(headers: IncomingHttpHeaders): Record<string, string> {
  const answered: Record<string, string> = {};
  for (const name of BATCH_HEADERS) {
    const value = headers[name];
    if (typeof value === 'string' && value !== 'false') answered[name] = value;
  }
  return answered;
}

/** A check that throws once the results of one request hold more than the response may. */
function responseBudget(): (result: TextResult) => void {
  let bytes = 0;
  return ({ rows }) => {
    for (const row of rows) {
      for (const value of row) bytes += value === null ? 0 : Buffer.byteLength(value);
    }
    if (bytes > RESPONSE_BYTES_MAX) {
      throw new SqlHttpError(507, `response is too large (max is ${RESPONSE_BYTES_MAX} bytes)`);
    }
  };
}

function toAnswer(
  result: TextResult,
  headers: IncomingHttpHeaders,
  arrayMode: boolean | null | undefined,
): unknown {
  const { command, rowCount, fields } = result;
  const rowAsArray = arrayMode ?? headers['neon-array-mode'] === 'true';
  const isRawText = headers['neon-raw-text-output'] === 'true';
  const rows = result.rows.map((row) => {
    const values = isRawText
      ? row
      : row.map((value, index) => decodeValue(value, fields[index]?.dataTypeID ?? 0));
    return rowAsArray ? values : Object.fromEntries(fields.map(({ name }, index) => [name, values[index]]));
  });
  return { command, rowCount, fields, rows, rowAsArray };
}

/** The fields of a Postgres error that the driver copies into its own, besides the message. */
const ERROR_FIELDS = [
  'severity',
  'code',
  'detail',
  'hint',
  'position',
  'internalPosition',
  'internalQuery',
  'where',
  'schema',
  'table',
  'column',
  'dataType',
  'constraint',
  'file',
  'line',
  'routine',
] as const;

/** The status and body for an error, or undefined for one that neither the request nor the database explains. */
export function toErrorAnswer(error: unknown): { status: number; body: unknown } | undefined {
  if (error instanceof SqlHttpError) {
    return { status: error.status, body: { message: error.message, code: error.code } };
  }
  // Both client libraries set the severity on errors that Postgres sent, and on no others.
  if (!(error instanceof Error) || !('severity' in error) || error.severity === undefined) return undefined;
  const given: Partial<Record<(typeof ERROR_FIELDS)[number], unknown>> = error;
  const fields = Object.fromEntries(ERROR_FIELDS.map((name) => [name, given[name] ?? null]));
  return { status: 400, body: { message: error.message, ...fields } };
}
