import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import type { ClientSystem } from '../../../src/client/index.ts';

/** A request as the server received it. */
export interface Received {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** Answers one request, or leaves it open. */
export type Script = (response: ServerResponse, request: Received) => void;

/** A server that answers its requests by the scripts, in their order; the last script answers all that follow. */
export async function scriptedServer(...scripts: Script[]) {
  const received: Received[] = [];
  const server = createServer(async (request, response) => {
    const { method = '', url = '', headers } = request;
    // An aborted upload has no body to look at.
    const body = await buffer(request).catch(() => Buffer.alloc(0));
    const script = scripts[Math.min(received.length, scripts.length - 1)];
    const one = { method, url, headers, body };
    received.push(one);
    script?.(response, one);
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    received,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

export function json(body: unknown, headers: Readonly<Record<string, string>> = {}, status = 200): Script {
  return (response) =>
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
}

export function problem(
  status: number,
  code: string,
  headers: Readonly<Record<string, string>> = {},
): Script {
  return (response) =>
    response
      .writeHead(status, { 'content-type': 'application/problem+json', ...headers })
      .end(
        JSON.stringify({ type: 'urn:x', title: 'x', status, code, detail: 'The reason.', requestId: 'r1' }),
      );
}

export const silence: Script = () => undefined;
/** Ends the connection without an answer. */
export const cut: Script = (response) => response.destroy();

/** The waits between attempts pass at once, on a clock of their own, and are recorded. */
export function quick(): { system: Partial<ClientSystem>; waits: number[] } {
  const waits: number[] = [];
  let waited = 0;
  const sleep = async (ms: number) => {
    waits.push(ms);
    waited += ms;
  };
  return { waits, system: { sleep, random: () => 0.5, now: () => performance.now() + waited } };
}
