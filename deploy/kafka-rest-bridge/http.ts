import { createHash, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { RequestError } from './errors.ts';
import { BODY_BYTES_MAX, REQUESTS_MAX } from './limits.ts';
import { parseRequest } from './protocol.ts';
import { utf8 } from './received.ts';
import type { Answer, Service } from './service.ts';

/** The longest time that a whole request may take to arrive, in milliseconds. */
const RECEIVE_MS_MAX = 30_000;
/** Longer than a client's pause between long polls, so that it can keep its connection. */
const KEEP_ALIVE_MS = 75_000;

export interface Credentials {
  username: string;
  password: string;
}

/** The HTTP server: Basic auth, bodies, JSON answers, and detection of callers who disconnect before the answer. */
export function createBridgeServer(options: {
  service: Service;
  credentials: Credentials;
  /** Aborted when the bridge stops: waiting requests are then answered at once. */
  stopping: AbortSignal;
  report: (line: string) => void;
}): Server {
  const isAllowed = basicAuth(options.credentials);
  let underWay = 0;
  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    if (options.stopping.aborted) response.setHeader('connection', 'close');
    if (request.url === '/health') return send(response, 200, { status: 'ok' });
    const gone = new AbortController();
    response.on('close', () => gone.abort());
    underWay += 1;
    try {
      if (!isAllowed(request.headers.authorization)) {
        response.setHeader('www-authenticate', 'Basic realm="kafka", charset="UTF-8"');
        throw new RequestError(401, 'The username or password is wrong.');
      }
      if (underWay > REQUESTS_MAX) throw new RequestError(503, `${REQUESTS_MAX} requests are under way.`);
      const command = parseRequest({
        method: request.method ?? 'GET',
        target: request.url ?? '/',
        headers: request.headers,
        body: await readBody(request),
      });
      const answer = await options.service.execute(command, AbortSignal.any([gone.signal, options.stopping]));
      deliver(response, answer);
    } catch (error) {
      refuse(response, error, options.report);
    } finally {
      underWay -= 1;
    }
  };
  const server = createServer((request, response) => void handle(request, response));
  server.requestTimeout = RECEIVE_MS_MAX;
  server.keepAliveTimeout = KEEP_ALIVE_MS;
  return server;
}

/** Messages count as delivered once the whole answer was handed to the connection. */
function deliver(response: ServerResponse, { body, delivery }: Answer): void {
  if (delivery !== undefined && response.destroyed) {
    delivery.rollback();
    return;
  }
  response.once('close', () => (response.writableFinished ? delivery?.confirm() : delivery?.rollback()));
  send(response, 200, body);
}

function refuse(response: ServerResponse, error: unknown, report: (line: string) => void): void {
  if (error instanceof RequestError) {
    // The unread rest of a body would be parsed as the next request.
    if (error.status === 413 && !response.headersSent) response.setHeader('connection', 'close');
    send(response, error.status, { error: error.message, status: error.status });
    return;
  }
  report(error instanceof Error ? (error.stack ?? error.message) : String(error));
  send(response, 500, { error: 'The bridge has failed; its log says why.', status: 500 });
}

function send(response: ServerResponse, status: number, body: unknown): void {
  if (response.destroyed || response.headersSent) return;
  const text = Buffer.from(JSON.stringify(body));
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': text.length });
  response.end(text);
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of request as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > BODY_BYTES_MAX) break;
      chunks.push(chunk);
    }
  } catch {
    throw new RequestError(400, 'The request was not received whole.');
  }
  if (bytes > BODY_BYTES_MAX) throw new RequestError(413, `A body has ${BODY_BYTES_MAX} bytes at most.`);
  const text = utf8(Buffer.concat(chunks));
  if (text === undefined) throw new RequestError(400, 'The body is not UTF-8.');
  return text;
}

/** Compares digests, so that the duration reveals neither how much of the secret is right nor its length. */
function basicAuth({ username, password }: Credentials): (header: string | undefined) => boolean {
  const digest = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest();
  const expected = digest(Buffer.from(`${username}:${password}`));
  return (header) => {
    const encoded = /^basic ([A-Za-z0-9+/=]+)$/i.exec(header ?? '')?.[1] ?? '';
    return timingSafeEqual(digest(Buffer.from(encoded, 'base64')), expected);
  };
}
