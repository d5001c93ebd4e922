import { setTimeout as sleep } from 'node:timers/promises';
import * as z from 'zod';
import { createClient } from '../../src/client/index.ts';
import { COUNTED_QUEUES } from '../../src/pipeline/backlog.ts';
import { killOwned } from './processes/owned.ts';

/** Ctrl-C, `kill`, and the end of the terminal. */
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
/** npm passes Ctrl-C on to a process that the terminal has sent it to already: within milliseconds. */
const SAME_SIGNAL_MS = 500;
/** The shell's convention for a program that was interrupted. */
const EXIT_INTERRUPTED = 130;
/** The embedded database stores some thousand events a second, so this drains what an import leaves behind. */
const DRAIN_MS_MAX = 60_000;
const POLL_MS = 200;
/** How often the terminal shows what the stop still waits for. */
const TELL_EVERY_MS = 5_000;
const ANSWER_MS_MAX = 5_000;

const Queued = z.object({ items: z.record(z.enum(COUNTED_QUEUES), z.number()).nullable() });
type QueuedItems = NonNullable<z.output<typeof Queued>['items']>;

/** The wish to end, by signals. */
export interface Ending {
  /** Aborts with the first signal. */
  readonly signal: AbortSignal;
  /** Text to print if a second signal ends everything at once. */
  lastWords: () => string;
}

/** The first signal asks to end; a second one ends at once everything that was started. */
export function listenForEnd(): Ending {
  const controller = new AbortController();
  const ending: Ending = { signal: controller.signal, lastWords: () => '' };
  let firstAt: number | undefined;
  const onSignal = () => {
    if (firstAt !== undefined && performance.now() - firstAt < SAME_SIGNAL_MS) return;
    if (firstAt !== undefined) {
      killOwned();
      console.log(`\nStopped at once.${ending.lastWords()}`);
      process.exit(EXIT_INTERRUPTED);
    }
    firstAt = performance.now();
    controller.abort();
  };
  for (const signal of SIGNALS) process.on(signal, onSignal);
  // A closed terminal refuses what is printed; that must not end the stop half-way.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);
  return ending;
}

/** How a stop left the local queues. */
export interface Drained {
  /** What to say of it at the end; nothing where the queues were empty. */
  readonly text: string;
  /** Whether everything that was queued is handled. */
  readonly isComplete: boolean;
}

/** Waits until the worker has handled what is in the local queues: they live in memory and end with it. */
export async function drainQueues(
  stack: { readonly url: string; readonly key: string },
  ending: Ending,
  say: (text: string) => void,
): Promise<Drained> {
  const startedAt = performance.now();
  let last: QueuedItems | undefined;
  let toldAt = Number.NEGATIVE_INFINITY;
  ending.lastWords = () => ` ${lossOf(last)}`;
  for (;;) {
    last = (await queuedItems(stack)) ?? last;
    if (last === undefined)
      return {
        text: 'The worker did not report its queues, so accepted events that are not stored yet may be lost.',
        isComplete: false,
      };
    if (isEmpty(last)) return { text: '', isComplete: true };
    const elapsedMs = performance.now() - startedAt;
    if (elapsedMs > DRAIN_MS_MAX) return { text: lossOf(last), isComplete: false };
    if (performance.now() - toldAt >= TELL_EVERY_MS) {
      say(waitingFor(last, Math.ceil((DRAIN_MS_MAX - elapsedMs) / 1_000)));
      toldAt = performance.now();
    }
    await sleep(POLL_MS);
  }
}

function waitingFor({ events, changes, sink }: QueuedItems, seconds: number): string {
  const parts = [
    ...(events > 0 ? [`${count(events, 'accepted event')} to be stored`] : []),
    ...(changes > 0 ? [`${count(changes, 'change')} to be folded into features`] : []),
    ...(sink > 0 ? [`${count(sink, 'change')} to be written to Kafka`] : []),
  ];
  return `Waiting for ${parts.join(', ')} (${seconds} s at most). Press Ctrl-C again to stop at once.`;
}

/** What is lost with the queues, and how to get it back. */
export function lossOf(items: QueuedItems | undefined): string {
  if (items === undefined) return 'Events that were accepted and not yet stored are lost.';
  const { events, changes, sink } = items;
  return [
    ...(events > 0
      ? [
          `${count(events, 'accepted event')} not stored and lost: send them again, duplicates are recognised.`,
        ]
      : []),
    ...(changes > 0 ? [`${count(changes, 'change')} not folded: the next start folds them.`] : []),
    ...(sink > 0 ? [`${count(sink, 'change')} not written to Kafka and lost there.`] : []),
  ].join(' ');
}

function count(number: number, singular: string): string {
  return `${number.toLocaleString('en-US')} ${singular}${number === 1 ? '' : 's'}`;
}

function isEmpty({ events, changes, sink }: QueuedItems): boolean {
  return events + changes + sink === 0;
}

async function queuedItems({ url, key }: { url: string; key: string }): Promise<QueuedItems | undefined> {
  const client = createClient({ url, key, deadlineMs: ANSWER_MS_MAX });
  try {
    const { data } = await client.get('/v1/admin/queues', { isRepeatable: false });
    return Queued.parse(data).items ?? undefined;
  } catch {
    return undefined;
  }
}
