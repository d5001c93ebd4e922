import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { SqlBackend } from './backend.ts';
import { executeRequest, SqlHttpError, toErrorAnswer } from './protocol.ts';

/** The path that Neon's endpoint has. */
export const SQL_PATH = '/sql';

/** 64 MiB, Neon's own limit: what fits here has to fit there, and the body is held in memory as a whole. */
const REQUEST_BYTES_MAX = 64 * 1024 * 1024;

/**
 * Answers SQL-over-HTTP requests that carry `connectionString`. It sends no CORS headers and compares the
 * credentials before it reads a body: any page open in the developer's browser can reach a port on 127.0.0.1.
 */
export function sqlListener(
  connectionString: string,
  backend: Promise<SqlBackend>,
): (request: IncomingMessage, response: ServerResponse) => Promise<void> {
  return async (request, response) => {
    try {
      requireEndpoint(request);
      requireCredentials(request, connectionString);
      const body = await readBody(request);
      const answer = await executeRequest(await backend, request.headers, body);
      send(response, 200, answer.body, answer.headers);
    } catch (error) {
      const answer = toErrorAnswer(error);
      if (answer === undefined) console.error('The development database failed:', error);
      const failure = { message: 'the development database failed: see its log' };
      send(response, answer?.status ?? 500, answer?.body ?? failure);
    }
  };
}

function requireEndpoint(request: IncomingMessage): void {
  const path = request.url?.split('?', 1)[0];
  if (path !== SQL_PATH) throw new SqlHttpError(404, `no such path: SQL goes to POST ${SQL_PATH}`);
  if (request.method !== 'POST') throw new SqlHttpError(405, 'SQL goes by POST');
}

function requireCredentials(request: IncomingMessage, connectionString: string): void {
  const given = request.headers['neon-connection-string'];
  if (typeof given !== 'string') throw new SqlHttpError(400, 'invalid header: neon-connection-string');
  if (!URL.canParse(given)) throw new SqlHttpError(400, 'invalid connection string');
  const url = new URL(given);
  // The driver appends its application_name to whatever string it was given.
  url.search = '';
  if (!isSame(url.href, connectionString)) {
    throw new SqlHttpError(400, 'password authentication failed for the development database', '28P01');
  }
}

/** Compares by digest: equal lengths are what timingSafeEqual asks for. */
function isSame(given: string, expected: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(given), digest(expected));
}

/**
 * The body as text. A body over the limit is read to its end and dropped: an answer amid the upload would reach
 * the client as a broken connection. Node's request timeout ends an upload that never does.
 */
async function readBody(request: IncomingMessage): Promise<string> {
  let bytes = 0;
  let chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.byteLength;
    if (bytes <= REQUEST_BYTES_MAX) chunks.push(chunk);
    else chunks = [];
  }
  if (bytes > REQUEST_BYTES_MAX) {
    throw new SqlHttpError(413, `request is too large (max is ${REQUEST_BYTES_MAX} bytes)`);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function send(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Record<string, string> = {},
): void {
  const json = JSON.stringify(body);
  response.writeHead(status, {
    ...headers,
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(json),
  });
  response.end(json);
}
