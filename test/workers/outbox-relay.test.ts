import { runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { expect, it } from 'vitest';

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
