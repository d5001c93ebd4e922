import { execFile, execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import * as z from 'zod';
import { systemNow } from '../../src/platform/clock.ts';
import { seededRandom } from '../../src/platform/random.ts';
import { zipf } from './zipf.ts';

/** One second of a round. */
export interface Second {
  /** Those that began in it. */
  readonly requests: number;
  /** CPU time of the server's process a request, as in `Round`. */
  readonly cpuMicrosPerRequest: number;
}

/** What one round of load brought. */
export interface Round {
  readonly requestsPerSecond: number;
  /** CPU time of the server's process a request, in microseconds; NaN where the system does not tell. */
  readonly cpuMicrosPerRequest: number;
  /** The share of the round in which the server's main thread was ready to run and waited for a core; NaN likewise. */
  readonly waitedShare: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Each whole second of the round. The first and the last second are not whole and are omitted. */
  readonly seconds: readonly Second[];
}

export interface Target {
  /** Of the path before the rank of the key. */
  readonly url: URL;
  /** How many keys are requested, by Zipf's law; 0 for the path alone. */
  readonly keys: number;
  /** The API key that each request carries; absent: none. */
  readonly apiKey?: string;
  /** The server's process, for its CPU time. */
  readonly pid: number;
}

export interface Load {
  readonly connections: number;
  readonly seconds: number;
  readonly seed: number;
}

export type Generator = (target: Target, load: Load) => Promise<Round>;

/** The exponent of Zipf's law. 1 is the law itself, and near what is measured of web traffic. */
export const ZIPF_EXPONENT = 1;
const CLOCK_TICKS_PER_SECOND = 100;

/**
 * The program that drives: wrk where it is installed, because a generator in Node takes so much CPU that it slows
 * the server down; its name is part of every result.
 */
export function generator(hasWrk = isWrkInstalled()): { readonly name: string; readonly drive: Generator } {
  return hasWrk
    ? { name: 'wrk', drive: measured(driveByWrk) }
    : {
        name: "this bench's own generator in Node, which inflates the floor: install wrk",
        drive: measured(driveByNode),
      };
}

interface Driven extends Pick<Round, 'p50Ms' | 'p99Ms'> {
  readonly requests: number;
  readonly elapsedS: number;
  /** Start of the first whole second, in seconds since the Unix epoch. */
  readonly since: number;
  readonly wholeSeconds: readonly number[];
}

function measured(drive: (target: Target, load: Load) => Promise<Driven>): Generator {
  return async (target, load) => {
    const cpuBefore = cpuSeconds(target.pid);
    const waitBefore = waitSeconds(target.pid);
    const samples = sampleCpu(target.pid);
    const { requests, elapsedS, p50Ms, p99Ms, since, wholeSeconds } = await drive(target, load);
    const cpuAt = samples.stop();
    const cpuS = cpuSeconds(target.pid) - cpuBefore;
    const seconds = wholeSeconds.map((begun, index) => ({
      requests: begun,
      cpuMicrosPerRequest: ((cpuAt(since + index + 1) - cpuAt(since + index)) * 1_000_000) / begun,
    }));
    return {
      ...{ p50Ms, p99Ms, seconds },
      requestsPerSecond: requests / elapsedS,
      cpuMicrosPerRequest: (cpuS * 1_000_000) / requests,
      waitedShare: (waitSeconds(target.pid) - waitBefore) / elapsedS,
    };
  };
}

export function isWrkInstalled(): boolean {
  try {
    execFileSync('which', ['wrk'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

const WrkResult = z.object({
  requests: z.int(),
  durationUs: z.number(),
  failed: z.int(),
  p50Us: z.number(),
  p99Us: z.number(),
  since: z.int(),
  seconds: z.string(),
});

async function driveByWrk(
  { url, keys, apiKey }: Target,
  { connections, seconds, seed }: Load,
): Promise<Driven> {
  const script = join(import.meta.dirname, 'zipf.lua');
  const { stdout } = await promisify(execFile)('wrk', [
    ...[
      '--threads',
      '1',
      '--connections',
      String(connections),
      '--duration',
      `${seconds}s`,
      '--script',
      script,
    ],
    ...[url.origin, '--', url.pathname, String(keys), String(ZIPF_EXPONENT), String(seed)],
    ...(apiKey === undefined ? [] : [apiKey]),
  ]);
  const line = /^RESULT (.*)$/m.exec(stdout)?.[1];
  if (line === undefined) throw new Error(`wrk printed no result: ${stdout}`);
  const result = WrkResult.parse(JSON.parse(line));
  if (result.failed > 0) throw new Error(`${result.failed} requests failed: ${stdout}`);
  return {
    requests: result.requests,
    elapsedS: result.durationUs / 1_000_000,
    p50Ms: result.p50Us / 1_000,
    p99Ms: result.p99Us / 1_000,
    since: result.since + 1,
    wholeSeconds: result.seconds.trim().split(' ').slice(1).map(Number),
  };
}

/** Keeps `connections` bare sockets busy with one request after the other. Answers other than 200 end it. */
async function driveByNode(
  { url, keys, apiKey }: Target,
  { connections, seconds, seed }: Load,
): Promise<Driven> {
  const draw = keys === 0 ? () => '' : zipf(keys, ZIPF_EXPONENT, seededRandom(seed));
  const authorization = apiKey === undefined ? '' : `authorization: Bearer ${apiKey}\r\n`;
  const startedAt = performance.now();
  const until = startedAt + seconds * 1_000;
  const tookMs: number[] = [];
  const begun = new Map<number, number>();
  const next = () => {
    const second = Math.floor(systemNow() / 1_000);
    begun.set(second, (begun.get(second) ?? 0) + 1);
    return `GET ${url.pathname}${draw()} HTTP/1.1\r\nhost: ${url.host}\r\n${authorization}\r\n`;
  };
  await Promise.all(Array.from({ length: connections }, () => keepBusy(url, next, until, tookMs)));
  tookMs.sort((a, b) => a - b);
  const quantile = (share: number) => tookMs[Math.floor(tookMs.length * share)] ?? Number.NaN;
  return {
    requests: tookMs.length,
    elapsedS: (performance.now() - startedAt) / 1_000,
    p50Ms: quantile(0.5),
    p99Ms: quantile(0.99),
    since: Math.min(...begun.keys()) + 1,
    wholeSeconds: [...begun.values()].slice(1, -1),
  };
}

async function keepBusy(url: URL, next: () => string, until: number, tookMs: number[]): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const socket = connect(Number(url.port), url.hostname);
  let buffered = '';
  let sentAt = 0;
  const send = () => {
    sentAt = performance.now();
    socket.write(next());
  };
  socket.setNoDelay(true);
  socket.setEncoding('latin1');
  socket.on('connect', send);
  socket.on('error', reject);
  socket.on('close', () => reject(new Error('The server closed a connection.')));
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
    tookMs.push(performance.now() - sentAt);
    if (performance.now() < until) send();
    else {
      resolve();
      socket.end();
    }
  });
  await promise;
}

const SAMPLE_MS = 100;

/** CPU time of a process over the time of day, in seconds, between two samples in a straight line. */
function sampleCpu(pid: number): { stop(): (atS: number) => number } {
  const samples: { readonly atS: number; readonly cpuS: number }[] = [];
  const sample = () => samples.push({ atS: systemNow() / 1_000, cpuS: cpuSeconds(pid) });
  sample();
  const timer = setInterval(sample, SAMPLE_MS);
  return {
    stop: () => {
      clearInterval(timer);
      sample();
      return (atS) => {
        const after = samples.findIndex((candidate) => candidate.atS >= atS);
        const [from, to] = [samples[after - 1], samples[after]];
        if (from === undefined || to === undefined) return Number.NaN;
        return from.cpuS + ((to.cpuS - from.cpuS) * (atS - from.atS)) / (to.atS - from.atS);
      };
    },
  };
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

/** How long a process's main thread has waited on a run queue, in seconds: the second field of `schedstat`, in ns. */
function waitSeconds(pid: number): number {
  try {
    return Number(readFileSync(`/proc/${pid}/schedstat`, 'utf8').split(' ')[1]) / 1_000_000_000;
  } catch {
    return Number.NaN;
  }
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}
