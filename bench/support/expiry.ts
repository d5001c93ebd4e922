import { DEFAULT_FRESHNESS_POLICY } from '../../src/define/cache-policy.ts';
import { type Generator, median, type Second } from './load.ts';
import { fillAhead, productServer } from './product-server.ts';

/** Of an entry, instead of the five minutes that are the default. */
const LIFE_S = 40;
/** As many fills a second as 1,000 keys need that live for five minutes. */
const KEYS = Math.round((1_000 * LIFE_S) / DEFAULT_FRESHNESS_POLICY.ttlS);
/** No policy refreshes an entry in the first 45 % of its life: half of it, less the jitter. */
const WARM_S = Math.floor(LIFE_S * 0.45) - 1;
/** Until after the second time that entries without a refresh ahead expire. */
const SECONDS = LIFE_S * 2;

/** How a round varies by the second while entries that were filled together come to their end. */
interface Expiry {
  /** Median of the seconds in which nothing is refreshed. */
  readonly warm: number;
  /** The lowest of them: how much the machine alone varies. */
  readonly lowestWarm: number;
  /** The lowest second after them. */
  readonly lowest: number;
}

function expiryOf(seconds: readonly number[]): Expiry {
  const warm = seconds.slice(0, WARM_S);
  return { warm: median(warm), lowestWarm: Math.min(...warm), lowest: Math.min(...seconds.slice(WARM_S)) };
}

async function measure(drive: Generator, refreshAhead: number): Promise<readonly Second[]> {
  const server = await productServer('bench/expiry-worker.ts', KEYS, [
    ...['--define', `LIFE_S:${LIFE_S}`, '--define', `REFRESH_AHEAD:${refreshAhead}`],
  ]);
  try {
    // Compiles the worker's code, so that the first seconds are not slower than the others.
    await drive({ ...server, keys: 1 }, { connections: 32, seconds: 3, seed: 0 });
    await fillAhead(server.url, KEYS);
    const load = { connections: 32, seconds: SECONDS, seed: 1 };
    return (await drive({ ...server, keys: KEYS }, load)).seconds;
  } finally {
    await server.stop();
  }
}

/** Prints throughput while entries expire together, without refreshes ahead of expiry and with them. */
export async function printExpiry(drive: Generator): Promise<void> {
  console.log(`${KEYS} keys that live for ${LIFE_S} s, filled within a second; ${SECONDS} s of load`);
  for (const refreshAhead of [0, DEFAULT_FRESHNESS_POLICY.refreshAhead]) {
    const seconds = await measure(drive, refreshAhead);
    const row = (what: string, of: (second: Second) => number) => {
      const { warm, lowestWarm, lowest } = expiryOf(seconds.map(of));
      const control = `${(lowestWarm / warm).toFixed(2)} while nothing was refreshed`;
      console.log(`  ${what}: ${(lowest / warm).toFixed(2)} (${control}; median ${warm.toFixed(0)})`);
    };
    console.log(`refreshAhead ${refreshAhead}, lowest second / warm median`);
    row('requests/s', ({ requests }) => requests);
    // A busy machine takes the first figure with it. This one counts only the work of the server.
    row('requests a CPU second of the server', ({ cpuMicrosPerRequest }) => 1_000_000 / cpuMicrosPerRequest);
  }
}
