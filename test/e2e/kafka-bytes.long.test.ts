import { Producer } from '@platformatic/kafka';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Bridge, startBridge } from '../../deploy/kafka-rest-bridge/server.ts';
import { type Broker, KAFKA_JARS, startBroker } from '../kafka/support/broker.ts';
import { IS_PART } from '../support/node/part.ts';
import { eventually, type Stack, startStack } from '../support/node/stack.ts';

/** Records whose bytes are not UTF-8, as a producer of another encoding writes them to a real broker. */

const CREDENTIALS = { username: 'bytes', password: 'secret' };
const TOPIC = 'bytes.events';
const SKIPPED = IS_PART ? ' (skipped: a part)' : ' (skipped: TEST_KAFKA_JARS is not set)';
const TITLE = `a Kafka broker${KAFKA_JARS && !IS_PART ? '' : SKIPPED}`;

const latin1 = (text: string) => Buffer.from(text, 'latin1');
const event = (id: string) =>
  JSON.stringify({
    specversion: '1.0',
    id,
    source: '/bytes',
    type: 'shop.purchase.v1',
    time: '2026-11-01T00:00:00Z',
    data: { invoice: '1', sku: 'B', quantity: 1, unitPrice: 1, customerId: '1', country: 'France' },
  });

describe.skipIf(!KAFKA_JARS || IS_PART)(`records of other bytes than UTF-8 on ${TITLE}`, () => {
  let broker: Broker;
  let bridge: Bridge;
  let stack: Stack;
  beforeAll(async () => {
    broker = await startBroker(KAFKA_JARS ?? '');
    bridge = await startBridge({
      port: 0,
      ...CREDENTIALS,
      backend: { kafka: { brokers: [broker.address], createPartitions: 1, tls: false } },
      report: () => undefined,
    });
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
    await broker[Symbol.asyncDispose]();
  });

  it('are kept in quarantine as they came, and delay no other record', async () => {
    const authorization = `Basic ${Buffer.from(`${CREDENTIALS.username}:${CREDENTIALS.password}`).toString('base64')}`;
    // The bridge creates the topic.
    await fetch(new URL(`/produce/${TOPIC}`, bridge.url), {
      method: 'POST',
      headers: { authorization },
      body: JSON.stringify({ value: event('first') }),
    });
    const producer = new Producer({ clientId: 'bytes', bootstrapBrokers: [broker.address] });
    // Replacement characters would make one event of the first two.
    const values = [latin1(event('\xe9')), latin1(event('\xe8')), Buffer.from(event('good'))];
    const binaryKey = Buffer.from([0, 0, 0xff]);
    await producer.send({
      messages: [
        ...values.map((value) => ({ topic: TOPIC, partition: 0, key: binaryKey, value })),
        {
          topic: TOPIC,
          partition: 0,
          value: Buffer.from('{}'),
          headers: new Map([
            [Buffer.from('ce_specversion'), Buffer.from('1.0')],
            [Buffer.from('ce_id'), latin1('\xe9')],
          ]),
        },
        { topic: TOPIC, partition: 0, value: Buffer.from(event('last')) },
      ],
    });
    await producer.close();
    await stack.scheduled();
    const stored = await eventually(
      () => stack.sql(`select id as event_id from millrace.events where source = '/bytes' order by seq`),
      (rows) => rows.some((row) => row['event_id'] === 'last'),
      60_000,
    );
    expect(stored.map((row) => row['event_id'])).toEqual(['first', 'good', 'last']);
    // The offset is committed after everything else.
    const report = async () =>
      JSON.parse((await stack.caller.ask('GET', '/v1/admin/kafka')).text) as {
        partitions: { lag: number; failures: number }[];
      };
    const { partitions } = await eventually(report, (one) => one.partitions[0]?.lag === 0, 30_000);
    expect(partitions).toMatchObject([{ lag: 0, failures: 0 }]);
    const kept = await stack.sql('select reason, raw from millrace.quarantine order by id');
    expect(kept.map(({ reason }) => reason)).toEqual(['not_utf8', 'not_utf8', 'not_utf8']);
    const of = (offset: number) => ({ kafka: { topic: TOPIC, partition: 0, offset } });
    expect(kept.map(({ raw }) => raw)).toMatchObject([
      { ...of(1), valueBase64: values[0]?.toString('base64') },
      { ...of(2), valueBase64: values[1]?.toString('base64') },
      {
        kafka: {
          ...of(4).kafka,
          headers: [
            { key: 'ce_specversion', value: '1.0' },
            { key: 'ce_id', valueBase64: latin1('\xe9').toString('base64') },
          ],
        },
        value: '{}',
      },
    ]);
  });
});
