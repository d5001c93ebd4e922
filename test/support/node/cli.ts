import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { KEY, type Stack } from './stack.ts';

/**
 * Hands requests on to the stack, which has no address of its own for another process.
 *
 * @param lets asked before a request is handed on and before its answer is; where it is false, the caller gets no answer.
 */
export async function gateTo(
  stack: Stack,
  lets: (path: string, when: 'before' | 'after') => boolean = () => true,
): Promise<{ readonly url: string; readonly close: () => void }> {
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const path = request.url ?? '/';
    if (!lets(path, 'before')) return void response.destroy();
    const answer = await stack.fetch(path, {
      method: request.method ?? 'GET',
      headers: { authorization: request.headers.authorization ?? '', 'content-type': 'application/json' },
      ...(request.method === 'POST' ? { body: Buffer.concat(chunks).toString() } : {}),
    });
    if (!lets(path, 'after')) return void response.destroy();
    response.writeHead(answer.status, { 'content-type': 'application/json' }).end(await answer.text());
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, close: () => server.close() };
}

/** `npm run cli` in a process of its own; `ended` has what it wrote and its exit code. */
export function startCli(
  url: string,
  ...args: string[]
): { child: ChildProcess; ended: Promise<{ text: string; code: unknown }> } {
  const child = spawn(process.execPath, ['scripts/cli.ts', ...args, '--url', url, '--key', KEY]);
  let text = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => {
      text += chunk.toString('utf8');
    });
  return { child, ended: once(child, 'close').then(([code]: unknown[]) => ({ text, code })) };
}
