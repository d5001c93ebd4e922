import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';

/** A way to a server of HTTP that can be closed: connections are then refused, as those to a dead process are. */
export interface Gate {
  readonly url: string;
  close(): Promise<void>;
  open(): Promise<void>;
}

export async function gateTo(target: string): Promise<Gate> {
  let server: Server | undefined = await listening(target, 0);
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}${new URL(target).pathname}`,
    close: async () => {
      const closing = server;
      server = undefined;
      closing?.closeAllConnections();
      if (closing !== undefined) await new Promise((resolve) => closing.close(resolve));
    },
    open: async () => {
      server ??= await listening(target, port);
    },
  };
}

async function listening(target: string, port: number): Promise<Server> {
  const server = createServer(async (request, response) => {
    try {
      const { host: _, connection: __, 'content-length': ___, ...headers } = request.headers;
      const answer = await fetch(target, {
        method: request.method ?? 'POST',
        headers: headers as Record<string, string>,
        body: await buffer(request),
      });
      const { status } = answer;
      response.writeHead(status, {
        'content-type': answer.headers.get('content-type') ?? 'application/json',
      });
      response.end(Buffer.from(await answer.arrayBuffer()));
    } catch {
      response.destroy();
    }
  });
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(port, '127.0.0.1', resolve);
  await promise;
  return server;
}
