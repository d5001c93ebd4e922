import {
  Agent,
  createServer,
  type IncomingMessage,
  request,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** What befalls a statement on its way, by its share of all; the rest pass at once. */
const FATES: readonly { readonly fate: Fate; readonly share: number }[] = [
  // The answer is old before it arrives: what a stamp taken too late would store as new.
  { fate: 'answer-late', share: 0.03 },
  { fate: 'arrive-late', share: 0.01 },
  { fate: 'refused', share: 0.01 },
  // The statement was executed, and its answer is lost.
  { fate: 'answer-lost', share: 0.005 },
];
type Fate = 'passes' | 'answer-late' | 'arrive-late' | 'refused' | 'answer-lost';

/** How late, in milliseconds: mostly tens, at times seconds, beyond the bound of a bounded read. */
const DELAY_MS_MAX = 3_000;
/** Every so often nothing passes at all, for a while; in milliseconds. */
const OUTAGE_EVERY_MS = 15_000;
const OUTAGE_MS = 1_000;

/** A way to a database's HTTP endpoint on which statements are delayed, refused, or done without an answer. */
export interface UnreliableProxy {
  readonly endpoint: string;
  /** From now on everything passes. */
  calm(): void;
  readonly fates: ReadonlyMap<string, number>;
  close(): Promise<void>;
}

export async function startUnreliableProxy(target: string): Promise<UnreliableProxy> {
  const agent = new Agent({ keepAlive: true });
  const fates = new Map<string, number>();
  const startedAt = performance.now();
  let calm = false;
  const server = createServer((incoming, outgoing) => {
    const outage = (performance.now() - startedAt) % OUTAGE_EVERY_MS > OUTAGE_EVERY_MS - OUTAGE_MS;
    const fate = calm ? 'passes' : outage ? 'refused' : drawFate();
    fates.set(fate, (fates.get(fate) ?? 0) + 1);
    void pass(fate, incoming, outgoing, { target, agent }).catch(() => outgoing.destroy());
  });
  server.keepAliveTimeout = 120_000;
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()));
  return {
    endpoint: `http://127.0.0.1:${portOf(server)}${new URL(target).pathname}`,
    calm: () => {
      calm = true;
    },
    fates,
    close: async () => {
      agent.destroy();
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

function portOf(server: Server): number {
  const address: AddressInfo | string | null = server.address();
  if (address === null || typeof address === 'string') throw new Error('The proxy has no port.');
  return address.port;
}

function drawFate(): Fate {
  let rest = Math.random();
  for (const { fate, share } of FATES) {
    rest -= share;
    if (rest < 0) return fate;
  }
  return 'passes';
}

async function pass(
  fate: Fate,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  to: { target: string; agent: Agent },
): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming as AsyncIterable<Buffer>) chunks.push(chunk);
  if (fate === 'refused') {
    outgoing.writeHead(503, { 'content-type': 'application/json' }).end('{"message":"refused on the way"}');
    return;
  }
  // The cube makes most delays short.
  const delayMs = DELAY_MS_MAX * Math.random() ** 3;
  if (fate === 'arrive-late') await sleep(delayMs);
  // A statement of a caller that is gone ends here, as it would with the connection.
  if (outgoing.destroyed || incoming.socket.destroyed) return;
  const answer = await forward(incoming, Buffer.concat(chunks), to);
  if (fate === 'answer-late') await sleep(delayMs);
  if (fate === 'answer-lost') {
    outgoing.destroy();
    return;
  }
  outgoing.writeHead(answer.status, answer.headers).end(answer.body);
}

function forward(
  { headers, method }: IncomingMessage,
  body: Buffer,
  { target, agent }: { target: string; agent: Agent },
): Promise<{ status: number; headers: Record<string, string>; body: Buffer }> {
  const { promise, resolve, reject } = Promise.withResolvers<{
    status: number;
    headers: Record<string, string>;
    body: Buffer;
  }>();
  const { host: _host, 'transfer-encoding': _encoding, connection: _connection, ...others } = headers;
  const passed = { ...others, 'content-length': String(body.byteLength) };
  const sent = request(target, { agent, method: method ?? 'POST', headers: passed }, (response) => {
    const chunks: Buffer[] = [];
    response.on('data', (chunk: Buffer) => chunks.push(chunk));
    response.on('error', reject);
    response.on('end', () => {
      const type = response.headers['content-type'] ?? 'application/json';
      resolve({
        status: response.statusCode ?? 500,
        headers: { 'content-type': type },
        body: Buffer.concat(chunks),
      });
    });
  });
  sent.on('error', reject);
  sent.end(body);
  return promise;
}
