import type { BaseOptions } from '@platformatic/kafka';

export interface KafkaOptions {
  /** `host:port` of some brokers; the client discovers the others through them. */
  brokers: string[];
  /** The partitions of topics that the bridge creates; undefined if it may not create topics. */
  createPartitions?: number;
  tls?: boolean;
  sasl?: { mechanism: 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512'; username: string; password: string };
}

const CONNECT_MS_MAX = 5_000;
/** The retries of a transient failure. More would take longer than an HTTP caller waits. */
const RETRIES = 3;
const RETRY_DELAY_MS = 250;

/** The options that all clients of the cluster share. */
export function clientOptions({ brokers, tls, sasl }: KafkaOptions): BaseOptions {
  return {
    clientId: 'kafka-rest-bridge',
    bootstrapBrokers: brokers,
    connectTimeout: CONNECT_MS_MAX,
    retries: RETRIES,
    retryDelay: RETRY_DELAY_MS,
    ...(tls === true && { tls: {}, tlsServerName: true }),
    ...(sasl !== undefined && { sasl }),
  };
}
