/** Validates the values inside the bodies, one by one. */
import { RequestError } from './errors.ts';
import {
  HEADERS_PER_MESSAGE_MAX,
  MESSAGE_BYTES_MAX,
  MESSAGES_PER_PRODUCE_MAX,
  PARTITIONS_PER_REQUEST_MAX,
} from './limits.ts';
import type { Header, OutgoingMessage, Position } from './messages.ts';

/** Partitions are 32-bit in Kafka; offsets and times are 64-bit there and exact here up to 2^53. */
const PARTITION_MAX = 2 ** 31 - 1;
/** The topic names that Kafka accepts. They are also safe as folder names. */
const TOPIC_PATTERN = /^[a-zA-Z0-9._-]{1,249}$/;

export function topicName(value: unknown): string {
  if (typeof value !== 'string' || !TOPIC_PATTERN.test(value) || value === '.' || value === '..') {
    throw new RequestError(
      400,
      'A topic has a name of 1 to 249 letters, digits, dots, dashes and underscores.',
    );
  }
  return value;
}

export function integer(value: unknown, name: string, min: number, max: number): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < min || value > max) {
    throw new RequestError(400, `${name} is a whole number from ${min} to ${max}.`);
  }
  return value;
}

export function object(value: unknown, what: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new RequestError(400, `${what} is a JSON object.`);
  }
  return value as Record<string, unknown>;
}

export function asArray(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [value];
}

export function parsePositions(value: unknown): Position[] {
  const given = asArray(value);
  if (given.length > PARTITIONS_PER_REQUEST_MAX) {
    throw new RequestError(400, `A request names ${PARTITIONS_PER_REQUEST_MAX} partitions at most.`);
  }
  return given.map((one) => {
    const { topic, partition, offset } = object(one, 'A position');
    return {
      topic: topicName(topic),
      partition: integer(partition, 'partition', 0, PARTITION_MAX),
      offset: integer(offset, 'offset', 0, Number.MAX_SAFE_INTEGER),
    };
  });
}

/** One message or an array of them, each with its topic unless the path has it. */
export function parseMessages(value: unknown, topic?: string): OutgoingMessage[] {
  const given = asArray(value);
  if (given.length === 0 || given.length > MESSAGES_PER_PRODUCE_MAX) {
    throw new RequestError(400, `A produce has 1 to ${MESSAGES_PER_PRODUCE_MAX} messages.`);
  }
  return given.map((one) => parseMessage(object(one, 'A message'), topic));
}

function parseMessage(given: Record<string, unknown>, topic: string | undefined): OutgoingMessage {
  const { partition, timestamp, key = null, value, headers } = given;
  if (typeof value !== 'string' && value !== null) {
    throw new RequestError(400, 'A message has a value, which is a string, or null for a tombstone.');
  }
  if (typeof key !== 'string' && key !== null)
    throw new RequestError(400, 'The key of a message is a string.');
  const message: OutgoingMessage = {
    topic: topicName(topic ?? given['topic']),
    partition:
      partition === undefined || partition === null
        ? undefined
        : integer(partition, 'partition', 0, PARTITION_MAX),
    timestamp:
      timestamp === undefined || timestamp === null
        ? undefined
        : integer(timestamp, 'timestamp', 0, Number.MAX_SAFE_INTEGER),
    key,
    value,
    headers: parseHeaders(headers),
  };
  const texts = [key, value, ...message.headers.flatMap((header) => [header.key, header.value])];
  if (!texts.every((text) => text === null || text.isWellFormed())) {
    throw new RequestError(400, 'A text of the message has half a surrogate pair, which UTF-8 cannot say.');
  }
  if (messageBytes(message) > MESSAGE_BYTES_MAX) {
    throw new RequestError(
      413,
      `A message has ${MESSAGE_BYTES_MAX} bytes at most, with its key and headers.`,
    );
  }
  return message;
}

function parseHeaders(value: unknown): Header[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value) || value.length > HEADERS_PER_MESSAGE_MAX) {
    throw new RequestError(
      400,
      `The headers of a message are an array of ${HEADERS_PER_MESSAGE_MAX} at most.`,
    );
  }
  return value.map((one) => {
    const header = object(one, 'A header');
    const { key, value: content } = header;
    if (typeof key !== 'string' || typeof content !== 'string') {
      throw new RequestError(400, 'A header has a key and a value, both strings.');
    }
    return { key, value: content };
  });
}

function messageBytes({ key, value, headers }: OutgoingMessage): number {
  let bytes = Buffer.byteLength(key ?? '') + Buffer.byteLength(value ?? '');
  for (const header of headers) bytes += Buffer.byteLength(header.key) + Buffer.byteLength(header.value);
  return bytes;
}
