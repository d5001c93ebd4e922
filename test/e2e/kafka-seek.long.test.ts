import { Admin } from '@platformatic/kafka';
import { Kafka } from '@upstash/kafka';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as z from 'zod';
import { type Bridge, startBridge } from '../../deploy/kafka-rest-bridge/server.ts';
import { WRITTEN_EXAMPLES } from '../../src/gateway/contract/written-examples.ts';
import { type Broker, KAFKA_JARS, startBroker } from '../kafka/support/broker.ts';
import { differences } from '../support/gateway/agree.ts';
import { gateTo, startCli } from '../support/node/cli.ts';
import { IS_PART } from '../support/node/part.ts';
import { eventually, type Stack, startStack } from '../support/node/stack.ts';

const CREDENTIALS = { username: 'shop', password: 'secret' };
const TOPIC = 'shop.events';
const GROUP = 'millrace';
const BROKER_TITLE = KAFKA_JARS ? 'a Kafka broker' : 'a Kafka broker (skipped: TEST_KAFKA_JARS is not set)';

const Report = z.object({
  partitions: z.tuple([
    z.object({
      committed: z.int().nullable(),
      latest: z.int(),
      lag: z.int(),
      failures: z.int(),
      lastError: z.string().nullable(),
    }),
  ]),
});

// In part, CI has time for one broker in end-to-end tests: that of kafka.long.test.ts.
describe.skipIf(!KAFKA_JARS || IS_PART)(
  `a topic of ${BROKER_TITLE} that is deleted and created again`,
  () => {
    let broker: Broker;
    let bridge: Bridge;
    let admin: Admin;
    let kafka: Kafka;
    let stack: Stack;
    /** Ids of all events that were produced to any of the topics. */
    const produced = new Set<string>();

    beforeAll(async () => {
      broker = await startBroker(KAFKA_JARS ?? '');
      bridge = await open(0);
      admin = new Admin({ clientId: 'operator', bootstrapBrokers: [broker.address] });
      kafka = new Kafka({ url: bridge.url, ...CREDENTIALS });
      await create();
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
      await admin.close();
      await broker[Symbol.asyncDispose]();
    });

    const open = (port: number) =>
      startBridge({
        port,
        ...CREDENTIALS,
        backend: { kafka: { brokers: [broker.address], tls: false } },
        report: () => undefined,
      });
    const create = () => admin.createTopics({ topics: [TOPIC], partitions: 1, replicas: 1 });
    const recreate = async () => {
      await admin.deleteTopics({ topics: [TOPIC] });
      // The broker may still be deleting the topic of this name.
      await eventually(
        () =>
          create().then(
            () => true,
            () => false,
          ),
        (isCreated) => isCreated,
        30_000,
      );
    };
    const event = (id: string) => ({
      specversion: '1.0',
      id,
      source: '/kafka',
      type: 'shop.purchase.v1',
      time: '2026-11-01T00:00:00Z',
      data: { invoice: id, sku: 'SEEK', quantity: 2, unitPrice: 1, customerId: '1', country: 'France' },
    });
    /** Produces the events `<name>0` to `<name><count - 1>`. Until the bridge knows a new topic, it refuses them. */
    const produce = async (name: string, count: number) => {
      const ids = Array.from({ length: count }, (_, n) => `${name}${n}`);
      const messages = ids.map((id) => ({ topic: TOPIC, key: id, value: event(id) }));
      await eventually(
        () =>
          kafka
            .producer()
            .produceMany(messages)
            .then(() => '', String),
        (refusal) => refusal === '',
        30_000,
      );
      for (const id of ids) produced.add(id);
    };
    const report = async () => {
      const { json } = await stack.caller.ask('GET', '/v1/admin/kafka');
      return Report.safeParse(json).data?.partitions[0];
    };
    const caughtUp = () =>
      eventually(report, (now) => now !== undefined && now.lag === 0 && now.committed === now.latest, 60_000);
    /** Every event that was ever produced is stored, and its row counts once. */
    const expectAllOnce = async () => {
      const [stored] = await stack.sql(
        `select count(*) as n, count(distinct id) as ids from millrace.events where source = '/kafka'`,
      );
      const all = String(produced.size);
      expect(stored).toEqual({ n: all, ids: all });
      const [rows] = await stack.sql('select count(*) as n, sum(quantity) as units from purchases');
      expect(rows).toEqual({ n: all, units: String(2 * produced.size) });
      expect(await stack.sql('select reason from millrace.quarantine')).toEqual([]);
    };

    it('is read from its beginning, whether it has fewer records than before or more', async () => {
      await produce('first', 40);
      await stack.scheduled();
      await caughtUp();
      await expectAllOnce();
      for (const [name, count] of [
        ['fewer', 10],
        ['more', 100],
      ] as const) {
        await recreate();
        await produce(name, count);
        // Some events of the deleted topic are produced again.
        await produce('first', 5);
        await eventually(report, (now) => now?.committed === count + 5, 60_000);
        await expectAllOnce();
      }
    }, 240_000);

    it('is read from its beginning, too, where the group has an offset of the old topic', async () => {
      for (const [name, count] of [
        ['late-fewer', 20],
        ['late-more', 150],
      ] as const) {
        const before = (await caughtUp())?.latest ?? 0;
        expect(before).toBeGreaterThan(count === 20 ? 50 : 0);
        // The reader rests meanwhile: it must not see the new topic before the late commit.
        await bridge.stop();
        await recreate();
        bridge = await open(Number(new URL(bridge.url).port));
        // A step that began on the old topic may commit its offset after the new one was created.
        const offset = { topic: TOPIC, partition: 0, offset: before };
        await eventually(
          () =>
            kafka
              .consumer()
              .commit({ consumerGroupId: GROUP, instanceId: 'late', offset })
              .then(
                () => true,
                () => false,
              ),
          (isCommitted) => isCommitted,
          30_000,
        );
        await produce(name, count);
        await eventually(report, (now) => now?.committed === count && now.lag === 0, 90_000);
        await expectAllOnce();
      }
    }, 300_000);

    it('stalls where the group has an offset that the topic never had, and goes on after the command that the error names', async () => {
      const latest = (await caughtUp())?.latest ?? 0;
      const before = latest + 1_000;
      const offset = { topic: TOPIC, partition: 0, offset: before };
      await kafka.consumer().commit({ consumerGroupId: GROUP, instanceId: 'by-hand', offset });
      const stalled = await eventually(report, (now) => (now?.failures ?? 0) >= 2, 60_000);
      expect(stalled).toMatchObject({ committed: before, latest, lag: latest });
      expect(stalled?.lastError).toContain(`Partition 0 of the topic ${TOPIC} ends before offset ${before}`);
      const [, args = ''] = /`npm run cli -- ([^`]+)`/.exec(stalled?.lastError ?? '') ?? [];
      const gate = await gateTo(stack);
      const { text, code } = await startCli(gate.url, ...args.split(' ')).ended;
      gate.close();
      expect(text).toContain(`Partition 0 of ${TOPIC} is now read from offset 0.`);
      expect(code).toBe(0);
      const again = await stack.caller.ask('POST', '/v1/admin/kafka/seek', {
        json: { topic: TOPIC, partition: 0, to: 'earliest' },
      });
      expect(again.status).toBe(202);
      expect(differences(WRITTEN_EXAMPLES['seekKafkaPartition']?.['202'], again.json)).toEqual([]);
      const resumed = await eventually(report, (now) => now?.lag === 0 && now.failures === 0, 60_000);
      expect(resumed).toMatchObject({ committed: latest, latest, lastError: null });
      await expectAllOnce();
    }, 240_000);
  },
);
