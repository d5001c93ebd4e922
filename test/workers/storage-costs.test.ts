import { runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { expect, it } from 'vitest';
import { KafkaSource, type SourceOf } from '../../durable-objects/kafka-source/object.ts';
import { OutboxRelay } from '../../durable-objects/outbox-relay/object.ts';
import { withTimeout } from '../../src/platform/clock.ts';
import type { KafkaRecord } from '../../src/storage/kafka.ts';
import { CountedStorage } from '../support/worker/counted-storage.ts';

/**
 * Counts what objects ask of their storage beside SQL as well: `get`, `put`, `delete` and alarms. The runtime has no
 * counter of the rows of these calls; the platform charges each as a row.
 */
function countedObject<Object_ extends object>(object: Object_, state: DurableObjectState) {
  const counted = new CountedStorage(state.storage);
  let calls: Record<string, number> = {};
  const storage = new Proxy(counted.storage, {
    get: (target, name) => {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== 'function' || typeof name === 'symbol') return value;
      return (...sent: unknown[]) => {
        calls[name] = (calls[name] ?? 0) + 1;
        return Reflect.apply(value, target, sent) as unknown;
      };
    },
  });
  Reflect.set(object, 'ctx', { storage, waitUntil: () => undefined });
  return {
    object,
    async step(work: () => Promise<unknown>) {
      calls = {};
      const { result, read, written } = await counted.countedLater(work);
      return { result, rows: [read, written], calls };
    },
  };
}

const RECORD: KafkaRecord = {
  topic: 'cost',
  partition: 0,
  offset: 7,
  key: null,
  value: '{}',
  headers: [],
  topicId: 'id',
};

it('lets KafkaSource read two rows for a step with records and write none, and set one alarm for its steps', async () => {
  await runInDurableObject(env.KAFKA_SOURCE.getByName('cost/0'), async (_, state) => {
    let steps = 0;
    let records: readonly KafkaRecord[] = [];
    const sourceOf: SourceOf = (at) => ({
      at,
      types: new Map(),
      now: () => 0,
      committed: async () => 7,
      earliest: async () => 0,
      fetch: async () => {
        steps += 1;
        return records;
      },
      store: async () => ({ duplicates: [], conflicts: [], refused: [] }),
      enqueue: async () => undefined,
      isOutage: () => false,
      relay: async () => undefined,
      commit: async () => undefined,
      lost: () => undefined,
      recreated: () => undefined,
    });
    const { object, step } = countedObject(new KafkaSource(state, env, sourceOf), state);
    const started = await step(() => object.start('cost', 0));
    expect(started.rows).toEqual([1, 1]);
    expect((await step(() => object.start('cost', 0))).rows).toEqual([1, 0]);
    const idle = await step(() => object.alarm());
    expect(steps).toBeGreaterThan(10);
    expect(idle.rows).toEqual([1 + steps, 0]);
    expect(idle.calls).toEqual({ setAlarm: 1 });
    records = [RECORD];
    steps = 0;
    const first = await step(() => object.alarm());
    // The id of the topic is written once.
    expect(first.rows).toEqual([1 + 2 * steps + 1, 1]);
    steps = 0;
    const reading = await step(() => object.alarm());
    expect(reading.rows).toEqual([1 + 2 * steps, 0]);
    expect(reading.calls).toEqual({ setAlarm: 1 });
    expect((await step(() => object.seek('cost', 0, 3))).rows).toEqual([2, 1]);
  });
});

it('lets OutboxRelay write a row for an alarm, one more if it was armed again, and none for a sweep', async () => {
  await runInDurableObject(env.OUTBOX_RELAY.getByName('cost'), async (_, state) => {
    const ports = {
      relay: () => ({
        readPending: async () => ({ changes: [], isFull: false, newestId: undefined }),
        invalidate: async () => ({ epoch: 'e', seq: 1 }),
        publish: async () => undefined,
        markRelayed: async () => undefined,
      }),
      isRefused: () => false,
      backfill: async () => false,
      openPass: async () => async () => undefined,
      withTimeout,
    };
    const { object, step } = countedObject(new OutboxRelay(state, env, ports), state);
    await state.storage.deleteAlarm();
    expect((await step(() => object.arm())).calls).toEqual({ getAlarm: 1, setAlarm: 1 });
    expect((await step(() => object.arm())).calls).toEqual({ getAlarm: 1, get: 1, put: 1 });
    for (let call = 0; call < 100; call += 1)
      expect((await step(() => object.arm())).calls).toEqual({ getAlarm: 1, get: 1 });
    expect((await step(() => object.sweepLive())).calls).toEqual({ getAlarm: 1, get: 1 });
    expect((await step(() => object.heartbeat())).calls).toEqual({});
    // A report of the features' states asks this of the relay.
    expect((await step(() => object.status())).calls).toEqual({ getAlarm: 1 });
    await state.storage.deleteAlarm();
    expect((await step(() => object.alarm())).calls).toEqual({ delete: 1, setAlarm: 1 });
    await state.storage.deleteAlarm();
    expect((await step(() => object.alarm())).calls).toEqual({ delete: 1 });
  });
});
