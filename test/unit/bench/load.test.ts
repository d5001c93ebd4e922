import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, it } from 'vitest';
import { generator, isWrkInstalled, ZIPF_EXPONENT } from '../../../bench/support/load.ts';
import { zipf } from '../../../bench/support/zipf.ts';
import { seededRandom } from '../../../src/platform/random.ts';

const KEYS = 50;
/** The share of the first key, 1 / (1 + 1/2 + … + 1/50). */
const FIRST_SHARE = 1 / Array.from({ length: KEYS }, (_, rank) => 1 / (rank + 1)).reduce((a, b) => a + b);

it('draws ranks by the law', () => {
  const draw = zipf(KEYS, ZIPF_EXPONENT, seededRandom(1));
  const counts = new Array<number>(KEYS).fill(0);
  for (let index = 0; index < 100_000; index += 1) {
    const rank = draw();
    counts[rank] = (counts[rank] ?? 0) + 1;
  }
  expect((counts[0] ?? 0) / 100_000).toBeCloseTo(FIRST_SHARE, 2);
  expect((counts[1] ?? 0) / (counts[0] ?? 0)).toBeCloseTo(1 / 2, 1);
  expect((counts[9] ?? 0) / (counts[0] ?? 0)).toBeCloseTo(1 / 10, 1);
});

it.each([true, false])('counts what the server answered; driven by wrk: %s', async (byWrk) => {
  if (byWrk && !isWrkInstalled()) return;
  const ranks: string[] = [];
  const server = createServer((request, response) => {
    ranks.push(request.url?.replace('/p/K', '') ?? '');
    response.setHeader('content-length', 2).end('{}');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const target = { url: new URL(`http://127.0.0.1:${port}/p/K`), keys: KEYS, pid: process.pid };
  const round = await generator(byWrk).drive(target, { connections: 4, seconds: 1, seed: 3 });
  server.closeAllConnections();
  server.close();
  expect(round.requestsPerSecond).toBeGreaterThan(0);
  expect(round.p99Ms).toBeGreaterThanOrEqual(round.p50Ms);
  expect(ranks.every((rank) => /^\d+$/.test(rank) && Number(rank) < KEYS)).toBe(true);
  const firsts = ranks.filter((rank) => rank === '0').length;
  // Five standard deviations of a binomial count.
  const tolerance = 5 * Math.sqrt(FIRST_SHARE * (1 - FIRST_SHARE) * ranks.length);
  expect(Math.abs(firsts - FIRST_SHARE * ranks.length)).toBeLessThan(tolerance);
});
