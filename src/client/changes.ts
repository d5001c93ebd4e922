import type { CallOptions, Client } from './client.ts';
import { UnexpectedAnswerError } from './errors.ts';
import type { components } from './routes.ts';
import { type ServerSentEvent, SseParser } from './sse.ts';
import type { ClientSystem } from './system.ts';

/** A committed and invalidated change. Reads with its `token` show it; by its number a reader recognises a duplicate. */
export type Change = components['schemas']['Change'];

export type LiveEvent =
  | { readonly kind: 'change'; readonly id: string; readonly change: Change }
  /** The client may have missed changes: it should read anew what it shows. */
  | { readonly kind: 'reset'; readonly id: string; readonly reason: string };

export interface ChangesOptions extends Pick<CallOptions, 'signal' | 'traceparent'> {
  /** Event types, or `row`; all if absent. */
  readonly types?: readonly string[];
  /** `<entity>` or `<entity>:<key>`; all if absent. */
  readonly entities?: readonly string[];
  /** The id of the last event that was handled; the feed begins now if absent. */
  readonly after?: string | undefined;
  /** How long the feed may be away before the iterator ends with the error, in milliseconds; 10 minutes unless given. */
  readonly awayMsMax?: number;
}

const AWAY_MS_MAX = 10 * 60_000;
/** The server writes a line every 5 seconds. A connection that is silent for longer is taken for dead. */
const SILENCE_MS_MAX = 20_000;
/** The reconnection time, in milliseconds, before the stream gives one. */
const RECONNECT_MS = 3_000;

/**
 * Follows the changes. It reconnects after the last id that it received, so no change is skipped, and one may arrive
 * twice. It waits a random part of the time that the server gives, so that many clients do not return together.
 *
 * @throws MillraceError if the feed refuses the request, or is away for longer than `awayMsMax`; the reason of the
 *   signal.
 */
export async function* changes(
  client: Pick<Client, 'fetch' | 'system'>,
  { types = [], entities = [], after, signal, traceparent, awayMsMax = AWAY_MS_MAX }: ChangesOptions = {},
): AsyncGenerator<LiveEvent, never> {
  const { system } = client;
  let id = after;
  let retryMs = RECONNECT_MS;
  let connectedAt = system.now();
  for (;;) {
    const connection = new AbortController();
    const linked = signal === undefined ? connection.signal : AbortSignal.any([signal, connection.signal]);
    try {
      // Within this time the call itself retries, with backoff.
      const left = Math.max(1, awayMsMax - (system.now() - connectedAt));
      const response = await client.fetch('/v1/changes', {
        ...{ query: { type: types, entity: entities }, signal: linked, traceparent, deadlineMs: left },
        isStream: true,
        ...(id === undefined ? {} : { headers: { 'last-event-id': id } }),
      });
      for await (const event of eventsOf(response, system)) {
        connectedAt = system.now();
        id = event.id ?? id;
        retryMs = event.retryMs ?? retryMs;
        const live = liveEventOf(event, response);
        if (live !== undefined) yield live;
      }
    } catch (error) {
      throw signal?.aborted === true ? signal.reason : error;
    } finally {
      // Also where the consumer stops reading: the server frees the place of the stream.
      connection.abort();
    }
    await system.sleep(system.random() * retryMs, signal);
  }
}

/** The events of one connection, until it ends or is silent for too long. */
async function* eventsOf(response: Response, system: ClientSystem): AsyncGenerator<ServerSentEvent> {
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  if (reader === undefined) return;
  const parser = new SseParser();
  for (;;) {
    const cancel = system.after(SILENCE_MS_MAX, () => void reader.cancel().catch(() => undefined));
    // A connection that breaks ends the stream, as one that the server closes does.
    const { value, done } = await reader
      .read()
      .catch(() => ({ value: undefined, done: true }))
      .finally(cancel);
    if (done || value === undefined) return;
    yield* parser.push(value);
  }
}

function liveEventOf({ event, data, id = '' }: ServerSentEvent, { status }: Response): LiveEvent | undefined {
  if (data === '') return undefined;
  const value: unknown = JSON.parse(data);
  if (event === 'change' && isChange(value)) return { kind: 'change', id, change: value };
  if (event === 'reset') return { kind: 'reset', id, reason: String(Object(value).reason) };
  throw new UnexpectedAnswerError(
    `The feed sent an event "${event}" that this client does not know.`,
    status,
    '',
  );
}

function isChange(value: unknown): value is Change {
  return typeof value === 'object' && value !== null && 'change' in value && 'token' in value;
}
