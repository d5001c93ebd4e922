import { NeonDbError } from '@neondatabase/serverless';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { BREAKER_RULE } from '../../../src/platform/breaker.ts';
import { PeerRefused, resetBreakers } from '../../../src/platform/breakers.ts';
import { withTimeout } from '../../../src/platform/clock.ts';
import { Failure } from '../../../src/platform/failure.ts';
import { hedged } from '../../../src/platform/hedge.ts';
import { callPeer, drainPeerCalls, PEER_CALLS, PeerTimeout, peerStub } from '../../../src/platform/peer.ts';
import { isOutage } from '../../../src/storage/outage.ts';

beforeEach(() => {
  vi.useFakeTimers();
  drainPeerCalls();
  resetBreakers(() => Date.now());
});
afterEach(() => {
  vi.useRealTimers();
});

const never = <T>() => new Promise<T>(() => undefined);
const later = <T>(ms: number, value: T) => new Promise<T>((resolve) => setTimeout(resolve, ms, value));
const outcomes = () =>
  Object.fromEntries(
    drainPeerCalls()
      .filter(({ name }) => name === PEER_CALLS)
      .map(({ labels, value }) => [labels['outcome'], value]),
  );

describe('a call of a peer', () => {
  it('ends at its deadline with an outage, and is counted', async () => {
    const hung = callPeer('kv', 500, () => never());
    const refused = expect(hung).rejects.toBeInstanceOf(PeerTimeout);
    await vi.advanceTimersByTimeAsync(499);
    await vi.advanceTimersByTimeAsync(1);
    await refused;
    expect(isOutage(await hung.catch((error: unknown) => error))).toBe(true);
    const slow = callPeer('kv', 500, () => later(400, 'late'));
    await vi.advanceTimersByTimeAsync(400);
    expect(await slow).toBe('late');
    await expect(callPeer('kv', 500, () => Promise.reject(new Error('gone')))).rejects.toThrow('gone');
    expect(outcomes()).toEqual({ timeout: 1, ok: 1, failed: 1 });
    expect(drainPeerCalls()).toEqual([]);
    expect(PEER_CALLS).toBe('millrace_peer_calls_total');
  });

  it('restores a failure that crossed an RPC as a plain error, and no other error', async () => {
    const remote = Object.assign(new Error('The queue does not take messages.'), {
      name: 'Failure',
      code: 'queue_unavailable',
      retryAfterS: 5,
    });
    const failure = await callPeer('outbox-relay', 500, () => Promise.reject(remote)).catch((error) => error);
    expect(failure).toBeInstanceOf(Failure);
    expect(failure).toMatchObject({ code: 'queue_unavailable', retryAfterS: 5, cause: remote });
    const foreign = Object.assign(new Error('x'), { name: 'Failure', code: 'of another program' });
    await expect(callPeer('kv', 500, () => Promise.reject(foreign))).rejects.toBe(foreign);
  });

  it('through a stub has the deadline of its method', async () => {
    const stub = peerStub(
      'fill-gate',
      { quick: () => never<string>(), other: (text: string) => later(900, text) },
      { default: 1_000, quick: 100 },
    );
    const quick = expect(stub.quick()).rejects.toThrow('within 100 ms');
    const other = stub.other('x');
    await vi.advanceTimersByTimeAsync(900);
    await quick;
    expect(await other).toBe('x');
  });
});

describe('a breaker', () => {
  const { failuresMin, spanMs, openMaxMs } = BREAKER_RULE;
  /** So many calls that reject with an error, as far apart as a breaker needs to open. */
  async function rejected(error: unknown): Promise<void> {
    for (let n = 0; n <= failuresMin; n += 1) {
      await callPeer('kv', 500, () => Promise.reject(error)).catch(() => undefined);
      await vi.advanceTimersByTimeAsync(spanMs / failuresMin);
    }
  }

  it('refuses calls of a peer that fails, as an outage with its cause, and none of another one', async () => {
    await rejected(new Error('gone'));
    expect(outcomes()).toEqual({ failed: failuresMin + 1 });
    const call = vi.fn(async () => 'there');
    const refusal: unknown = await callPeer('kv', 500, call).catch((error: unknown) => error);
    expect(call).not.toHaveBeenCalled();
    expect(refusal).toBeInstanceOf(PeerRefused);
    expect(String(refusal)).toMatch(
      /^PeerRefused: The peer "kv" is not called for \d+ ms more, because its last call failed: Error: …$/,
    );
    expect(isOutage(refusal)).toBe(true);
    expect(isOutage(new NeonDbError('Error connecting to database'))).toBe(true);
    expect(await callPeer('queue', 500, call)).toBe('there');
    expect(drainPeerCalls().filter(({ labels }) => labels['peer'] === 'kv')).toEqual([
      { name: PEER_CALLS, labels: { peer: 'kv', outcome: 'refused' }, value: 1 },
    ]);
    await vi.advanceTimersByTimeAsync(openMaxMs);
    expect(await callPeer('kv', 500, call)).toBe('there');
    expect(await callPeer('kv', 500, call)).toBe('there');
  });

  it.each([
    ['a failure that the peer tells', new Failure('queue_unavailable', 'Later.', { retryAfterS: 5 })],
    ['an error of the code of an object', Object.assign(new Error('x'), { remote: true })],
  ])('is not opened by %s', async (_, error) => {
    await rejected(error);
    expect(await callPeer('kv', 500, async () => 'there')).toBe('there');
  });

  it.each(['retryable', 'overloaded'])('is opened by an object that is %s', async (mark) => {
    await rejected(Object.assign(new Error('x'), { remote: true, [mark]: true }));
    await expect(callPeer('kv', 500, async () => 'there')).rejects.toBeInstanceOf(PeerRefused);
  });

  it('lets one call of several through as a probe', async () => {
    await rejected(new Error('gone'));
    await vi.advanceTimersByTimeAsync(openMaxMs);
    const probe = callPeer('kv', 500, () => later(100, 'there'));
    await expect(callPeer('kv', 500, async () => 'too early')).rejects.toBeInstanceOf(PeerRefused);
    await vi.advanceTimersByTimeAsync(100);
    expect(await probe).toBe('there');
    expect(await callPeer('kv', 500, async () => 'again')).toBe('again');
  });
});

describe('a hedged call', () => {
  const time = { withTimeout };

  it('calls only the first while it answers in time', async () => {
    const second = vi.fn(() => later(1, 'second'));
    const answer = hedged(() => later(200, 'first'), second, 250, time);
    await vi.advanceTimersByTimeAsync(200);
    expect(await answer).toEqual({ answer: 'first', by: 'first' });
    expect(second).not.toHaveBeenCalled();
  });

  it('takes the earlier answer if the first is slow, and the second if the first hangs or fails', async () => {
    const slow = hedged(
      () => later(260, 'first'),
      () => later(100, 'second'),
      250,
      time,
    );
    const hung = hedged(
      () => never<string>(),
      () => later(100, 'second'),
      250,
      time,
    );
    await vi.advanceTimersByTimeAsync(350);
    expect(await slow).toEqual({ answer: 'first', by: 'first' });
    expect(await hung).toEqual({ answer: 'second', by: 'second' });
    const failed = hedged(
      () => Promise.reject(new Error('one')),
      () => later(100, 'second'),
      250,
      time,
    );
    await vi.advanceTimersByTimeAsync(100);
    expect(await failed).toEqual({ answer: 'second', by: 'second' });
  });

  it('fails with the error of the second if both fail', async () => {
    const both = hedged(
      () => Promise.reject(new Error('one')),
      () => Promise.reject(new Error('two')),
      250,
      time,
    );
    await expect(both).rejects.toThrow('two');
  });
});
