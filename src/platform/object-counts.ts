import type { Now } from './clock.ts';
import { type CounterSample, Counters } from './counters.ts';

/** Counts of the objects of this isolate since they were last drained. */
const counted = new Counters();

/** Counts something in an object. Whatever runs in its isolate sends it. */
export function countInObject(name: string, labels: Readonly<Record<string, string>>, by = 1): void {
  counted.add(name, labels, by);
  counting?.();
}

export function drainObjectCounts(): CounterSample[] {
  drainedMs = now?.() ?? drainedMs;
  return counted.drain();
}

let counting: (() => void) | undefined;
let now: Now | undefined;
/** When the counts of the isolate were last drained, milliseconds since the Unix epoch. */
let drainedMs = Number.NEGATIVE_INFINITY;

/**
 * How long counts of an isolate wait for one of its requests to send them, in milliseconds, until an object does. With
 * requests, which send them each five seconds, objects send nothing.
 */
export const OWN_REPORT_MS = 15_000;

/**
 * Lets the objects of an isolate that has no requests send its counts, those of their calls of other services as well: the
 * platform runs many objects apart from the worker.
 *
 * @param send sends what was counted, without failing. It is called behind a count, at most once in `OWN_REPORT_MS`.
 */
export function sendWithoutRequests(send: () => void, clock: Now): void {
  if (counting !== undefined) return;
  now = clock;
  // An isolate that has requests as well is about to send by these.
  drainedMs = clock();
  counting = () => {
    const nowMs = clock();
    if (nowMs - drainedMs < OWN_REPORT_MS) return;
    drainedMs = nowMs;
    send();
  };
}

/** Tells that something of the isolate was counted elsewhere. */
export function hasCounted(): void {
  counting?.();
}
