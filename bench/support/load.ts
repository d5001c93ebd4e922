import { readFileSync } from 'node:fs';
import { connect } from 'node:net';

/** What one round of load brought. */
export interface Round {
  readonly requestsPerSecond: number;
  /** CPU time of the server's process a request, in microseconds; NaN where the system does not tell. */
  readonly cpuMicrosPerRequest: number;
}

export interface Target {
  readonly url: URL;
  readonly headers?: Readonly<Record<string, string>>;
  /** The server's process, for its CPU time. */
  readonly pid: number;
}

const CLOCK_TICKS_PER_SECOND = 100;

/**
 * Keeps `connections` sockets busy with one request after the other for `seconds`. Written on bare sockets,
 * because an HTTP client of Node costs more CPU than the server that is measured. Answers other than 200 end it.
 */
export async function load(target: Target, connections: number, seconds: number): Promise<Round> {
  const { url, headers = {}, pid } = target;
  const lines = Object.entries({ host: url.host, connection: 'keep-alive', ...headers });
  const request = `GET ${url.pathname}${url.search} HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`;
  const startedAt = performance.now();
  const cpuBefore = cpuSeconds(pid);
  const until = startedAt + seconds * 1_000;
  const counts = await Promise.all(Array.from({ length: connections }, () => keepBusy(url, request, until)));
  const requests = counts.reduce((sum, count) => sum + count, 0);
  const elapsed = (performance.now() - startedAt) / 1_000;
  return {
    requestsPerSecond: requests / elapsed,
    cpuMicrosPerRequest: ((cpuSeconds(pid) - cpuBefore) * 1_000_000) / requests,
  };
}

async function keepBusy(url: URL, request: string, until: number): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const socket = connect(Number(url.port), url.hostname);
  let buffered = '';
  let requests = 0;
  socket.setNoDelay(true);
  socket.setEncoding('latin1');
  socket.on('connect', () => socket.write(request));
  socket.on('error', reject);
  socket.on('data', (chunk: string) => {
    buffered += chunk;
    const end = buffered.indexOf('\r\n\r\n');
    if (end < 0) return;
    const length = Number(/content-length: (\d+)/i.exec(buffered)?.[1] ?? 'NaN');
    if (Number.isNaN(length) || !buffered.startsWith('HTTP/1.1 200')) {
      socket.destroy();
      reject(new Error(`Not a plain answer: ${buffered.slice(0, 300)}`));
      return;
    }
    if (buffered.length < end + 4 + length) return;
    buffered = '';
    requests += 1;
    if (performance.now() < until) socket.write(request);
    else {
      socket.end();
      resolve(requests);
    }
  });
  return await promise;
}

/** User and system time that a process has used, in seconds. */
export function cpuSeconds(pid: number): number {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
    return (Number(fields[11]) + Number(fields[12])) / CLOCK_TICKS_PER_SECOND;
  } catch {
    return Number.NaN;
  }
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}
