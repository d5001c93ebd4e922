import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Kafka } from '@upstash/kafka';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Bridge, startBridge } from '../../deploy/kafka-rest-bridge/server.ts';
import { IS_PART } from '../support/node/part.ts';
import { eventually, type Stack, startStack } from '../support/node/stack.ts';

const CREDENTIALS = { username: 'shop', password: 'secret' };
const TOPIC = 'shop.events';
const EVENTS = 12_000;
const CUSTOMERS = 50;

const folder = mkdtempSync(join(tmpdir(), 'millrace-kafka-kill-'));
let bridge: Bridge;
let stack: Stack;

beforeAll(async () => {
  const backend = { log: { folder, partitions: 3 } };
  bridge = await startBridge({ port: 0, ...CREDENTIALS, backend, report: () => undefined });
  stack = await startStack({
    KAFKA_REST_URL: bridge.url,
    KAFKA_REST_USERNAME: CREDENTIALS.username,
    KAFKA_REST_PASSWORD: CREDENTIALS.password,
    KAFKA_SOURCE_TOPICS: TOPIC,
  });
});
afterAll(async () => {
  await stack[Symbol.asyncDispose]();
  await bridge.stop();
  rmSync(folder, { recursive: true, force: true });
});

async function stored(): Promise<number> {
  return Number(
    (await stack.sql(`select count(*) as n from millrace.events where source = '/kill'`))[0]?.['n'],
  );
}

/** Features are not compared: the local queues live in memory and die with the runtime, which the platform's do not. */
it.skipIf(IS_PART)(
  'a runtime that is killed twice while it reads from Kafka loses no record and stores none twice',
  async () => {
    const producer = new Kafka({ url: bridge.url, ...CREDENTIALS }).producer();
    const all = Array.from({ length: EVENTS }, (_, n) => ({
      specversion: '1.0',
      id: `e${n}`,
      source: '/kill',
      type: 'shop.purchase.v1',
      time: '2026-11-01T00:00:00Z',
      data: {
        invoice: `i${n}`,
        sku: `KILL${n % 100}`,
        quantity: 2,
        unitPrice: 1,
        customerId: String(n % CUSTOMERS),
        country: 'France',
      },
    }));
    for (let from = 0; from < EVENTS; from += 1_000)
      await producer.produceMany(
        all.slice(from, from + 1_000).map((value) => ({ topic: TOPIC, key: value.id, value })),
      );
    await stack.scheduled();
    for (const share of [0, 0.5]) {
      await eventually(stored, (count) => count > share * EVENTS, 60_000);
      stack.killRuntime();
      expect(await stored()).toBeLessThan(EVENTS);
    }
    await eventually(stored, (count) => count === EVENTS, 120_000);
    const [sums] = await stack.sql(
      `select count(*) as n, sum(quantity) as units, count(distinct customer_id) as customers from purchases`,
    );
    expect(sums).toEqual({ n: String(EVENTS), units: String(2 * EVENTS), customers: String(CUSTOMERS) });
    const [kept] = await stack.sql('select count(*) as n from millrace.quarantine');
    expect(kept).toEqual({ n: '0' });
  },
  240_000,
);
