import { runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { expect, it } from 'vitest';
import { OutboxRelay } from '../../durable-objects/outbox-relay/object.ts';
import { withTimeout } from '../../src/platform/clock.ts';
import type { PendingChange } from '../../src/storage/postgres/outbox.ts';
import { ManualTime } from '../support/workers/manual-time.ts';

/** A relay that relays what it is given. */
const RELAYS = {
  invalidate: async () => ({ epoch: 'e', seq: 1 }),
  publish: async () => undefined,
  markRelayed: async () => undefined,
};
const USUAL = {
  isRefused: () => false,
  backfill: async () => false,
  openPass: async () => async () => undefined,
};

/** No database listens in these tests, so every sweep fails: what has to hold then is that none is forgotten. */

it('retries with growing delays while the database is unavailable', async () => {
  const relay = env.OUTBOX_RELAY.getByName('main');
  const alarmIn = async () =>
    await runInDurableObject(relay, async (_, state) => ((await state.storage.getAlarm()) ?? 0) - Date.now());
  await relay.arm();
  expect(await alarmIn()).toBeGreaterThan(0);
  expect(await runDurableObjectAlarm(relay)).toBe(true);
  const first = await alarmIn();
  expect(first).toBeGreaterThan(2_000);
  expect(await runDurableObjectAlarm(relay)).toBe(true);
  const second = await alarmIn();
  expect(second).toBeGreaterThan(first);
  expect(second).toBeLessThan(60_001);
});

it('is armed by a failing sweep, and reports the failure to the caller', async () => {
  const relay = env.OUTBOX_RELAY.getByName('another');
  // Inside the object: a rejection that crosses the call is reported a second time by the test runtime.
  await runInDurableObject(relay, async (object, state) => {
    await expect(object.sweep()).rejects.toThrow();
    expect(await state.storage.getAlarm()).not.toBeNull();
  });
});

it('rings once more after an alarm that may have come before the commit of a caller', async () => {
  const relay = env.OUTBOX_RELAY.getByName('third');
  await runInDurableObject(relay, async (_, state) => {
    const instance = () =>
      new OutboxRelay(state, env, {
        relay: () => ({
          readPending: async () => ({ changes: [], isFull: false, newestId: undefined }),
          ...RELAYS,
        }),
        ...USUAL,
        withTimeout,
      });
    /** The alarm fires and finds nothing; whether another one follows. */
    const ring = async (object: OutboxRelay) => {
      await state.storage.deleteAlarm();
      await object.alarm();
      return (await state.storage.getAlarm()) !== null;
    };
    const object = instance();
    await object.arm();
    await object.arm();
    expect(await ring(object)).toBe(true);
    expect(await ring(object)).toBe(false);
    await object.arm();
    expect(await ring(object)).toBe(false);
    // The next instance knows from storage that the evicted one was called again.
    await object.arm();
    await object.arm();
    const next = instance();
    expect(await ring(next)).toBe(true);
    expect(await ring(next)).toBe(false);
  });
});

it('remembers when the cron last called, and whether its alarm fails', async () => {
  const relay = env.OUTBOX_RELAY.getByName('diagnosed');
  const begunAt = Date.now();
  await runInDurableObject(relay, async (object) => {
    await expect(object.heartbeat()).rejects.toThrow();
    expect(await object.status()).toMatchObject({ cronAtMs: null, alarmAtMs: null, failures: 0 });
    await expect(object.heartbeat('cron')).rejects.toThrow();
    await object.arm();
    await object.alarm();
  });
  const { startedAtMs, cronAtMs, alarmAtMs, failures } = await relay.status();
  expect(startedAtMs).toBeGreaterThanOrEqual(begunAt);
  expect(cronAtMs).toBeGreaterThanOrEqual(begunAt);
  expect(alarmAtMs).toBeGreaterThan(begunAt);
  expect(failures).toBe(1);
});

it('a long sweep is answered step by step while it makes progress, and goes on', async () => {
  const relay = env.OUTBOX_RELAY.getByName('fourth');
  await runInDurableObject(relay, async (_, state) => {
    const time = new ManualTime();
    // Three full passes of 6 s each, and one that finds the rest.
    let pending = 4;
    const readPending = async () => {
      await time.sleep(6_000);
      pending -= 1;
      const isFull = pending > 0;
      const change = { outboxId: 10 - pending, lane: 'live', tags: ['a:1'] } as unknown as PendingChange;
      return { changes: [change], isFull, newestId: 100 };
    };
    const object = new OutboxRelay(state, env, {
      relay: () => ({
        readPending,
        ...RELAYS,
      }),
      ...USUAL,
      withTimeout: time.withTimeout,
    });
    const first = object.sweepStep();
    await time.pass(10_000);
    expect(await first).toEqual({ relayed: 1, isOver: false });
    await time.pass(20_000);
    const second = object.sweepStep();
    await time.pass(6_000);
    expect(await second).toEqual({ relayed: 1, isOver: true });
    expect(pending).toBe(-1);
  });
});

it('a sweep without progress is waited for, and its failure is told', async () => {
  const relay = env.OUTBOX_RELAY.getByName('fifth');
  await runInDurableObject(relay, async (_, state) => {
    const time = new ManualTime();
    const object = new OutboxRelay(state, env, {
      relay: () => ({
        readPending: async () => {
          await time.sleep(25_000);
          throw new Error('The database is away.');
        },
        ...RELAYS,
      }),
      ...USUAL,
      withTimeout: time.withTimeout,
    });
    const failing = expect(object.sweepStep()).rejects.toThrow('The database is away.');
    await time.pass(25_000);
    await failing;
  });
});

it('a heartbeat is answered after a step of a long sweep, and moves the watermark at the end of the sweep', async () => {
  const relay = env.OUTBOX_RELAY.getByName('sixth');
  await runInDurableObject(relay, async (_, state) => {
    const time = new ManualTime();
    let pending = 3;
    let isClosed = false;
    const object = new OutboxRelay(state, env, {
      relay: () => ({
        readPending: async () => {
          await time.sleep(6_000);
          pending -= 1;
          const change = {
            outboxId: 10 - pending,
            lane: 'live',
            tags: ['a:1'],
          } as unknown as PendingChange;
          return { changes: [change], isFull: pending > 0, newestId: 100 };
        },
        ...RELAYS,
      }),
      ...USUAL,
      openPass: async () => async () => {
        isClosed = true;
      },
      withTimeout: time.withTimeout,
    });
    let isAnswered = false;
    const beating = object.heartbeat().then(() => {
      isAnswered = true;
    });
    await time.pass(9_000);
    expect(isAnswered).toBe(false);
    await time.pass(1_000);
    await beating;
    expect([isClosed, pending]).toEqual([false, 2]);
    await time.pass(8_000);
    expect([isClosed, pending]).toEqual([true, 0]);
  });
});
