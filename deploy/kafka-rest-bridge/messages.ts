/** What the protocol speaks of: the JSON structures of the Upstash Kafka REST API. */

export interface TopicPartition {
  topic: string;
  partition: number;
}

export interface Position extends TopicPartition {
  offset: number;
}

export interface Header {
  key: string;
  value: string;
}

/** A message as a producer sends it. `value` null is a tombstone; `timestamp` is in milliseconds. */
export interface OutgoingMessage {
  topic: string;
  partition: number | undefined;
  timestamp: number | undefined;
  key: string | null;
  value: string | null;
  headers: Header[];
}

/** Where a message was put. */
export interface Placement extends Position {
  timestamp: number;
}

/** A message as a consumer gets it: without a key `key` is empty, as with the hosted service. */
export interface Message extends Placement {
  key: string;
  value: string | null;
  headers: Header[];
}

export function partitionKey(of: TopicPartition): string {
  return `${of.topic}/${of.partition}`;
}
