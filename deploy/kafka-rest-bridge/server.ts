/**
 * The Upstash Kafka REST protocol over a Kafka cluster or over a log on this disk; see README.md.
 *
 *     PORT=8081 BRIDGE_USERNAME=… BRIDGE_PASSWORD=… BRIDGE_DATA=./data node server.ts
 *     PORT=8081 BRIDGE_USERNAME=… BRIDGE_PASSWORD=… KAFKA_BROKERS=host:9092 node server.ts
 */
import { once } from 'node:events';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Backend } from './backend.ts';
import { KafkaBackend } from './backends/kafka/backend.ts';
import type { KafkaOptions } from './backends/kafka/connection.ts';
import { LOG_DEFAULTS, LogBackend, type LogOptions } from './backends/log/backend.ts';
import { bridgeOptions } from './environment.ts';
import { type Credentials, createBridgeServer } from './http.ts';
import { STOP_MS_MAX } from './limits.ts';
import { Service } from './service.ts';

export interface BridgeOptions extends Credentials {
  /** 0 selects a free port. */
  port: number;
  host?: string;
  backend: { log: Pick<LogOptions, 'folder'> & Partial<LogOptions> } | { kafka: KafkaOptions };
  /** Receives a line for each event that an operator should know. */
  report?: (line: string) => void;
}

export interface Bridge {
  url: string;
  /** Answers current requests, runs the automatic commits, leaves the groups, and closes. */
  stop(): Promise<void>;
}

export async function startBridge(options: BridgeOptions): Promise<Bridge> {
  const report = options.report ?? ((line) => console.error(`kafka-rest-bridge: ${line}`));
  const backend = await openBackend(options, report);
  const service = new Service(backend, report);
  const stopping = new AbortController();
  const server = createBridgeServer({ service, credentials: options, stopping: stopping.signal, report });
  try {
    server.listen(options.port, options.host ?? '127.0.0.1');
    await once(server, 'listening');
  } catch (error) {
    await backend.close();
    throw error;
  }
  const { address, port } = server.address() as AddressInfo;
  let stopped: Promise<void> | undefined;
  const stop = async () => {
    stopping.abort();
    await closeServer(server);
    await service.close();
    await backend.close();
  };
  return {
    url: `http://${address.includes(':') ? `[${address}]` : address}:${port}`,
    stop: () => (stopped ??= stop()),
  };
}

async function openBackend({ backend }: BridgeOptions, report: (line: string) => void): Promise<Backend> {
  if ('kafka' in backend) return await KafkaBackend.open(backend.kafka);
  return await LogBackend.open({ ...LOG_DEFAULTS, ...backend.log }, report);
}

async function closeServer(server: Server): Promise<void> {
  const closed = once(server, 'close');
  server.close();
  server.closeIdleConnections();
  const deadline = setTimeout(() => server.closeAllConnections(), STOP_MS_MAX);
  await closed;
  clearTimeout(deadline);
}

async function main(): Promise<void> {
  const bridge = await startBridge(bridgeOptions(process.env));
  console.log(`kafka-rest-bridge listens on ${bridge.url}`);
  const stop = () => {
    bridge.stop().catch((error: unknown) => {
      console.error(error);
      process.exitCode = 1;
    });
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, stop);
}

if (import.meta.main) {
  main().catch((error: unknown) => {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 1;
  });
}
