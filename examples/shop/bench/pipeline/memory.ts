import { readFileSync } from 'node:fs';
import * as z from 'zod';
import { median } from '../../../../bench/support/load.ts';
import { runtimePids } from '../../../../bench/support/runtime.ts';

const MB = 1024 * 1024;
const PAGE_BYTES = 4_096;
const SAMPLE_MS = 1_000;

const Targets = z.array(z.object({ id: z.string(), webSocketDebuggerUrl: z.string() }));
const Answer = z.object({
  id: z.int(),
  result: z.object({ usedSize: z.number(), backingStorageSize: z.number() }),
});

/**
 * Once a second the heap of the worker's isolate, in which its objects live too, and the resident memory of the
 * runtime's process, which has the local platform's own parts beside: the queues with what waits in them, the proxies,
 * SQLite's caches.
 */
export async function watchMemory(inspector: URL, worker: string) {
  const heap = await openHeap(inspector, worker);
  const pid = runtimePids().at(-1);
  if (pid === undefined) throw new Error('There is no runtime.');
  const samples = { heap: [] as number[], resident: [] as number[] };
  const timer = setInterval(() => {
    const pages = Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1]);
    samples.resident.push((pages * PAGE_BYTES) / MB);
    heap.ask();
  }, SAMPLE_MS);
  heap.onAnswer((bytes) => samples.heap.push(bytes / MB));
  return {
    tell: () => {
      clearInterval(timer);
      heap.close();
      console.log(
        `heap of the worker and its objects, medians of its quarters: ${quarters(samples.heap)} MB`,
      );
      console.log(
        `resident memory of the runtime, medians of its quarters: ${quarters(samples.resident)} MB`,
      );
    },
  };
}

/** The isolate's heap by the inspector's protocol (`Runtime.getHeapUsage`). */
async function openHeap(inspector: URL, worker: string) {
  const targets = Targets.parse(await (await fetch(`http://${inspector.host}/json`)).json());
  const target = targets.find(({ id }) => id === `core:user:${worker}`);
  if (target === undefined) throw new Error(`There is no isolate of ${worker}.`);
  const socket = new WebSocket(target.webSocketDebuggerUrl);
  const { promise: opened, resolve, reject } = Promise.withResolvers<void>();
  socket.addEventListener('open', () => resolve());
  socket.addEventListener('error', () => reject(new Error('The inspector does not answer.')));
  await opened;
  let asked = 0;
  return {
    ask: () => socket.send(JSON.stringify({ id: ++asked, method: 'Runtime.getHeapUsage' })),
    onAnswer: (take: (bytes: number) => void) =>
      socket.addEventListener('message', ({ data }) => {
        const answer = Answer.safeParse(JSON.parse(String(data)));
        if (answer.success) take(answer.data.result.usedSize + answer.data.result.backingStorageSize);
      }),
    close: () => socket.close(),
  };
}

function quarters(samples: readonly number[]): string {
  return [0, 1, 2, 3]
    .map((quarter) =>
      median(samples.slice((quarter * samples.length) / 4, ((quarter + 1) * samples.length) / 4)),
    )
    .map((mb) => mb.toFixed(0))
    .join(', ');
}
