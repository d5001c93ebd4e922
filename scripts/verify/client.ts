import { Agent, type IncomingHttpHeaders, request } from 'node:http';

/** Longer than anything that the worker may wait for: two leases of a gate and a statement's own limit. */
export const TIMEOUT_MS = 30_000;

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** The JSON of the body; undefined where it is empty, as with 204. */
  readonly body: unknown;
}

/** Why a request has no answer: its connection broke, was refused, or nothing came in time. */
export type NoAnswer = 'broken' | 'timeout';

const agent = new Agent({ keepAlive: true });

/** One request on a connection that is kept for the next. Of what breaks, nothing is known. */
export function ask(
  url: URL,
  init: { method?: string; headers: Readonly<Record<string, string>>; body?: string | Uint8Array },
): Promise<Answer | NoAnswer> {
  const { promise, resolve } = Promise.withResolvers<Answer | NoAnswer>();
  const { method = 'GET', headers, body } = init;
  const sent = request(url, { agent, method, headers, timeout: TIMEOUT_MS }, (response) => {
    const chunks: Buffer[] = [];
    response.on('data', (chunk: Buffer) => chunks.push(chunk));
    response.on('error', () => resolve('broken'));
    response.on('end', () => {
      try {
        const text = Buffer.concat(chunks).toString('utf8');
        const body: unknown = text === '' ? undefined : JSON.parse(text);
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body });
      } catch {
        // Cut off in the middle, or a page of the runtime's own.
        resolve('broken');
      }
    });
  });
  sent.on('timeout', () => {
    resolve('timeout');
    sent.destroy();
  });
  sent.on('error', () => resolve('broken'));
  sent.end(body);
  return promise;
}

/** A header that is sent once. */
export function headerOf({ headers }: Answer, name: string): string | undefined {
  const value = headers[name];
  return typeof value === 'string' ? value : undefined;
}

/** A token as the judge knows it; undefined where the answer has none. */
export function tokenOf(answer: Answer): { text: string; epoch: string; seq: number } | undefined {
  const text = headerOf(answer, 'millrace-token');
  if (text === undefined) return undefined;
  const dot = text.lastIndexOf('.');
  return { text, epoch: text.slice(0, dot), seq: Number(text.slice(dot + 1)) };
}
