import { env } from 'cloudflare:workers';
import { expect, it } from 'vitest';
import { clockAt } from '../../src/cache/clock/wire.ts';
import { cacheStats, regionalClock } from '../../src/composition/objects.ts';
import { PEER_CALLS } from '../../src/platform/peer.ts';

it('calls that only objects make are counted, though no request of the isolate sends them', async () => {
  const asked = { epoch: '', sinceSeq: 0, maxAgeMs: 0, atLeast: undefined };
  await clockAt(regionalClock(env, 'weur')).sync(asked);
  let rootCalls = 0;
  for (let asks = 0; asks < 500 && rootCalls === 0; asks += 1) {
    const totals = await cacheStats(env).totals();
    rootCalls =
      totals.find(
        ({ name, labels }) =>
          name === PEER_CALLS && labels['peer'] === 'root-clock' && labels['outcome'] === 'ok',
      )?.value ?? 0;
  }
  expect(rootCalls).toBeGreaterThan(0);
});
