import { type ChildProcess, spawn } from 'node:child_process';
import { appendFileSync, mkdtempSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Kafka } from '@upstash/kafka';
import { afterAll, expect, it } from 'vitest';
import { startBridge } from '../../deploy/kafka-rest-bridge/server.ts';

const SERVER = join(import.meta.dirname, '../../deploy/kafka-rest-bridge/server.ts');
const CREDENTIALS = { username: 'log', password: 'log' };
const folders: string[] = [];
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-log-'));
  folders.push(folder);
  return folder;
}

async function open(folder: string, over: object = {}) {
  const lines: string[] = [];
  const bridge = await startBridge({
    port: 0,
    ...CREDENTIALS,
    backend: { log: { folder, partitions: 1, ...over } },
    report: (line) => lines.push(line),
  });
  return { bridge, lines, kafka: new Kafka({ url: bridge.url, ...CREDENTIALS }) };
}

/** The bridge as an operator runs it, in a process that can be killed. */
async function spawned(folder: string): Promise<{ process: ChildProcess; kafka: Kafka }> {
  const env = { ...process.env, PORT: '0', BRIDGE_USERNAME: 'log', BRIDGE_PASSWORD: 'log' };
  const child = spawn(process.execPath, [SERVER], {
    env: { ...env, BRIDGE_DATA: folder, BRIDGE_PARTITIONS: '1' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const { promise, resolve } = Promise.withResolvers<string>();
  child.stdout.on('data', (chunk: Buffer) => {
    const [, url] = /listens on (\S+)/.exec(chunk.toString('utf8')) ?? [];
    if (url !== undefined) resolve(url);
  });
  return { process: child, kafka: new Kafka({ url: await promise, ...CREDENTIALS }) };
}

async function valuesOf(kafka: Kafka, topic: string): Promise<string[]> {
  const values: string[] = [];
  for (;;) {
    const position = { topic, partition: 0, offset: values.length };
    const messages = await kafka.consumer().fetch({ ...position, timeout: 50 });
    if (messages.length === 0) return values;
    values.push(...messages.map(({ value }) => value));
  }
}

function segmentsOf(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => /\d+\.log$/.test(name))
    .map((name) => join(folder, name))
    .toSorted();
}

it('has every acknowledged record, and the committed offsets, after its process was killed', {
  timeout: 60_000,
}, async () => {
  const folder = newFolder();
  const first = await spawned(folder);
  const producer = first.kafka.producer();
  const answered: string[] = [];
  const writing = (async () => {
    for (let n = 0; ; n += 1) {
      await producer.produce('t', String(n));
      answered.push(String(n));
    }
  })().catch(() => undefined);
  while (answered.length < 200) await new Promise((resolve) => setTimeout(resolve, 10));
  const offset = { topic: 't', partition: 0, offset: 123 };
  await first.kafka.consumer().commit({ consumerGroupId: 'g', instanceId: 'i', offset });
  first.process.kill('SIGKILL');
  await writing;
  const second = await open(folder);
  const values = await valuesOf(second.kafka, 't');
  expect(values.slice(0, answered.length)).toEqual(answered);
  // One more may be there: written, and never answered.
  expect(values.length - answered.length).toBeLessThanOrEqual(1);
  const topicPartitions = [{ topic: 't', partition: 0 }];
  expect(
    await second.kafka.consumer().committed({ consumerGroupId: 'g', instanceId: 'i', topicPartitions }),
  ).toEqual([offset]);
  await second.bridge.stop();
});

it.each([
  ['half a record', (path: string) => appendFileSync(path, Buffer.from([0, 0, 0, 90, 1, 2, 3]))],
  ['zeros, as a file system may leave them', (path: string) => appendFileSync(path, Buffer.alloc(4_096))],
])('cuts off %s at the end of a segment, and goes on after what is whole', async (_, tear) => {
  const folder = newFolder();
  const before = await open(folder);
  await before.kafka.producer().produceMany(['a', 'b'].map((value) => ({ topic: 't', value })));
  await before.bridge.stop();
  for (const path of segmentsOf(folder)) tear(path);
  const after = await open(folder);
  expect(after.lines.join()).toMatch(/bytes/);
  expect(await after.kafka.producer().produce('t', 'c')).toMatchObject({ offset: 2 });
  expect(await valuesOf(after.kafka, 't')).toEqual(['a', 'b', 'c']);
  await after.bridge.stop();
});

it('refuses to open a log that is damaged in the middle, so that no record is lost silently', async () => {
  const folder = newFolder();
  const before = await open(folder, { segmentBytes: 1_024 });
  for (let n = 0; n < 40; n += 1) await before.kafka.producer().produce('t', 'x'.repeat(100));
  await before.bridge.stop();
  const [oldest = ''] = segmentsOf(folder);
  expect(segmentsOf(folder).length).toBeGreaterThan(2);
  truncateSync(oldest, 100);
  await expect(open(folder, { segmentBytes: 1_024 })).rejects.toThrow('damaged');
});

it('drops the oldest segments beyond its limits, and reports where the log begins', async () => {
  const folder = newFolder();
  const bounds = { segmentBytes: 1_024, retentionBytes: 4_096 };
  const before = await open(folder, bounds);
  for (let n = 0; n < 100; n += 1) await before.kafka.producer().produce('t', 'x'.repeat(100));
  await before.bridge.stop();
  const { bridge, kafka } = await open(folder, bounds);
  const topicPartition = { topic: 't', partition: 0 };
  const start = async () =>
    (await kafka.admin().topicPartitionOffsets({ timestamp: 'earliest', topicPartition }))[0]?.offset ?? 0;
  await kafka.producer().produce('t', 'more');
  await expect.poll(start, { timeout: 10_000 }).toBeGreaterThan(0);
  expect(await kafka.admin().topicPartitionOffsets({ timestamp: 'latest', topicPartition })).toMatchObject([
    { offset: 101 },
  ]);
  await bridge.stop();
});

it('belongs to one process at a time, and takes over the lock of a killed one', async () => {
  const folder = newFolder();
  const { bridge } = await open(folder);
  await expect(open(folder)).rejects.toThrow('in use by another bridge');
  await bridge.stop();
  writeFileSync(join(folder, 'lock'), '999999999');
  const again = await open(folder);
  await again.bridge.stop();
});
