import { expect, it } from 'vitest';
import {
  countInObject,
  drainObjectCounts,
  OWN_REPORT_MS,
  sendWithoutRequests,
} from '../../../src/platform/object-counts.ts';
import { callPeer, drainFailures, drainPeerCalls, PEER_CALLS } from '../../../src/platform/peer.ts';

it('an isolate without requests sends its counts and calls; one whose requests send them does not', async () => {
  let now = 1_000_000;
  let sends = 0;
  drainPeerCalls();
  sendWithoutRequests(
    () => {
      sends += 1;
    },
    () => now,
  );
  const called = () => callPeer('root-clock', 1_000, async () => 'here');
  await called();
  expect(sends).toBe(0);
  now += OWN_REPORT_MS;
  await called();
  expect(sends).toBe(1);
  await called();
  // What is counted in between waits for the next one that is due.
  expect(sends).toBe(1);
  now += OWN_REPORT_MS;
  await called();
  expect(sends).toBe(2);
  const calls = drainPeerCalls().filter(({ name }) => name === PEER_CALLS);
  expect(calls).toEqual([{ name: PEER_CALLS, labels: { outcome: 'ok', peer: 'root-clock' }, value: 4 }]);

  // A request drains, and sends what it has drained.
  for (let seconds = 0; seconds < 120; seconds += 5) {
    now += 5_000;
    drainObjectCounts();
    await called();
    countInObject('millrace_tests_total', { of: 'this' });
  }
  expect(sends).toBe(2);
  expect(drainObjectCounts()).toEqual([{ name: 'millrace_tests_total', labels: { of: 'this' }, value: 1 }]);
});

it('the newest failure of a peer has its type and its plain words, and no value', async () => {
  drainFailures();
  const fail = (message: string) => callPeer('kv', 1_000, () => Promise.reject(new TypeError(message)));
  await expect(fail('first')).rejects.toThrow();
  await expect(fail('The key "jane@example.org" is too long')).rejects.toThrow();
  const [failure, ...others] = drainFailures();
  expect(others).toEqual([]);
  expect(failure).toMatchObject({ peer: 'kv', message: 'TypeError: The key "…" is too long' });
  expect(drainFailures()).toEqual([]);
});
