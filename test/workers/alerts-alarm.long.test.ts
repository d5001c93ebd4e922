import { env, evictDurableObject, runDurableObjectAlarm } from 'cloudflare:test';
import { expect, it } from 'vitest';

// With the ports of the deployment: each evaluation waits for a database that is not there, until its deadline.
it('the object of the alerts is woken once, and then wakes itself', async () => {
  const stub = env.ALERTS.getByName('woken');
  await stub.wake();
  await stub.wake();
  expect(await runDurableObjectAlarm(stub)).toBe(true);
  await evictDurableObject(stub);
  expect(await runDurableObjectAlarm(stub)).toBe(true);
  expect((await stub.report()).evaluatedMs).toBeGreaterThan(0);
});
