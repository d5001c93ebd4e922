import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { type Bridge, startBridge } from '../../deploy/kafka-rest-bridge/server.ts';
import { createClient } from '../../src/client/index.ts';
import { ensureSecret } from './key.ts';

const USERNAME = 'millrace';
/** The topic that the local worker reads events from. */
const DEV_TOPIC = 'events';
/** The topic that it writes changes to. */
const DEV_SINK = 'changes';
/** How often partitions are looked for, in milliseconds: the cron of the platform does not come here. */
const START_EVERY_MS = 5_000;

/** The Kafka REST bridge over a log in the state folder, and what the worker has to know to speak to it. */
export interface DevKafka extends Bridge {
  username: string;
  password: string;
  vars: Record<string, string>;
}

export async function startDevKafka(options: { port: number; stateDir: string }): Promise<DevKafka> {
  const password = ensurePassword(options.stateDir);
  const bridge = await startBridge({
    port: options.port,
    username: USERNAME,
    password,
    backend: { log: { folder: join(options.stateDir, 'kafka') } },
  });
  const vars = {
    KAFKA_REST_URL: bridge.url,
    KAFKA_REST_USERNAME: USERNAME,
    KAFKA_REST_PASSWORD: password,
    KAFKA_SOURCE_TOPICS: DEV_TOPIC,
    KAFKA_SINK_TOPIC: DEV_SINK,
  };
  return { ...bridge, username: USERNAME, password, vars };
}

/** Generated once and readable by the owner only, as the key is. */
function ensurePassword(stateDir: string): string {
  return ensureSecret(join(stateDir, 'kafka-password'), () => randomBytes(24).toString('base64url'));
}

/** Has the worker read what there is to read, until the signal aborts. */
export function keepSourcesStarted(url: string, key: string, signal: AbortSignal): void {
  const client = createClient({ url, key });
  const start = () => {
    client.post('/v1/admin/kafka/start', { isRepeatable: false, signal }).catch(() => undefined);
  };
  start();
  const timer = setInterval(start, START_EVERY_MS);
  signal.addEventListener('abort', () => clearInterval(timer));
}
