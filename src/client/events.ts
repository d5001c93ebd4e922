import type { CallOptions, Client } from './client.ts';
import { parsed, shown, UnexpectedAnswerError } from './errors.ts';
import type { ClientSystem } from './system.ts';

/** The most events of a request that the server accepts. */
const BATCH_EVENTS_MAX = 1_000;
/** The most bytes of a request, a margin below the 4 MB that the server accepts. */
const BATCH_BYTES_MAX = 3_900_000;
/** Smaller bodies are sent as they are: packing would cost more time than it saves. */
const GZIP_BYTES_MIN = 1_024;
/** A batch that waits for the database may take this long for each attempt, in milliseconds. */
const ATTEMPT_MS = 60_000;
/** All attempts of a batch, in milliseconds: an outage of the queue or the database ends within it, or the call fails. */
const DEADLINE_MS = 120_000;

/** An event to send (CloudEvents 1.0). The client adds `specversion`, and an `id` where there is none. */
export interface OutgoingEvent<Type extends string = string, Data = unknown> {
  readonly source: string;
  readonly type: Type;
  readonly data: Data;
  readonly id?: string;
  /** When it happened, RFC 3339; the server takes the time of arrival if absent. */
  readonly time?: string;
  readonly subject?: string;
}

/** The events of a catalog, from the `events` that `npm run client:types` writes: data by type. */
export type EventOf<Events> = {
  [Type in keyof Events & string]: OutgoingEvent<Type, Events[Type]>;
}[keyof Events & string];

export interface SendOptions
  extends Pick<CallOptions, 'signal' | 'traceparent' | 'deadlineMs' | 'attemptMs' | 'isRepeatable'> {
  /** Whether to wait until the events are stored, and not only accepted. Then the report has a token. */
  readonly wait?: boolean;
  /** `bulk` for imports and backfills: live events do not wait behind these. */
  readonly lane?: 'live' | 'bulk';
  /** Whether to compress the requests; yes unless given. */
  readonly gzip?: boolean;
  /** Called after each request with the report so far. */
  readonly onProgress?: (soFar: SendReport) => void;
}

export type EventVerdict =
  | { readonly index: number; readonly id: string | null; readonly verdict: 'duplicate' }
  | {
      readonly index: number;
      readonly id: string | null;
      readonly verdict: 'quarantined';
      readonly code: string;
      readonly reason: string;
      readonly pointer: string;
      readonly detail: string;
    };

export interface SendReport {
  readonly accepted: number;
  readonly duplicates: number;
  readonly quarantined: number;
  /** About the events that are not new and stored or queued, by their index among all events of the call. */
  readonly verdicts: readonly EventVerdict[];
  /** Reads with it show the events; undefined unless all are stored. */
  readonly token: string | undefined;
}

const NOTHING: SendReport = { accepted: 0, duplicates: 0, quarantined: 0, verdicts: [], token: undefined };

/**
 * Sends events in as few requests as the limits allow, one after another. Each event is stored once, whatever is
 * repeated: its source and id identify it.
 *
 * @throws MillraceError if a batch was not accepted. Sending all events again is safe.
 */
export async function sendEvents<Events = Record<string, unknown>>(
  client: Pick<Client, 'fetch' | 'system'>,
  events: Iterable<EventOf<Events>> | AsyncIterable<EventOf<Events>>,
  options: SendOptions = {},
): Promise<SendReport> {
  let report = NOTHING;
  let sent = 0;
  let isStored = true;
  for await (const batch of batchesOf(events, client.system)) {
    const received = await sendBatch(client, batch, options);
    isStored &&= received.token !== undefined;
    report = {
      accepted: report.accepted + received.accepted,
      duplicates: report.duplicates + received.duplicates,
      quarantined: report.quarantined + received.quarantined,
      verdicts: [...report.verdicts, ...received.verdicts.map((of) => ({ ...of, index: of.index + sent }))],
      token: isStored ? received.token : undefined,
    };
    sent += batch.length;
    options.onProgress?.(report);
  }
  return report;
}

/** The events as JSON, cut into requests. */
async function* batchesOf(
  events: Iterable<OutgoingEvent> | AsyncIterable<OutgoingEvent>,
  { newId }: ClientSystem,
): AsyncGenerator<string[]> {
  const encoder = new TextEncoder();
  let batch: string[] = [];
  let bytes = 0;
  for await (const event of events) {
    const text = JSON.stringify({ specversion: '1.0', id: newId(), ...event });
    const added = encoder.encode(text).length + 1;
    if (batch.length === BATCH_EVENTS_MAX || (batch.length > 0 && bytes + added > BATCH_BYTES_MAX)) {
      yield batch;
      batch = [];
      bytes = 0;
    }
    batch.push(text);
    bytes += added;
  }
  if (batch.length > 0) yield batch;
}

async function sendBatch(
  client: Pick<Client, 'fetch'>,
  batch: readonly string[],
  { wait = false, lane, gzip = true, onProgress: _, ...call }: SendOptions,
): Promise<SendReport> {
  const text = `[${batch.join(',')}]`;
  const isPacked = gzip && text.length >= GZIP_BYTES_MIN;
  const response = await client.fetch('/v1/events', {
    ...{ deadlineMs: DEADLINE_MS, attemptMs: ATTEMPT_MS, isRepeatable: true, ...call },
    method: 'POST',
    // Its source and id identify an event, so a repetition needs no other key.
    idempotencyKey: false,
    contentType: 'application/cloudevents-batch+json',
    headers: {
      ...(wait ? { prefer: 'wait' } : {}),
      ...(lane === undefined ? {} : { 'millrace-lane': lane }),
      ...(isPacked ? { 'content-encoding': 'gzip' } : {}),
    },
    body: isPacked ? await gzipped(text) : text,
  });
  const answer = await response.text();
  const report = parsed(answer)?.value;
  if (!isReport(report))
    throw new UnexpectedAnswerError(
      `The answer does not report on the events: ${shown(answer)}.`,
      response.status,
      '',
    );
  return { ...report, token: response.headers.get('millrace-token') ?? undefined };
}

function isReport(value: unknown): value is Omit<SendReport, 'token'> {
  if (typeof value !== 'object' || value === null) return false;
  const counts = ['accepted', 'duplicates', 'quarantined'];
  return (
    counts.every((name) => typeof Reflect.get(value, name) === 'number') &&
    Array.isArray(Reflect.get(value, 'verdicts'))
  );
}

/**
 * Gzipped UTF-8 bytes of `text`. The text goes straight into the compressor: a browser may refuse to read a `Blob` of its
 * own, with a `NotReadableError`, when its store of blobs is short of memory.
 */
async function gzipped(text: string): Promise<ArrayBuffer> {
  const { readable, writable } = new CompressionStream('gzip');
  const packed = new Response(readable).arrayBuffer();
  const writer = writable.getWriter();
  const written = writer.write(new TextEncoder().encode(text)).then(() => writer.close());
  return (await Promise.all([packed, written]))[0];
}
