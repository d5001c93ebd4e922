import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** One answer: when the read began, by this process's clock in milliseconds, and the version it told. */
type Listener = (connection: number, beganAtMs: number, version: number) => void;

/**
 * Reads one product without end from many connections, each one read after the other with a short pause. The
 * product's price is its version. Any answer that is not a plain 200 ends the bench.
 */
export class ProductReaders {
  readonly #sockets: Socket[] = [];
  readonly #listeners = new Set<Listener>();
  readonly failed: Promise<never>;
  #fail: (error: Error) => void;
  reads = 0;

  constructor(url: URL, connections: number, pauseMs: number) {
    const { promise, reject } = Promise.withResolvers<never>();
    this.failed = promise;
    this.#fail = reject;
    // The caller that races with this promise handles the failure; this handler only keeps it from being unhandled.
    promise.catch(() => undefined);
    for (let connection = 0; connection < connections; connection += 1) this.#start(url, connection, pauseMs);
  }

  onAnswer(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  stop(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  #start(url: URL, connection: number, pauseMs: number): void {
    const request = `GET ${url.pathname} HTTP/1.1\r\nhost: ${url.host}\r\nconnection: keep-alive\r\n\r\n`;
    const socket = connect(Number(url.port), url.hostname);
    this.#sockets.push(socket);
    socket.setNoDelay(true);
    socket.setEncoding('latin1');
    let buffered = '';
    let beganAtMs = 0;
    const next = () => {
      buffered = '';
      beganAtMs = performance.now();
      socket.write(request);
    };
    socket.on('connect', next);
    socket.on('error', this.#fail);
    socket.on('data', (chunk: string) => {
      buffered += chunk;
      const version = versionOf(buffered);
      if (version === undefined) return;
      if (Number.isNaN(version)) {
        socket.destroy();
        this.#fail(new Error(`Not a product: ${buffered.slice(0, 400)}`));
        return;
      }
      this.reads += 1;
      for (const listener of this.#listeners) listener(connection, beganAtMs, version);
      void sleep(pauseMs).then(() => !socket.destroyed && next());
    });
  }
}

/** Undefined while the answer is incomplete, NaN where it is not what was asked for. */
function versionOf(answer: string): number | undefined {
  const end = answer.indexOf('\r\n\r\n');
  if (end < 0) return undefined;
  if (!answer.startsWith('HTTP/1.1 200')) return Number.NaN;
  const length = Number(/content-length: (\d+)/i.exec(answer)?.[1] ?? 'NaN');
  if (answer.length < end + 4 + length) return undefined;
  return Number(/"unitPrice":([\d.]+)/.exec(answer.slice(end))?.[1] ?? 'NaN');
}
