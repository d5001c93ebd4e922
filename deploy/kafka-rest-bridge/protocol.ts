/**
 * Parses and validates the requests of the Upstash Kafka REST API. It is pure: it takes the request's line, headers and
 * body, returns the operation to run, and throws a RequestError for an invalid request.
 */
import { RequestError } from './errors.ts';
import * as limits from './limits.ts';
import type { OutgoingMessage, Position, TopicPartition } from './messages.ts';
import { asArray, integer, object, parseMessages, parsePositions, topicName } from './parse.ts';

export interface ConsumerSettings {
  autoCommit: boolean;
  autoCommitIntervalMs: number;
  autoOffsetReset: 'earliest' | 'latest' | 'none';
  sessionTimeoutMs: number;
}

export interface ConsumerName {
  group: string;
  instance: string;
}

export type Command =
  /** `isBare` if the answer is one object instead of an array. */
  | { kind: 'produce'; messages: OutgoingMessage[]; isBare: boolean }
  | { kind: 'fetch'; positions: Position[]; waitMs: number }
  | (ConsumerName & { kind: 'consume'; topics: string[]; waitMs: number; settings: ConsumerSettings })
  /** Without positions: everything that the instance has consumed. */
  | (ConsumerName & { kind: 'commit'; positions: Position[] })
  | (ConsumerName & { kind: 'committed'; partitions: TopicPartition[]; waitMs: number })
  | { kind: 'offsets'; at: 'earliest' | 'latest' | number; partitions: TopicPartition[]; waitMs: number }
  | { kind: 'topics' }
  | { kind: 'consumers' }
  | (ConsumerName & { kind: 'delete-consumer' });

export interface RawRequest {
  method: string;
  /** Path and query, unchanged. */
  target: string;
  /** Names in lower case. */
  headers: Readonly<Record<string, string | string[] | undefined>>;
  body: string;
}

interface Parts {
  segments: string[];
  query: URLSearchParams;
  headers: RawRequest['headers'];
  body: string;
}

const ROUTES: Record<string, { methods: readonly string[]; parse: (parts: Parts) => Command }> = {
  produce: { methods: ['GET', 'POST'], parse: parseProduce },
  fetch: { methods: ['GET', 'POST'], parse: parseFetch },
  consume: { methods: ['GET', 'POST'], parse: parseConsume },
  commit: { methods: ['GET', 'POST'], parse: parseCommit },
  committed: { methods: ['GET', 'POST'], parse: parseCommitted },
  offsets: { methods: ['GET', 'POST'], parse: parseOffsets },
  topics: { methods: ['GET'], parse: ({ segments }) => plain(segments, 'topics') },
  consumers: { methods: ['GET'], parse: ({ segments }) => plain(segments, 'consumers') },
  'delete-consumer': {
    methods: ['POST', 'DELETE'],
    parse: ({ segments }) => ({ kind: 'delete-consumer', ...consumerName(segments, 2) }),
  },
};

export function parseRequest(request: RawRequest): Command {
  const [path = '', search = ''] = splitOnce(request.target, '?');
  // `URLSearchParams` would put replacement characters where the query is not percent-encoded UTF-8.
  decodeSegment(search, 'query');
  const [name = '', ...rest] = path.split('/').slice(1);
  const route = Object.hasOwn(ROUTES, name) ? ROUTES[name] : undefined;
  if (route === undefined) throw new RequestError(404, `There is no route /${name}.`);
  if (!route.methods.includes(request.method)) {
    throw new RequestError(405, `/${name} takes ${route.methods.join(' and ')}, not ${request.method}.`);
  }
  const segments = rest.map((segment) => decodeSegment(segment));
  if (segments.at(-1) === '') segments.pop();
  return route.parse({
    segments,
    query: new URLSearchParams(search),
    headers: request.headers,
    body: request.body,
  });
}

function parseProduce({ segments, query, body }: Parts): Command {
  const [topic, ...message] = segments;
  if (topic === undefined) return { kind: 'produce', messages: parseMessages(json(body)), isBare: false };
  topicName(topic);
  if (message.length === 0)
    return { kind: 'produce', messages: parseMessages(json(body), topic), isBare: false };
  // A message with unencoded slashes is still one message.
  const single = { value: message.join('/'), ...(query.has('key') && { key: query.get('key') }) };
  return { kind: 'produce', messages: parseMessages(single, topic), isBare: true };
}

function parseFetch({ segments, body }: Parts): Command {
  expectSegments(segments, 0);
  const request = object(json(body), 'A fetch');
  const many = request['topicPartitionOffsets'] ?? [];
  const positions = parsePositions(request['topic'] === undefined ? many : [request, ...asArray(many)]);
  if (positions.length === 0)
    throw new RequestError(400, 'A fetch names a topic, a partition and an offset.');
  return { kind: 'fetch', positions, waitMs: wait(request['timeout'], limits.WAIT_MS_DEFAULT) };
}

function parseConsume({ segments, query, headers, body }: Parts): Command {
  const [topicInPath] = segments.slice(2);
  const name = consumerName(segments, topicInPath === undefined ? 2 : 3);
  const request = body.trim() === '' ? {} : object(json(body), 'A consume');
  const named = [topicInPath, request['topic'], ...asArray(request['topics'] ?? [])];
  const topics = [...new Set(named.filter((topic) => topic !== undefined && topic !== null).map(topicName))];
  if (topics.length === 0) throw new RequestError(400, 'A consume names the topic or topics it is of.');
  if (topics.length > limits.TOPICS_PER_CONSUMER_MAX) {
    throw new RequestError(400, `A consumer has ${limits.TOPICS_PER_CONSUMER_MAX} topics at most.`);
  }
  const waitMs = wait(request['timeout'] ?? numeric(query.get('timeout')), limits.WAIT_MS_DEFAULT);
  return { kind: 'consume', ...name, topics, waitMs, settings: parseSettings(headers) };
}

function parseCommit({ segments, body }: Parts): Command {
  const positions = body.trim() === '' ? [] : parsePositions(json(body));
  return { kind: 'commit', ...consumerName(segments, 2), positions };
}

function parseCommitted({ segments, query, body }: Parts): Command {
  const waitMs = wait(numeric(query.get('timeout')), limits.METADATA_WAIT_MS_DEFAULT);
  return { kind: 'committed', ...consumerName(segments, 2), partitions: partitions(body), waitMs };
}

function parseOffsets({ segments, query, body }: Parts): Command {
  const [at = ''] = segments;
  expectSegments(segments, 1);
  if (at !== 'earliest' && at !== 'latest' && !/^\d{1,15}$/.test(at)) {
    throw new RequestError(400, `${at} is neither 'earliest' nor 'latest' nor a time in milliseconds.`);
  }
  return {
    kind: 'offsets',
    at: at === 'earliest' || at === 'latest' ? at : Number(at),
    partitions: partitions(body),
    waitMs: wait(numeric(query.get('timeout')), limits.METADATA_WAIT_MS_DEFAULT),
  };
}

/** The headers of a consume. They apply to the request that opens an instance. */
function parseSettings(headers: RawRequest['headers']): ConsumerSettings {
  const text = (name: string) => {
    const value = headers[name];
    return (Array.isArray(value) ? value[0] : value)?.trim().toLowerCase();
  };
  const autoCommit = text('kafka-enable-auto-commit') ?? 'true';
  if (autoCommit !== 'true' && autoCommit !== 'false') {
    throw new RequestError(400, `Kafka-Enable-Auto-Commit is true or false, not ${autoCommit}.`);
  }
  const reset = text('kafka-auto-offset-reset') ?? 'latest';
  if (reset !== 'earliest' && reset !== 'latest' && reset !== 'none') {
    throw new RequestError(400, `Kafka-Auto-Offset-Reset is earliest, latest or none, not ${reset}.`);
  }
  const milliseconds = (name: string, bounds: { preset: number; min: number; max: number }) =>
    integer(numeric(text(name.toLowerCase()) ?? null) ?? bounds.preset, name, bounds.min, bounds.max);
  return {
    autoCommit: autoCommit === 'true',
    autoCommitIntervalMs: milliseconds('Kafka-Auto-Commit-Interval', {
      preset: limits.AUTO_COMMIT_MS_DEFAULT,
      min: limits.AUTO_COMMIT_MS_MIN,
      max: limits.AUTO_COMMIT_MS_MAX,
    }),
    autoOffsetReset: reset,
    sessionTimeoutMs: milliseconds('Kafka-Session-Timeout-Ms', {
      preset: limits.SESSION_MS_DEFAULT,
      min: limits.SESSION_MS_MIN,
      max: limits.SESSION_MS_MAX,
    }),
  };
}

function partitions(body: string): TopicPartition[] {
  const named = asArray(json(body)).map((one) => ({ offset: 0, ...object(one, 'A partition') }));
  return parsePositions(named).map(({ topic, partition }) => ({ topic, partition }));
}

function consumerName(segments: readonly string[], expected: number): ConsumerName {
  expectSegments(segments, expected);
  const [group = '', instance = ''] = segments;
  for (const name of [group, instance]) {
    if (name === '' || name.length > limits.NAME_CHARS_MAX || /[\s\p{Cc}]/u.test(name)) {
      throw new RequestError(
        400,
        `Groups and instances have names of 1 to ${limits.NAME_CHARS_MAX} characters without spaces.`,
      );
    }
  }
  return { group, instance };
}

function plain(segments: readonly string[], kind: 'topics' | 'consumers'): Command {
  expectSegments(segments, 0);
  return { kind };
}

function expectSegments(segments: readonly string[], expected: number): void {
  if (segments.length !== expected) throw new RequestError(404, 'There is no such route.');
}

/** A wait longer than the limit is cut to the limit; the caller then asks again. */
function wait(value: unknown, preset: number): number {
  const ms = integer(value ?? preset, 'timeout', 0, Number.MAX_SAFE_INTEGER);
  return Math.min(ms, limits.WAIT_MS_MAX);
}

function numeric(text: string | null): unknown {
  return text === null ? undefined : /^\d+$/.test(text) ? Number(text) : text;
}

function json(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    throw new RequestError(400, 'The body is not JSON.');
  }
}

function decodeSegment(segment: string, part: 'path' | 'query' = 'path'): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    throw new RequestError(400, `The ${part} is not percent-encoded UTF-8.`);
  }
}

function splitOnce(text: string, by: string): string[] {
  const at = text.indexOf(by);
  return at === -1 ? [text] : [text.slice(0, at), text.slice(at + by.length)];
}
