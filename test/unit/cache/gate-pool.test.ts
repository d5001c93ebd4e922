import { beforeEach, describe, expect, it } from 'vitest';
import type { Entry } from '../../../src/cache/entry.ts';
import { ENTRY_BYTES_MAX, entryBytes, RESULT_KEPT_MS } from '../../../src/cache/fill-gate.ts';
import { GatePool, POOL_BYTES_MAX, POOL_KEYS_MAX, poolOf } from '../../../src/cache/gate-pool.ts';

const NEED = { epoch: 'e', minStamp: 5 };
const LEASE_MS = 3_000;

let nowMs: number;
let pool: GatePool;
beforeEach(() => {
  nowMs = 1_000_000;
  let tickets = 0;
  pool = new GatePool({
    now: () => nowMs,
    newTicketId: () => {
      tickets += 1;
      return `ticket ${tickets}`;
    },
    setTimer: () => () => undefined,
  });
});

function entryOf(body: string): Entry {
  return { body, etag: '"x"', tagHashes: [1], epoch: 'e', stamp: 5, filledAt: 1_000 };
}

async function ticketOf(key: string): Promise<string> {
  const verdict = await pool.enter(key, NEED, LEASE_MS);
  if (verdict.verdict !== 'fill') throw new Error('Another caller has filled the key.');
  return verdict.ticketId;
}

async function fill(key: string, body: string): Promise<void> {
  await pool.complete(key, await ticketOf(key), entryOf(body));
}

describe('a pool of gates', () => {
  it('gives a caller the entry of its own key only', async () => {
    const tickets = [await ticketOf('a'), await ticketOf('b')];
    const waiting = [pool.enter('a', NEED, LEASE_MS), pool.enter('b', NEED, LEASE_MS)];
    await pool.complete('b', tickets[1] ?? '', entryOf('of b'));
    await pool.complete('a', tickets[0] ?? '', entryOf('of a'));
    expect(await Promise.all(waiting)).toMatchObject([
      { entry: { body: 'of a' } },
      { entry: { body: 'of b' } },
    ]);
    expect(await pool.enter('c', NEED, LEASE_MS)).toMatchObject({ verdict: 'fill' });
  });

  it('removes the gates of keys that were filled, that failed, and whose filler died', async () => {
    for (let key = 0; key < 1_000; key += 1) await fill(`filled ${key}`, 'v');
    for (let key = 0; key < 10; key += 1) await pool.fail(`failed ${key}`, await ticketOf(`failed ${key}`));
    for (let key = 0; key < 10; key += 1) await ticketOf(`dead ${key}`);
    nowMs += Math.max(RESULT_KEPT_MS, LEASE_MS);
    await ticketOf('next');
    expect(pool.size).toBe(1);
  });

  it('lets callers of more keys than it has room for read the origin, and takes their reports', async () => {
    for (let key = 0; key < POOL_KEYS_MAX; key += 1) await ticketOf(`key ${key}`);
    const [one, other] = [await ticketOf('beyond'), await ticketOf('beyond')];
    await pool.complete('beyond', one, entryOf('v'));
    await pool.fail('beyond', other);
    expect(pool.size).toBe(POOL_KEYS_MAX);
    nowMs += LEASE_MS;
    await fill('beyond', 'v');
    expect(await pool.enter('beyond', NEED, LEASE_MS)).toMatchObject({ verdict: 'value' });
  });

  it('keeps results of bounded size, the newest', async () => {
    const body = 'x'.repeat(ENTRY_BYTES_MAX / 2 - 100);
    const kept = Math.floor(POOL_BYTES_MAX / entryBytes(entryOf(body)));
    for (let key = 0; key < kept + 3; key += 1) await fill(`key ${key}`, body);
    const verdicts = [];
    for (let key = 0; key < kept + 3; key += 1)
      verdicts.push((await pool.enter(`key ${key}`, NEED, LEASE_MS)).verdict);
    expect(verdicts.filter((verdict) => verdict === 'value')).toHaveLength(kept);
    expect(verdicts.slice(0, 3)).toEqual(['fill', 'fill', 'fill']);
  });
});

describe('the pool of a key', () => {
  it('is one of 256, with keys spread evenly', () => {
    const counts = new Map<number, number>();
    for (let key = 0; key < 25_600; key += 1) {
      const number = poolOf(`product/${key}`);
      counts.set(number, (counts.get(number) ?? 0) + 1);
    }
    expect(counts.size).toBe(256);
    expect(Math.max(...counts.keys())).toBe(255);
    expect(Math.max(...counts.values())).toBeLessThan(160);
  });
});
