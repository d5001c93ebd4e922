import type { BaseOptions } from '@platformatic/kafka';

export interface KafkaOptions {
  /** `host:port` of some brokers; the others are found through them. */
  brokers: string[];
  /** The partitions of topics that the bridge creates; undefined where it may create none. */
  createPartitions?: number;
  tls?: boolean;
  sasl?: { mechanism: 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512'; username: string; password: string };
}

const CONNECT_MS_MAX = 5_000;
/** Tries again what may succeed, within the patience of somebody who waits for an HTTP answer. */
const RETRIES = 3;
const RETRY_DELAY_MS = 250;

/** What all clients of the cluster have in common. */
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
