import { env } from 'cloudflare:workers';
import { expect, it } from 'vitest';
import { clockAt } from '../../src/cache/clock/wire.ts';
import { cacheStats, regionalClock } from '../../src/composition/objects.ts';
import { sleep } from '../../src/platform/clock.ts';
import { PEER_CALLS } from '../../src/platform/peer.ts';

it('calls that only objects make are counted, though no request of the isolate sends them', async () => {
  const asked = { epoch: '', sinceSeq: 0, maxAgeMs: 0, atLeast: undefined };
  let rootCalls = 0;
  // An isolate with requests sends by these, so its objects wait before they do.
  while (rootCalls === 0) {
    await clockAt(regionalClock(env, 'weur')).sync(asked);
    await sleep(500);
    const totals = await cacheStats(env).totals();
    rootCalls =
      totals.find(
        ({ name, labels }) =>
          name === PEER_CALLS && labels['peer'] === 'root-clock' && labels['outcome'] === 'ok',
      )?.value ?? 0;
  }
  expect(rootCalls).toBeGreaterThan(0);
});
