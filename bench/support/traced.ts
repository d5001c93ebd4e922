import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Generator, median, type Round } from './load.ts';
import { fillAhead, productServer } from './product-server.ts';

const CONNECTIONS = 32;
const ROUND_SECONDS = 3;

/** What tracing costs a warm hit: workers without it, with it and no trace kept, and with one in a hundred kept, in turns. */
export async function printTraced(
  drive: Generator,
  { keys, rounds }: { readonly keys: number; readonly rounds: number },
): Promise<void> {
  const receiver = createServer((request, response) => {
    request.resume();
    request.on('end', () => response.end());
  });
  receiver.listen(0, '127.0.0.1');
  await once(receiver, 'listening');
  const { port } = receiver.address() as AddressInfo;
  const tracedBy = (share: string) => ({
    OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}`,
    OTEL_TRACES_SAMPLER_ARG: share,
  });
  const kinds = [
    ['without tracing', {}],
    ['no trace kept', tracedBy('0')],
    ['one in 100 kept', tracedBy('0.01')],
  ] as const;
  const servers: Awaited<ReturnType<typeof productServer>>[] = [];
  try {
    for (const [, vars] of kinds)
      servers.push(
        await productServer('bench/tiers-worker.ts', keys, ['--define', 'TIERS:["memory"]'], vars),
      );
    for (const { url } of servers) await fillAhead(url, keys);
    const turns: Round[][] = [];
    for (let turn = 0; turn <= rounds; turn += 1) {
      const round: Round[] = [];
      for (const server of servers) {
        const load = { connections: CONNECTIONS, seconds: ROUND_SECONDS, seed: turn };
        round.push(await drive({ ...server, keys }, load));
      }
      // The first turn is not counted: the runtime compiles in it.
      if (turn > 0) turns.push(round);
    }
    for (const [at, [name]] of kinds.entries()) {
      const cpu = turns.map((round) => round[at]?.cpuMicrosPerRequest ?? Number.NaN);
      const ratio = turns.map(
        (round) =>
          (round[at]?.cpuMicrosPerRequest ?? Number.NaN) / (round[0]?.cpuMicrosPerRequest ?? Number.NaN),
      );
      const perSecond = turns.map((round) => round[at]?.requestsPerSecond ?? Number.NaN);
      console.log(
        `${name.padEnd(18)}${median(cpu).toFixed(1).padStart(8)} µs CPU a request, ${median(ratio).toFixed(3)} of the first; ${median(perSecond).toFixed(0)} requests/s`,
      );
    }
  } finally {
    for (const server of servers) await server.stop();
    receiver.close();
  }
}
