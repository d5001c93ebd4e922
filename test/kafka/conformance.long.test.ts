import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Kafka, type Message } from '@upstash/kafka';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Bridge, type BridgeOptions, startBridge } from '../../deploy/kafka-rest-bridge/server.ts';
import { type Broker, KAFKA_JARS, startBroker } from './support/broker.ts';

const USERNAME = 'conformance';
const PASSWORD = 'pa:ss-word';
const PARTITIONS = 3;
/** A group of a real broker takes some seconds to agree. */
const TIMEOUT_MS = 60_000;
const BROKER_TITLE = KAFKA_JARS ? 'a Kafka broker' : 'a Kafka broker (skipped: TEST_KAFKA_JARS is not set)';

const folder = mkdtempSync(join(tmpdir(), 'millrace-bridge-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

conformance('the log on this disk', async () => ({ backend: { log: { folder, partitions: PARTITIONS } } }));

describe.skipIf(!KAFKA_JARS)(BROKER_TITLE, () => {
  let broker: Broker;
  afterAll(() => broker[Symbol.asyncDispose]());
  conformance('by its own protocol', async () => {
    broker = await startBroker(KAFKA_JARS ?? '');
    return { backend: { kafka: { brokers: [broker.address], createPartitions: PARTITIONS, tls: false } } };
  });
});

/** What the protocol promises, whatever is behind it, to the client that speaks it in the worker. */
function conformance(title: string, open: () => Promise<Pick<BridgeOptions, 'backend'>>): void {
  describe(title, { timeout: TIMEOUT_MS }, () => {
    let bridge: Bridge;
    let kafka: Kafka;
    let made = 0;
    beforeAll(async () => {
      const credentials = { username: USERNAME, password: PASSWORD };
      bridge = await startBridge({ port: 0, ...credentials, ...(await open()), report: () => undefined });
      kafka = new Kafka({ url: bridge.url, ...credentials });
    }, TIMEOUT_MS * 2);
    afterAll(() => bridge.stop(), TIMEOUT_MS);

    const name = (what: string) => {
      made += 1;
      return `${what}-${made}`;
    };
    const basic = `Basic ${Buffer.from(`${USERNAME}:${PASSWORD}`).toString('base64')}`;
    /** What the client cannot send. */
    const raw = async (path: string, init: RequestInit = {}, authorization: string | null = basic) => {
      const headers = new Headers(init.headers);
      if (authorization !== null) headers.set('authorization', authorization);
      const response = await fetch(new URL(path, bridge.url), { ...init, headers });
      return { status: response.status, json: (await response.json()) as Record<string, unknown> };
    };
    const consumer = (group: string, instance: string, topic: string, over: object = {}) => ({
      consumerGroupId: group,
      instanceId: instance,
      topics: [topic],
      autoCommit: false,
      autoOffsetReset: 'earliest' as const,
      timeout: 2_000,
      ...over,
    });
    /** Consumes until `count` messages have come, or for so long that they never will. */
    const consume = async (request: ReturnType<typeof consumer>, count: number): Promise<Message[]> => {
      const seen: Message[] = [];
      for (let asked = 0; seen.length < count && asked < 20; asked += 1)
        seen.push(...(await kafka.consumer().consume(request)));
      return seen;
    };
    const valuesOf = (messages: readonly Message[]) => messages.map(({ value }) => value).toSorted();

    it('takes one message, an array of them, and one in the path', async () => {
      const topic = name('produce');
      const producer = kafka.producer();
      const headers = [{ key: 'h', value: 'ü' }];
      const one = await producer.produce(topic, 'text', {
        key: 'k',
        partition: 1,
        timestamp: 1_000,
        headers,
      });
      expect(one).toEqual({ topic, partition: 1, offset: 0, timestamp: 1_000 });
      const many = await producer.produceMany([
        { topic, value: { a: 1 }, partition: 1 },
        { topic, value: 'ünï', partition: 2 },
      ]);
      expect(many).toMatchObject([
        { topic, partition: 1, offset: 1 },
        { topic, partition: 2, offset: 0 },
      ]);
      const inPath = await raw(`/produce/${topic}/in%2Fthe%20path?key=k`);
      expect(inPath).toMatchObject({ status: 200, json: { topic } });
      const at = async (offset: number) => {
        const [message] = await kafka.consumer().fetch({ topic, partition: 1, offset, timeout: 1_000 });
        if (message !== undefined && 'topicId' in message) delete message.topicId;
        return message;
      };
      expect(await at(0)).toEqual({
        topic,
        partition: 1,
        offset: 0,
        timestamp: 1_000,
        key: 'k',
        value: 'text',
        headers,
      });
      expect(await at(1)).toMatchObject({ offset: 1, value: '{"a":1}' });
    });

    it('puts equal keys in one partition, in order', async () => {
      const topic = name('keys');
      const messages = Array.from({ length: 60 }, (_, n) => ({ topic, key: `k${n % 6}`, value: String(n) }));
      const placed = await kafka.producer().produceMany(messages);
      for (let key = 0; key < 6; key += 1) {
        const own = placed.filter((_, n) => n % 6 === key);
        expect(new Set(own.map(({ partition }) => partition)).size).toBe(1);
        const offsets = own.map(({ offset }) => offset);
        expect(offsets).toEqual(offsets.toSorted((a, b) => a - b));
      }
      expect(new Set(placed.map(({ partition }) => partition)).size).toBeGreaterThan(1);
    });

    it('fetches from several partitions, and nothing beyond the end', async () => {
      const topic = name('fetch');
      await kafka.producer().produceMany([
        { topic, value: 'a', partition: 0 },
        { topic, value: 'b', partition: 1 },
        { topic, value: 'c', partition: 1 },
      ]);
      const position = (partition: number, offset: number) => ({ topic, partition, offset });
      const fetched = await kafka
        .consumer()
        .fetch(
          { topicPartitionOffsets: [position(0, 0), position(1, 1)], timeout: 1_000 },
          { parallel: false },
        );
      expect(valuesOf(fetched)).toEqual(['a', 'c']);
      expect(await kafka.consumer().fetch({ ...position(0, 1), timeout: 200 })).toEqual([]);
      const beyond = await raw('/fetch', {
        method: 'POST',
        body: JSON.stringify({ ...position(0, 1_000), timeout: 200 }),
      });
      expect(beyond.status).toBeGreaterThanOrEqual(400);
    });

    it('delivers uncommitted records again, and committed ones never', async () => {
      const topic = name('commit');
      const group = name('group');
      await kafka
        .producer()
        .produceMany(['1', '2', '3', '4'].map((value) => ({ topic, value, partition: 0 })));
      const first = await consume(consumer(group, 'a', topic), 4);
      expect(first.map(({ value }) => value)).toEqual(['1', '2', '3', '4']);
      const topicPartitions = [{ topic, partition: 0 }];
      const committed = () =>
        kafka.consumer().committed({ consumerGroupId: group, instanceId: 'a', topicPartitions });
      expect((await committed())[0]?.offset).toBe(-1);
      const offset = { topic, partition: 0, offset: 2 };
      await kafka.consumer().commit({ consumerGroupId: group, instanceId: 'a', offset });
      expect(await committed()).toEqual([offset]);
      await kafka.admin().removeConsumerInstance(group, 'a');
      const second = await consume(consumer(group, 'b', topic), 2);
      expect(second.map(({ value }) => value)).toEqual(['3', '4']);
      await kafka.consumer().commit({ consumerGroupId: group, instanceId: 'b' });
      expect((await committed())[0]?.offset).toBe(4);
      await kafka.admin().removeConsumerInstance(group, 'b');
    });

    it('commits automatically on request', async () => {
      const topic = name('auto');
      const group = name('group');
      await kafka.producer().produce(topic, 'once', { partition: 0 });
      const auto = consumer(group, 'a', topic, { autoCommit: true, autoCommitInterval: 100 });
      expect(valuesOf(await consume(auto, 1))).toEqual(['once']);
      await kafka.admin().removeConsumerInstance(group, 'a');
      const topicPartition = { topic, partition: 0 };
      const [committed] = await kafka
        .admin()
        .committedOffsets({ consumerGroupId: group, instanceId: 'a', topicPartition });
      expect(committed?.offset).toBe(1);
    });

    it('begins at the end of a partition, or refuses, as configured, if no offset is committed', async () => {
      const topic = name('reset');
      await kafka.producer().produce(topic, 'before', { partition: 0 });
      const latest = consumer(name('group'), 'a', topic, { autoOffsetReset: 'latest', timeout: 3_000 });
      expect(await kafka.consumer().consume(latest)).toEqual([]);
      // A group of a broker may still be coming together: what comes next is what it begins with.
      for (let asked = 0; asked < 10; asked += 1) {
        await kafka.producer().produce(topic, 'after', { partition: 0 });
        const seen = await kafka.consumer().consume(latest);
        expect(valuesOf(seen)).not.toContain('before');
        if (seen.length > 0) return;
      }
      throw new Error('Nothing ever came.');
    });

    it('assigns each partition of a group to one instance', async () => {
      const topic = name('instances');
      const group = name('group');
      await kafka.producer().produce(topic, 'first', { partition: 0 });
      await consume(consumer(group, 'a', topic), 1);
      await kafka.consumer().consume(consumer(group, 'b', topic, { timeout: 500 }));
      const shares = async () => {
        await Promise.all(
          ['a', 'b'].map((instance) =>
            kafka.consumer().consume(consumer(group, instance, topic, { timeout: 500 })),
          ),
        );
        const groups = await kafka.admin().consumers();
        const own = groups.find((one) => one.name === group)?.instances ?? [];
        return own.flatMap(({ topics }) => topics.flatMap(({ partitions }) => [partitions]));
      };
      let found: number[][] = [];
      for (let asked = 0; asked < 20; asked += 1) {
        found = await shares();
        if (found.length === 2 && found.flat().length === PARTITIONS) break;
      }
      expect(found).toHaveLength(2);
      expect(found.flat().toSorted()).toEqual([0, 1, 2]);
      for (const instance of ['a', 'b']) await kafka.admin().removeConsumerInstance(group, instance);
      expect((await kafka.admin().consumers()).find((one) => one.name === group)).toBeUndefined();
    });

    it('lists its topics, and where their partitions begin and end', async () => {
      const topic = name('offsets');
      await kafka.producer().produceMany([
        { topic, value: 'a', partition: 0, timestamp: 1_000 },
        { topic, value: 'b', partition: 0, timestamp: 2_000 },
      ]);
      expect((await kafka.admin().topics())[topic]).toBe(PARTITIONS);
      const topicPartitions = [0, 1].map((partition) => ({ topic, partition }));
      const at = async (timestamp: number | 'earliest' | 'latest') =>
        (await kafka.admin().topicPartitionOffsets({ timestamp, topicPartitions })).map(
          ({ offset }) => offset,
        );
      expect(await at('earliest')).toEqual([0, 0]);
      expect(await at('latest')).toEqual([2, 0]);
      expect((await at(1_500))[0]).toBe(1);
    });

    it('refuses other credentials, and says what is wrong with a request', async () => {
      const wrong = `Basic ${Buffer.from(`${USERNAME}:wrong`).toString('base64')}`;
      for (const authorization of [null, wrong, 'Bearer x']) {
        const refused = await raw('/topics', {}, authorization);
        expect(refused).toMatchObject({ status: 401, json: { status: 401, error: expect.any(String) } });
      }
      const post = (
        path: string,
        body: string | Uint8Array<ArrayBuffer>,
        headers: Record<string, string> = {},
      ) => raw(path, { method: 'POST', body, headers });
      const refusals = await Promise.all([
        raw('/nothing'),
        raw('/topics', { method: 'POST' }),
        post('/produce', '{'),
        post('/produce', '[]'),
        post('/produce', JSON.stringify({ topic: '../x', value: '' })),
        post('/produce', JSON.stringify({ topic: name('t'), value: 1 })),
        post('/produce', JSON.stringify({ topic: name('t'), value: 'x', partition: 99 })),
        post('/consume/g/i', '{}'),
        post('/consume/g/i', JSON.stringify({ topic: name('t') }), { 'Kafka-Enable-Auto-Commit': 'perhaps' }),
        post('/commit/nobody/nowhere', ''),
        post('/produce', JSON.stringify({ topic: name('t'), value: 'x'.repeat(1_100_000) })),
        // What is not UTF-8 is refused, and never altered.
        post('/produce', Buffer.from(`{"topic":"${name('t')}","value":"\xe9"}`, 'latin1')),
        post('/produce', `{"topic":"${name('t')}","value":"\\ud800"}`),
        raw(`/produce/${name('t')}/%ff`),
        raw(`/produce/${name('t')}/x?key=%ff`),
      ]);
      expect(refusals.map(({ status }) => status)).toEqual([
        404, 405, 400, 400, 400, 400, 404, 400, 400, 404, 413, 400, 400, 400, 400,
      ]);
      for (const { status, json } of refusals)
        expect(json).toMatchObject({ status, error: expect.any(String) });
    });

    it('accepts a thousand messages and delivers each once', async () => {
      const topic = name('many');
      const group = name('group');
      const values = Array.from({ length: 1_000 }, (_, n) => String(n).padStart(4, '0'));
      await kafka.producer().produceMany(values.map((value) => ({ topic, value, key: value })));
      expect(valuesOf(await consume(consumer(group, 'a', topic), 1_000))).toEqual(values);
      await kafka.admin().removeConsumerInstance(group, 'a');
    });
  });
}
