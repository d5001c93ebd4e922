import type { KafkaOptions } from './backends/kafka/connection.ts';
import type { BridgeOptions } from './server.ts';

type Environment = Readonly<Record<string, string | undefined>>;

const MECHANISMS = ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512'] as const;
const PARTITIONS_MAX = 1_000;
const BYTES_MAX = 2 ** 50;
const MS_MAX = 2 ** 50;

/** Parses the environment, or throws an error that names the invalid variable. README.md lists the variables. */
export function bridgeOptions(env: Environment): BridgeOptions {
  return {
    port: whole(env, 'PORT', 0, 65_535) ?? 8_081,
    ...optional('host', text(env, 'BRIDGE_HOST')),
    username: credential(env, 'BRIDGE_USERNAME', /^[\x21-\x39\x3b-\x7e]+$/),
    password: credential(env, 'BRIDGE_PASSWORD', /^[\x21-\x7e]+$/),
    backend: backendOptions(env),
  };
}

function backendOptions(env: Environment): BridgeOptions['backend'] {
  const folder = text(env, 'BRIDGE_DATA');
  const brokers = text(env, 'KAFKA_BROKERS');
  if (folder === undefined && brokers === undefined) {
    throw new Error('Either KAFKA_BROKERS or, for a log on this disk, BRIDGE_DATA has to be set.');
  }
  if (folder !== undefined && brokers !== undefined) {
    throw new Error('KAFKA_BROKERS and BRIDGE_DATA are both set: it is one or the other.');
  }
  const partitions = whole(env, 'BRIDGE_PARTITIONS', 1, PARTITIONS_MAX);
  if (brokers !== undefined) return { kafka: kafkaOptions(env, brokers, partitions) };
  return {
    log: {
      folder: folder ?? '',
      ...optional('partitions', partitions),
      ...optional('segmentBytes', whole(env, 'BRIDGE_SEGMENT_BYTES', 1_024, BYTES_MAX)),
      ...optional('retentionBytes', whole(env, 'BRIDGE_RETENTION_BYTES', 1_024, BYTES_MAX)),
      ...optional('retentionMs', whole(env, 'BRIDGE_RETENTION_MS', 1_000, MS_MAX)),
      ...optional('totalBytes', whole(env, 'BRIDGE_MAX_BYTES', 1_024, BYTES_MAX)),
    },
  };
}

function kafkaOptions(env: Environment, brokers: string, partitions: number | undefined): KafkaOptions {
  const tls = text(env, 'KAFKA_TLS');
  if (tls !== undefined && tls !== 'true' && tls !== 'false') throw new Error('KAFKA_TLS is true or false.');
  return {
    brokers: brokers.split(',').map((broker) => broker.trim()),
    ...optional('createPartitions', partitions),
    tls: tls === 'true',
    ...optional('sasl', saslOptions(env)),
  };
}

function saslOptions(env: Environment): KafkaOptions['sasl'] {
  const username = text(env, 'KAFKA_USERNAME');
  const password = text(env, 'KAFKA_PASSWORD');
  if (username === undefined && password === undefined) return undefined;
  if (username === undefined || password === undefined) {
    throw new Error('KAFKA_USERNAME and KAFKA_PASSWORD go together.');
  }
  const named = text(env, 'KAFKA_SASL_MECHANISM') ?? 'SCRAM-SHA-512';
  const mechanism = MECHANISMS.find((one) => one === named);
  if (mechanism === undefined) throw new Error(`KAFKA_SASL_MECHANISM is one of ${MECHANISMS.join(', ')}.`);
  return { mechanism, username, password };
}

/** The client encodes credentials byte by byte, so they have to be ASCII; a colon would end a username. */
function credential(env: Environment, name: string, pattern: RegExp): string {
  const value = text(env, name);
  if (value === undefined || !pattern.test(value)) {
    throw new Error(`${name} has to be set, to visible ASCII characters (a username without a colon).`);
  }
  return value;
}

function text(env: Environment, name: string): string | undefined {
  const value = env[name];
  return value === '' ? undefined : value;
}

function whole(env: Environment, name: string, min: number, max: number): number | undefined {
  const value = text(env, name);
  if (value === undefined) return undefined;
  const number = Number(value);
  if (!Number.isInteger(number) || number < min || number > max) {
    throw new Error(`${name} is a whole number from ${min} to ${max}, not ${value}.`);
  }
  return number;
}

function optional<Name extends string, Value>(
  name: Name,
  value: Value,
): { [N in Name]?: Exclude<Value, undefined> } {
  return value === undefined ? {} : ({ [name]: value } as { [N in Name]?: Exclude<Value, undefined> });
}
