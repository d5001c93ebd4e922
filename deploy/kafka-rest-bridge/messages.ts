/** The data of the protocol: the JSON structures of the Upstash Kafka REST API. */

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
  /** The bytes of a name or a value that is not UTF-8, whose text is empty then. Only received messages have them. */
  keyBase64?: string;
  valueBase64?: string;
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

/** The position at which a message was stored. */
export interface Placement extends Position {
  timestamp: number;
}

/** A message as a consumer receives it. A message without a key has an empty `key`, as with the hosted service. */
export interface Message extends Placement {
  /** The id of the topic in a cluster (KIP-516): a topic that is deleted and created again gets another one. */
  topicId?: string;
  key: string;
  value: string | null;
  /** The bytes of a key or a value that is not UTF-8. The text is empty then. */
  keyBase64?: string;
  valueBase64?: string;
  headers: Header[];
}

export function partitionKey(of: TopicPartition): string {
  return `${of.topic}/${of.partition}`;
}
