import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import * as z from 'zod';
import { median } from '../../../../bench/support/load.ts';
import { runtimePids } from '../../../../bench/support/runtime.ts';

const MB = 1024 * 1024;
const SAMPLE_MS = 2_000;
/** An isolate that the runtime has evicted does not answer, nor one that is busy for longer. */
const ANSWER_MS = 1_000;
/** The default of SQLite's `cache_size`, for each database. */
const SQLITE_CACHE_MB = 2;

const Targets = z.array(z.object({ id: z.string(), webSocketDebuggerUrl: z.string() }));
const Answer = z.object({
  id: z.int(),
  result: z.object({ usedSize: z.number(), totalSize: z.number(), backingStorageSize: z.number() }),
});
type Heap = z.output<typeof Answer>['result'];

/** All in MB. */
interface Sample {
  /** The process. */
  readonly resident: number;
  /** What the worker and its objects use of their heap. */
  readonly used: number;
  /** The heaps of the worker and its objects, and of the local platform: its queues, KV, proxies. */
  readonly own: number;
  readonly platform: number;
  /** The most that SQLite may keep of its open databases. */
  readonly sqlite: number;
  /** Code and files. */
  readonly files: number;
}

/**
 * The resident memory of the runtime's process by its parts. What no part has is the native allocator's, which does not
 * return memory to the system: buffers of messages and connections, at their highest. On a busy machine the heap of an
 * isolate that does not answer in time is among it.
 */
export async function watchMemory(inspector: URL, worker: string) {
  const pid = runtimePids().at(-1);
  if (pid === undefined) throw new Error('There is no runtime.');
  const targets = Targets.parse(await (await fetch(`http://${inspector.host}/json`)).json());
  const heaps = await Promise.all(
    targets.map(async ({ id, webSocketDebuggerUrl: url }) => ({ id, heap: await openHeap(url) })),
  );
  const samples: Sample[] = [];
  let isOver = false;
  const watching = (async () => {
    while (!isOver) {
      samples.push(await sample(pid, heaps, `core:user:${worker}`));
      await sleep(SAMPLE_MS);
    }
  })();
  return {
    tell: async () => {
      isOver = true;
      await watching;
      for (const { heap } of heaps) heap.close();
      const print = (name: string, of: (one: Sample) => number) =>
        console.log(`${name}, medians of the quarters: ${quarters(samples.map(of))} MB`);
      print('process of the runtime', ({ resident }) => resident);
      print('  used by the worker and its objects', ({ used }) => used);
      print('  heap of the worker and its objects', ({ own }) => own);
      print("  heaps of the local platform's isolates", ({ platform }) => platform);
      print('  caches of SQLite, at most', ({ sqlite }) => sqlite);
      print('  code and files', ({ files }) => files);
      print(
        '  the rest: native memory',
        (one) => one.resident - one.own - one.platform - one.sqlite - one.files,
      );
    },
  };
}

async function sample(
  pid: number,
  heaps: readonly { readonly id: string; readonly heap: Awaited<ReturnType<typeof openHeap>> }[],
  worker: string,
): Promise<Sample> {
  const asked = await Promise.all(heaps.map(async ({ id, heap }) => ({ id, answer: await heap.ask() })));
  const total = (of: typeof asked) => of.reduce((sum, { answer }) => sum + (answer?.totalSize ?? 0), 0) / MB;
  const own = asked.filter(({ id }) => id === worker);
  const { usedSize = 0, backingStorageSize = 0 } = own[0]?.answer ?? {};
  return {
    resident: statusMb(pid, 'VmRSS'),
    used: (usedSize + backingStorageSize) / MB,
    own: total(own),
    platform: total(asked.filter(({ id }) => id !== worker)),
    sqlite: sqliteMb(pid),
    files: statusMb(pid, 'RssFile'),
  };
}

/** The heap of an isolate by the inspector's protocol (`Runtime.getHeapUsage`); undefined if the isolate does not answer. */
async function openHeap(url: string) {
  const socket = new WebSocket(url);
  const { promise: opened, resolve, reject } = Promise.withResolvers<void>();
  socket.addEventListener('open', () => resolve());
  socket.addEventListener('error', () => reject(new Error('The inspector does not answer.')));
  await opened;
  let asked = 0;
  let take: (heap: Heap) => void = () => undefined;
  socket.addEventListener('message', ({ data }) => {
    const answer = Answer.safeParse(JSON.parse(String(data)));
    if (answer.success && answer.data.id === asked) take(answer.data.result);
  });
  return {
    ask: async (): Promise<Heap | undefined> => {
      const { promise, resolve: answered } = Promise.withResolvers<Heap>();
      take = answered;
      asked += 1;
      socket.send(JSON.stringify({ id: asked, method: 'Runtime.getHeapUsage' }));
      return await Promise.race([promise, sleep(ANSWER_MS, undefined)]);
    },
    close: () => socket.close(),
  };
}

/** A line of the process's status, such as `VmRSS`. */
function statusMb(pid: number, line: string): number {
  return (
    Number(new RegExp(`^${line}:\\s+(\\d+)`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) /
    1_024
  );
}

function sqliteMb(pid: number): number {
  const open = `/proc/${pid}/fd`;
  const files = new Set(readdirSync(open).flatMap((fd) => linkOf(`${open}/${fd}`)));
  const databases = [...files].filter((file) => file.endsWith('.sqlite'));
  return databases.reduce(
    (sum, file) =>
      sum + Math.min(SQLITE_CACHE_MB, (statSync(file, { throwIfNoEntry: false })?.size ?? 0) / MB),
    0,
  );
}

/** A file may be closed between the listing and this. */
function linkOf(path: string): string[] {
  try {
    return [readlinkSync(path)];
  } catch {
    return [];
  }
}

function quarters(samples: readonly number[]): string {
  return [0, 1, 2, 3]
    .map((quarter) =>
      median(samples.slice((quarter * samples.length) / 4, ((quarter + 1) * samples.length) / 4)),
    )
    .map((mb) => mb.toFixed(0))
    .join(', ');
}
