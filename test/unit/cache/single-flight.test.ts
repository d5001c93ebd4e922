import { afterEach, describe, expect, it, vi } from 'vitest';
import type { Entry } from '../../../src/cache/entry.ts';
import {
  complete,
  type Decision,
  disband,
  ENTRY_BYTES_MAX,
  enter,
  type FillGatePort,
  fail,
  newFillGate,
  type Verdict,
} from '../../../src/cache/fill-gate.ts';
import {
  ENTER_TIMEOUT_MS,
  type FlightContext,
  GATE_PING_MS,
  GATE_QUIET_MS,
  singleFlight,
} from '../../../src/cache/single-flight.ts';
import { withTimeout } from '../../../src/platform/clock.ts';

const NEED = { epoch: 'e', minStamp: 5 };

function filled(stamp: number, storable = true, body = `{"stamp":${stamp}}`) {
  const entry: Entry = { body, etag: '"x"', tagHashes: [1], epoch: 'e', stamp, filledAt: 0 };
  return { entry, storable };
}

/** The real rules behind the port, without the object around them. */
function gateInMemory() {
  const state = newFillGate();
  const calls = new Map<string, (verdict: Verdict) => void>();
  const deliver = (decisions: Decision[]) => {
    for (const { ticketId, verdict } of decisions) calls.get(ticketId)?.(verdict);
  };
  const gate: FillGatePort = {
    enter: async (need, leaseMs) => {
      const ticketId = `t${calls.size}`;
      const { promise, resolve } = Promise.withResolvers<Verdict>();
      calls.set(ticketId, resolve);
      deliver(enter(state, { ticketId, need, leaseMs }, 0));
      return await promise;
    },
    ping: async () => undefined,
    complete: async (ticketId, entry) => deliver(complete(state, ticketId, entry, 0)),
    fail: async (ticketId) => deliver(fail(state, ticketId, 0)),
    disband: async (ticketId) => deliver(disband(state, ticketId, 0)),
  };
  return gate;
}

/** A gate that says what the test wants, and remembers what it was told. */
function scriptedGate(answer: () => Promise<Verdict>) {
  const told: [string, string, Entry?][] = [];
  const gate: FillGatePort = {
    enter: answer,
    ping: async () => undefined,
    complete: async (ticketId, entry) => void told.push(['complete', ticketId, entry]),
    fail: async (ticketId) => void told.push(['fail', ticketId]),
    disband: async (ticketId) => void told.push(['disband', ticketId]),
  };
  return { gate, told };
}

const toFill = async (): Promise<Verdict> => ({ verdict: 'fill', ticketId: 'mine' });

function contextOf() {
  const kept: Promise<unknown>[] = [];
  const context: FlightContext = {
    time: { now: () => 0, withTimeout },
    keepAlive: (promise) => void kept.push(promise),
  };
  return { context, kept };
}

afterEach(() => {
  vi.useRealTimers();
});

describe('a single flight', () => {
  it('reads once for a thousand callers', async () => {
    const gate = gateInMemory();
    const { context } = contextOf();
    const origin = Promise.withResolvers<ReturnType<typeof filled>>();
    const fill = vi.fn(() => origin.promise);
    const flights = Array.from({ length: 1_000 }, () => singleFlight(gate, NEED, fill, context));
    origin.resolve(filled(7));
    const answers = await Promise.all(flights);
    expect(fill).toHaveBeenCalledTimes(1);
    expect(answers.filter(({ shared }) => shared)).toHaveLength(999);
    expect(answers.every(({ entry, storable }) => entry.stamp === 7 && storable)).toBe(true);
  });

  it('lets the next caller fill when a fill fails, and fails only the request that filled', async () => {
    const gate = gateInMemory();
    const { context } = contextOf();
    const fill = vi
      .fn(async () => filled(6))
      .mockRejectedValueOnce(new Error('gone'))
      .mockRejectedValueOnce(new Error('gone'));
    const flights = Array.from({ length: 10 }, () => singleFlight(gate, NEED, fill, context));
    const outcomes = await Promise.allSettled(flights);
    expect(outcomes.map(({ status }) => status === 'rejected')).toEqual([
      true,
      true,
      ...Array.from({ length: 8 }, () => false),
    ]);
    expect(fill).toHaveBeenCalledTimes(3);
  });

  it('answers before the gate has taken the entry, and keeps the fill and the report alive', async () => {
    const { gate } = scriptedGate(toFill);
    const taken = Promise.withResolvers<void>();
    const { context, kept } = contextOf();
    const slow: FillGatePort = { ...gate, complete: () => taken.promise };
    const flight = await singleFlight(slow, NEED, async () => filled(5), context);
    expect(flight).toEqual({ ...filled(5), shared: false });
    expect(kept).toHaveLength(1);
    taken.reject(new Error('the gate is gone'));
    await expect(kept[0]).resolves.toBeUndefined();
  });

  it('keeps a fill alive, so that a cancelled request does not cancel it', async () => {
    const { gate, told } = scriptedGate(toFill);
    const origin = Promise.withResolvers<ReturnType<typeof filled>>();
    const { context, kept } = contextOf();
    void singleFlight(gate, NEED, () => origin.promise, context);
    await vi.waitFor(() => expect(kept).toHaveLength(1));
    expect(told).toEqual([]);
    origin.resolve(filled(5));
    await kept[0];
    expect(told).toEqual([['complete', 'mine', filled(5).entry]]);
  });

  it.each([
    ['is not storable', filled(5, false)],
    ['is too large', filled(5, true, 'x'.repeat(ENTRY_BYTES_MAX))],
  ])('lets the others go when the answer %s', async (_, answer) => {
    const { gate, told } = scriptedGate(toFill);
    const { context, kept } = contextOf();
    expect(await singleFlight(gate, NEED, async () => answer, context)).toEqual({ ...answer, shared: false });
    await Promise.all(kept);
    expect(told).toEqual([['disband', 'mine']]);
  });

  it('reports a fill that fails', async () => {
    const { gate, told } = scriptedGate(toFill);
    const { context, kept } = contextOf();
    const failing = singleFlight(gate, NEED, () => Promise.reject(new Error('origin')), context);
    await expect(failing).rejects.toThrow('origin');
    await Promise.all(kept);
    expect(told).toEqual([['fail', 'mine']]);
  });
});

describe('a caller of a single flight reads the origin itself', () => {
  const own = async () => filled(9);

  it('without a gate', async () => {
    const { context, kept } = contextOf();
    expect(await singleFlight(undefined, NEED, own, context)).toEqual({ ...filled(9), shared: false });
    expect(kept).toEqual([]);
  });

  it('when the gate fails', async () => {
    const { gate, told } = scriptedGate(() => Promise.reject(new Error('evicted')));
    const { context, kept } = contextOf();
    expect(await singleFlight(gate, NEED, own, context)).toEqual({ ...filled(9), shared: false });
    await Promise.all(kept);
    expect(told).toEqual([]);
  });

  it.each<[string, unknown]>([
    ['is older than the need', filled(4).entry],
    ['is of another epoch', { ...filled(9).entry, epoch: 'f' }],
    ['is no entry', { stamp: 9, epoch: 'e' }],
  ])('when the value of the gate %s', async (_, entry) => {
    const { gate } = scriptedGate(async () => ({ verdict: 'value', entry: entry as Entry }));
    const { context } = contextOf();
    expect(await singleFlight(gate, NEED, own, context)).toEqual({ ...filled(9), shared: false });
  });

  it.each([undefined, 101])('when the gate gives an entry that was read %s ms before', async (readAgeMs) => {
    const need = { ...NEED, maxReadAgeMs: 100 };
    const given = (age: number | undefined) =>
      scriptedGate(async () => ({ verdict: 'value', entry: filled(7).entry, readAgeMs: age })).gate;
    const { context } = contextOf();
    expect(await singleFlight(given(readAgeMs), need, own, context)).toEqual({ ...filled(9), shared: false });
    expect(await singleFlight(given(100), need, own, context)).toMatchObject({ shared: true });
    expect(await singleFlight(given(readAgeMs), NEED, own, context)).toMatchObject({ shared: true });
  });

  it('when the gate does not answer in time, and gives back a lease that comes too late', async () => {
    vi.useFakeTimers();
    const late = Promise.withResolvers<Verdict>();
    const { gate, told } = scriptedGate(() => late.promise);
    const { context, kept } = contextOf();
    const flight = singleFlight(gate, NEED, own, context);
    await vi.advanceTimersByTimeAsync(ENTER_TIMEOUT_MS);
    expect(await flight).toEqual({ ...filled(9), shared: false });
    late.resolve({ verdict: 'fill', ticketId: 'late' });
    await Promise.all(kept);
    expect(told).toEqual([['fail', 'late']]);
  });

  it('soon, when the gate hangs and answers no ping', async () => {
    vi.useFakeTimers();
    const { gate } = scriptedGate(() => new Promise(() => undefined));
    const hung: FillGatePort = { ...gate, ping: () => new Promise(() => undefined) };
    const { context } = contextOf();
    const flight = singleFlight(hung, NEED, own, context);
    await vi.advanceTimersByTimeAsync(GATE_QUIET_MS + GATE_PING_MS);
    expect(await flight).toEqual({ ...filled(9), shared: false });
    const broken: FillGatePort = { ...gate, ping: () => Promise.reject(new Error('gone')) };
    const another = singleFlight(broken, NEED, own, context);
    await vi.advanceTimersByTimeAsync(GATE_QUIET_MS);
    expect(await another).toEqual({ ...filled(9), shared: false });
  });
});
