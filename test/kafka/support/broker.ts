import { execFile, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

const START_TIMEOUT_MS = 60_000;
const CLUSTER_ID = 'bWlsbHJhY2UtdGVzdHMtMQ';

/** The folder with the jars of Apache Kafka (`test/kafka/broker/pom.xml`); without it nothing is tested on a broker. */
export const KAFKA_JARS = process.env['TEST_KAFKA_JARS'];

export interface Broker extends AsyncDisposable {
  readonly address: string;
}

/** A real broker of one node, which is its own controller, with its data in a folder that goes with it. */
export async function startBroker(jars: string): Promise<Broker> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-kafka-'));
  const [port, controllerPort] = [await freePort(), await freePort()];
  const config = join(folder, 'server.properties');
  writeFileSync(config, properties(folder, port, controllerPort));
  const java = ['-Xmx512m', '-cp', join(jars, '*')];
  await promisify(execFile)('java', [
    ...java,
    'kafka.tools.StorageTool',
    'format',
    '-t',
    CLUSTER_ID,
    '-c',
    config,
  ]);
  const broker = spawn('java', [...java, 'kafka.Kafka', config], { stdio: 'ignore' });
  const ended = new Promise<void>((resolve) => broker.once('exit', () => resolve()));
  await untilListening(port, broker);
  return {
    address: `127.0.0.1:${port}`,
    [Symbol.asyncDispose]: async () => {
      broker.kill('SIGTERM');
      await ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function properties(folder: string, port: number, controllerPort: number): string {
  const lines = {
    'process.roles': 'broker,controller',
    'node.id': 1,
    'controller.quorum.voters': `1@127.0.0.1:${controllerPort}`,
    'controller.listener.names': 'CONTROLLER',
    listeners: `PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort}`,
    'advertised.listeners': `PLAINTEXT://127.0.0.1:${port}`,
    'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT',
    'log.dirs': join(folder, 'log'),
    'offsets.topic.replication.factor': 1,
    'offsets.topic.num.partitions': 4,
    'transaction.state.log.replication.factor': 1,
    'transaction.state.log.min.isr': 1,
    'group.initial.rebalance.delay.ms': 0,
    'auto.create.topics.enable': false,
  };
  return Object.entries(lines)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('');
}

async function freePort(): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<number>();
  const server = createServer().listen(0, '127.0.0.1', () => {
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    server.close(() => resolve(port));
  });
  return await promise;
}

async function untilListening(port: number, broker: { readonly exitCode: number | null }): Promise<void> {
  const deadline = performance.now() + START_TIMEOUT_MS;
  while (performance.now() < deadline) {
    if (broker.exitCode !== null) throw new Error('The broker has ended at once.');
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    const isOpen = await promise;
    socket.destroy();
    if (isOpen) return;
    await sleep(200);
  }
  throw new Error('The broker does not listen.');
}
