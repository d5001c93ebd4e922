import { evictDurableObject, runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import type { Entry } from '../../src/cache/entry.ts';
import type { FillGatePort } from '../../src/cache/fill-gate.ts';
import { gateIn } from '../../src/cache/gate-pool.ts';
import { type Filled, singleFlight } from '../../src/cache/single-flight.ts';
import { systemNow, type Time } from '../../src/platform/clock.ts';

const NEED = { epoch: 'e', minStamp: 5 };
const LEASE_MS = 400;
/**
 * No reader gives up: on a busy machine some of 300 readers would find that the gate does not answer a ping in time, and read
 * themselves. test/unit/cache/single-flight.test.ts has the rules of giving up, with a time of its own.
 */
const PATIENT: Time = { now: systemNow, withTimeout: (promise) => promise };

function entryAt(stamp: number): Entry {
  return { body: `{"stamp":${stamp}}`, etag: '"x"', tagHashes: [1, 2], epoch: 'e', stamp, filledAt: 1_000 };
}

function gateOf(key: string): FillGatePort {
  return gateIn(env.FILL_GATE.getByName(key), key);
}

async function ticketOf(gate: FillGatePort, leaseMs = LEASE_MS): Promise<string> {
  const verdict = await gate.enter(NEED, leaseMs);
  if (verdict.verdict !== 'fill') throw new Error('Somebody else has filled.');
  return verdict.ticketId;
}

/** What has settled by now, and what becomes of a promise later. */
function watch<T>(promise: Promise<T>) {
  const watched: { promise: Promise<T>; value: T | undefined } = { promise, value: undefined };
  void promise.then((value) => {
    watched.value = value;
  });
  return watched;
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

describe('the gates of one object', () => {
  it('are those of keys that have nothing in common', async () => {
    const object = env.FILL_GATE.getByName('two keys');
    const [one, other] = [gateIn(object, 'one'), gateIn(object, 'other')];
    const tickets = await Promise.all([ticketOf(one, 10_000), ticketOf(other, 10_000)]);
    const waiting = [one, other].map((gate) => gate.enter(NEED, 10_000));
    await one.complete(tickets[0], entryAt(5));
    await other.complete(tickets[1], entryAt(6));
    expect(await Promise.all(waiting)).toMatchObject([{ entry: { stamp: 5 } }, { entry: { stamp: 6 } }]);
  });
});

describe('the gate of a key', () => {
  it('lets one of a thousand callers fill, and gives the others its entry', async () => {
    const gate = gateOf('thousand');
    const entering = Array.from({ length: 1_000 }, () => gate.enter(NEED, 10_000));
    const first = await Promise.race(entering);
    if (first.verdict !== 'fill') throw new Error('Nobody has filled yet.');
    await gate.complete(first.ticketId, entryAt(5));
    const verdicts = await Promise.all(entering);
    expect(verdicts.filter(({ verdict }) => verdict === 'fill')).toHaveLength(1);
    const values = verdicts.filter((given) => given.verdict === 'value');
    expect(values).toHaveLength(999);
    expect(values.every(({ entry }) => entry.stamp === 5 && entry.tagHashes.length === 2)).toBe(true);
  });

  it('carries single flights of real callers: one read for all', async () => {
    let reads = 0;
    const fill = async (): Promise<Filled> => {
      reads += 1;
      await pause(50);
      return { entry: entryAt(6), storable: true };
    };
    const kept: Promise<unknown>[] = [];
    const context = { time: PATIENT, keepAlive: (promise: Promise<unknown>) => void kept.push(promise) };
    const flights = await Promise.all(
      Array.from({ length: 300 }, () => singleFlight(gateOf('flights'), NEED, fill, context)),
    );
    await Promise.all(kept);
    expect(reads).toBe(1);
    expect(flights.filter(({ shared }) => shared)).toHaveLength(299);
    expect(flights.every(({ entry }) => entry.stamp === 6)).toBe(true);
  });

  it('releases the waiters of a filler that never returns, after its lease', async () => {
    const gate = gateOf('hanging');
    const sentAtMs = systemNow();
    await ticketOf(gate);
    const waiting = Array.from({ length: 20 }, () => gate.enter(NEED, LEASE_MS));
    const first = await Promise.race(waiting);
    const waitedMs = systemNow() - sentAtMs;
    expect(waitedMs).toBeGreaterThanOrEqual(LEASE_MS - 20);
    if (first.verdict !== 'fill') throw new Error('Nobody has filled.');
    await gate.complete(first.ticketId, entryAt(5));
    const verdicts = await Promise.all(waiting);
    expect(verdicts.filter(({ verdict }) => verdict === 'value')).toHaveLength(19);
  });

  it('releases all waiters when the next filler hangs, too', async () => {
    const gate = gateOf('hanging-twice');
    await ticketOf(gate);
    const verdicts = await Promise.all(Array.from({ length: 10 }, () => gate.enter(NEED, LEASE_MS)));
    expect(verdicts.every(({ verdict }) => verdict === 'fill')).toBe(true);
  });

  it('does not give an older value to those that need a newer one', async () => {
    const gate = gateOf('newer');
    const ticketId = await ticketOf(gate, 10_000);
    const old = watch(gate.enter(NEED, 10_000));
    const newer = [7, 8].map((minStamp) => watch(gate.enter({ epoch: 'e', minStamp }, 10_000)));
    await gate.complete(ticketId, entryAt(6));
    expect(await old.promise).toMatchObject({ verdict: 'value', entry: { stamp: 6 } });
    // The newest need reads next, and its entry serves the other one.
    const next = await newer[1]?.promise;
    if (next?.verdict !== 'fill') throw new Error('The newest need has to read by itself.');
    expect(newer[0]?.value).toBeUndefined();
    await gate.complete(next.ticketId, entryAt(8));
    expect(await newer[0]?.promise).toMatchObject({ verdict: 'value', entry: { stamp: 8 } });
  });

  it('hands over when a fill fails', async () => {
    const gate = gateOf('failing');
    const ticketId = await ticketOf(gate, 10_000);
    const waiting = Array.from({ length: 3 }, () => gate.enter(NEED, 10_000));
    await gate.fail(ticketId);
    const next = await Promise.race(waiting);
    if (next.verdict !== 'fill') throw new Error('There is no value yet.');
    await gate.complete(next.ticketId, entryAt(5));
    const verdicts = await Promise.all(waiting);
    expect(verdicts.filter(({ verdict }) => verdict === 'value')).toHaveLength(2);
  });

  it('lets every waiter read the origin if the answer must not be shared', async () => {
    const gate = gateOf('disbanded');
    const ticketId = await ticketOf(gate, 10_000);
    const waiting = Array.from({ length: 5 }, () => gate.enter(NEED, 10_000));
    // Calls of one stub arrive in their order, so all five wait when the report comes.
    await gate.disband(ticketId);
    const verdicts = await Promise.all(waiting);
    expect(verdicts.every(({ verdict }) => verdict === 'fill')).toBe(true);
  });

  it('gives callers that arrive late the result for a moment, and then drops it', async () => {
    const gate = gateOf('late');
    await gate.complete(await ticketOf(gate), entryAt(5));
    expect(await gate.enter(NEED, LEASE_MS)).toMatchObject({ verdict: 'value' });
    await pause(1_100);
    expect(await gate.enter(NEED, LEASE_MS)).toMatchObject({ verdict: 'fill' });
  });

  it('loses its state with an eviction, and continues', async () => {
    const object = env.FILL_GATE.getByName('evicted');
    const stub = gateIn(object, 'evicted');
    const ticketId = await ticketOf(stub, 10_000);
    await evictDurableObject(object);
    const next = await ticketOf(stub, 10_000);
    const waiting = stub.enter(NEED, 10_000);
    // A ticket of before the eviction holds nothing any more, and what it brings is as good as its stamp.
    await stub.fail(ticketId);
    await stub.complete(ticketId, entryAt(4));
    await stub.complete(next, entryAt(5));
    expect(await waiting).toMatchObject({ verdict: 'value', entry: { stamp: 5 } });
  });

  it('lets a waiting caller read the origin when the object dies', async () => {
    const stub = env.FILL_GATE.getByName('dying');
    await ticketOf(gateIn(stub, 'dying'), 10_000);
    const own: Filled = { entry: entryAt(9), storable: true };
    const context = { time: PATIENT, keepAlive: () => undefined };
    const flight = singleFlight(gateOf('dying'), NEED, async () => own, context);
    await pause(50);
    await runInDurableObject(stub, (_, state) => state.abort('The test ends this object.')).catch(
      () => undefined,
    );
    expect(await flight).toEqual({ ...own, shared: false });
  });

  it('refuses an invalid need, lease or entry, and continues', async () => {
    const stub = env.FILL_GATE.getByName('refusing');
    // Inside the object: a rejection that crosses the call is reported a second time by the test runtime.
    await runInDurableObject(stub, async (object) => {
      await expect(object.enter('k', { epoch: '', minStamp: 0 }, LEASE_MS)).rejects.toThrow();
      await expect(object.enter('k', { epoch: 'e', minStamp: -1 }, LEASE_MS)).rejects.toThrow();
      await expect(object.enter('k', NEED, 3_600_000)).rejects.toThrow();
      await expect(object.complete('k', 'nobody', { ...entryAt(5), tagHashes: [-1] })).rejects.toThrow();
    });
    expect(await stub.enter('k', NEED, LEASE_MS)).toMatchObject({ verdict: 'fill' });
  });
});
