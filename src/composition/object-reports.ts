import { systemNow } from '../platform/clock.ts';
import { CounterFlush } from '../platform/counters.ts';
import { newId } from '../platform/ids.ts';
import { drainObjectCounts, sendWithoutRequests } from '../platform/object-counts.ts';
import { drainFailures, drainPeerCalls } from '../platform/peer.ts';
import type { Env } from './env.ts';
import { cacheStats } from './objects.ts';

/** One for the isolate: its objects share what is counted. */
const flush = new CounterFlush(newId);

/** Sends the counts of an isolate in which only objects run. What is counted after the last call of an object is lost with it. */
export function reportWithoutRequests(env: Env): void {
  const drain = () => ({
    counters: [...drainPeerCalls(), ...drainObjectCounts()],
    failures: drainFailures(),
  });
  sendWithoutRequests(
    () => void flush.flush(systemNow(), drain, (batch) => cacheStats(env).flush(batch)),
    systemNow,
  );
}
