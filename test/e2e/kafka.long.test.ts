import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Kafka } from '@upstash/kafka';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Bridge, type BridgeOptions, startBridge } from '../../deploy/kafka-rest-bridge/server.ts';
import { type Broker, KAFKA_JARS, startBroker } from '../kafka/support/broker.ts';
import { gateTo, startCli } from '../support/node/cli.ts';
import { IS_PART } from '../support/node/part.ts';
import { eventually, type Stack, startStack } from '../support/node/stack.ts';

const CREDENTIALS = { username: 'shop', password: 'secret' };
const TOPIC = 'shop.events';
const SINK = 'shop.changes';
const BROKER_TITLE = KAFKA_JARS ? 'a Kafka broker' : 'a Kafka broker (skipped: TEST_KAFKA_JARS is not set)';

// test/kafka holds the log against a broker.
describe.skipIf(IS_PART && KAFKA_JARS !== undefined)('the log on this disk', () => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-kafka-source-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  speaksKafka(async () => ({ log: { folder, partitions: 3 } }));
});

describe.skipIf(!KAFKA_JARS)(BROKER_TITLE, () => {
  let broker: Broker;
  afterAll(() => broker[Symbol.asyncDispose]());
  speaksKafka(async () => {
    broker ??= await startBroker(KAFKA_JARS ?? '');
    return { kafka: { brokers: [broker.address], createPartitions: 3, tls: false } };
  });
});

/** The built worker reads from a Kafka and writes to it. */
function speaksKafka(backendOf: () => Promise<BridgeOptions['backend']>): void {
  let bridge: Bridge;
  let stack: Stack;
  let kafka: Kafka;

  const open = async (port: number) =>
    await startBridge({ port, ...CREDENTIALS, backend: await backendOf(), report: () => undefined });

  beforeAll(async () => {
    bridge = await open(0);
    kafka = new Kafka({ url: bridge.url, ...CREDENTIALS });
    await kafka.producer().produce(TOPIC, 'no event at all', { partition: 0 });
    stack = await startStack({
      KAFKA_REST_URL: bridge.url,
      KAFKA_REST_USERNAME: CREDENTIALS.username,
      KAFKA_REST_PASSWORD: CREDENTIALS.password,
      KAFKA_SOURCE_TOPICS: TOPIC,
      KAFKA_SINK_TOPIC: SINK,
    });
  });
  afterAll(async () => {
    await stack[Symbol.asyncDispose]();
    await bridge.stop();
  });

  const event = (id: string, over: object = {}) => ({
    specversion: '1.0',
    id,
    source: '/kafka',
    type: 'shop.purchase.v1',
    time: '2026-11-01T00:00:00Z',
    data: {
      invoice: id,
      sku: 'KAFKA',
      quantity: 2,
      unitPrice: 1,
      customerId: '1',
      country: 'France',
      ...over,
    },
  });
  const produce = (events: readonly { id: string }[]) =>
    kafka.producer().produceMany(events.map((value) => ({ topic: TOPIC, key: value.id, value })));
  const report = async () => {
    const { text } = await stack.caller.ask('GET', '/v1/admin/kafka');
    return JSON.parse(text) as { partitions: { lag: number; committed: number; failures: number }[] };
  };
  /** What `/metrics` tells of Kafka, a line each. */
  const metrics = async () => {
    const { text } = await stack.caller.ask('GET', '/metrics');
    return text.split('\n').filter((line) => line.startsWith('millrace_kafka_'));
  };
  const stored = async () =>
    Number((await stack.sql(`select count(*) as n from millrace.events where source = '/kafka'`))[0]?.['n']);
  const caughtUp = () =>
    eventually(
      report,
      ({ partitions }) => partitions.length === 3 && partitions.every(({ lag }) => lag === 0),
      60_000,
    );

  it('stores each record once, quarantines records that are not events, and reports its position', async () => {
    await produce(Array.from({ length: 1_200 }, (_, n) => event(`k${n}`)));
    // Doubles, as a client makes that tries again; one that breaks a rule; one that says something else.
    await produce([event('k1'), event('k2'), event('bad', { quantity: 0 }), event('k3', { quantity: 9 })]);
    await stack.scheduled();
    await caughtUp();
    expect(await stored()).toBe(1_200);
    const kept = await stack.sql(`select reason, raw from millrace.quarantine order by reason`);
    expect(kept.map(({ reason }) => reason)).toEqual([
      'conflicting_duplicate',
      'malformed_json',
      'quantity_not_positive',
    ]);
    expect(kept[1]?.['raw']).toMatchObject({
      kafka: { topic: TOPIC, partition: 0, offset: 0 },
      value: 'no event at all',
    });
    const purchases = await stack.sql(`select count(*) as n, sum(quantity) as units from purchases`);
    expect(purchases[0]).toMatchObject({ n: '1200', units: '2400' });
  });

  it('continues after an outage of the bridge, and misses no record', async () => {
    const port = Number(new URL(bridge.url).port);
    await bridge.stop();
    expect(await metrics()).toEqual(['millrace_kafka_up 0']);
    bridge = await open(port);
    await produce(Array.from({ length: 300 }, (_, n) => event(`later${n}`)));
    await eventually(stored, (count) => count === 1_500, 90_000);
    const { partitions } = await caughtUp();
    expect(partitions.reduce((sum, { committed }) => sum + committed, 0)).toBe(1 + 1_200 + 4 + 300);
    expect(await metrics()).toEqual([
      'millrace_kafka_up 1',
      ...[0, 1, 2].map((n) => `millrace_kafka_lag{topic="${TOPIC}",partition="${n}"} 0`),
      ...[0, 1, 2].map((n) => `millrace_kafka_failures{topic="${TOPIC}",partition="${n}"} 0`),
    ]);
  }, 180_000);

  it('takes the position of a partition by `npm run cli -- kafka-seek`, and refuses one that there is not', async () => {
    const gate = await gateTo(stack);
    const seek = async (topic: string, partition: string, to: string) =>
      await startCli(gate.url, 'kafka-seek', '--topic', topic, '--partition', partition, '--to', to).ended;
    const kept = async () => await stack.sql('select count(*) as n from millrace.quarantine');
    const before = await kept();
    const { text, code } = await seek(TOPIC, '1', 'earliest');
    expect(text).toBe(
      `Partition 1 of ${TOPIC} is now read from offset 0. Events that are stored already are recognised as duplicates.\n`,
    );
    expect(code).toBe(0);
    await caughtUp();
    expect(await stored()).toBe(1_500);
    expect(await kept()).toEqual(before);
    const unknown = await seek(TOPIC, '9', 'earliest');
    expect(unknown).toMatchObject({
      code: 4,
      text: expect.stringContaining('404 not_found: No source topic'),
    });
    const beyond = await seek(TOPIC, '1', '1000000');
    expect(beyond).toMatchObject({ code: 4, text: expect.stringContaining('name an offset from 0 to') });
    gate.close();
  });

  /** The ids and subjects of all records of the sink, and the ids of those that a replay has told again. */
  async function readSink() {
    const ids = new Set<number>();
    const replayed = new Set<number>();
    const subjects = new Set<string>();
    const partitionOf = new Map<string, number>();
    let keysApart = 0;
    for (const partition of [0, 1, 2]) {
      for (let offset = 0; ; ) {
        const records = await kafka.consumer().fetch({ topic: SINK, partition, offset, timeout: 100 });
        for (const { key, value } of records) {
          const { id, subject, type, data } = JSON.parse(value);
          expect(type).toBe('millrace.change.v1');
          ids.add(Number(id));
          if (data.replayed === true) replayed.add(Number(id));
          if (subject !== undefined) subjects.add(subject);
          if ((partitionOf.get(key) ?? partition) !== partition) keysApart += 1;
          partitionOf.set(key, partition);
        }
        if (records.length === 0) break;
        offset = (records.at(-1)?.offset ?? 0) + 1;
      }
    }
    return { ids, replayed, subjects, keysApart };
  }

  it('writes every change to the sink, by entity', async () => {
    const put = await stack.caller.ask('PUT', '/v1/products/SUNK', {
      json: { description: 'A heart', unitPrice: 1 },
    });
    expect(put.status).toBe(201);
    const all = (await stack.sql('select id from millrace.outbox')).map(({ id }) => Number(id));
    expect(all.length).toBeGreaterThan(1_500);
    const { subjects, keysApart } = await eventually(
      readSink,
      ({ ids }) => all.every((id) => ids.has(id)),
      60_000,
    );
    expect([...subjects]).toEqual(expect.arrayContaining(['product:SUNK', 'product:KAFKA', 'customer:1']));
    expect(keysApart).toBe(0);
  });

  it('writes replayed changes to the sink again', async () => {
    const rows = await stack.sql('select id from millrace.outbox where event_seq is not null');
    const ofEvents = rows.map(({ id }) => Number(id)).sort((a, b) => a - b);
    const replay = async () => {
      const { json } = await stack.caller.ask('POST', '/v1/admin/replay', {
        json: { from: '2026-01-01T00:00:00Z' },
      });
      return json['state'];
    };
    await eventually(replay, (state) => state === 'done');
    const { replayed, keysApart } = await eventually(
      readSink,
      ({ replayed: again }) => again.size >= ofEvents.length,
      60_000,
    );
    expect([...replayed].sort((a, b) => a - b)).toEqual(ofEvents);
    expect(keysApart).toBe(0);
  });
}
