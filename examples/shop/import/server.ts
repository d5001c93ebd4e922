import {
  type CallOptions,
  type Client,
  type components,
  createClient,
  MillraceError,
  ProblemError,
  type SendReport,
  sendEvents,
  UnexpectedAnswerError,
} from '../../../src/client/index.ts';
import type { Batch } from './batches.ts';
import { ImportError } from './failure.ts';
import { backoffMs, isTransient, UNAVAILABLE_MS_MAX } from './retry.ts';

/** A batch is stored within this time, or the connection is taken for dead. */
const REQUEST_MS_MAX = 60_000;
/** The first answer of a server that runs takes less. */
const FIRST_ANSWER_MS_MAX = 10_000;
/** A source without events: the counts of the relay and of the features are wanted, and counting events costs rows. */
const NO_SOURCE = '/imports/none';

/** What the database holds of an event. `time` is that of a stored event, RFC 3339. */
export type HeldEvent = Pick<components['schemas']['EventStatus'], 'status'> & { readonly time?: string };

export interface Pipeline {
  readonly outbox: { readonly pending: number };
  readonly features: { readonly folded: Readonly<Record<string, number>> };
}

export type Outcome<Value> =
  | {
      readonly kind: 'answered';
      readonly value: Value;
      readonly retries: number;
      /** Whether an earlier try may have had its effect, for its answer was lost. */
      readonly isRepeated: boolean;
    }
  | { readonly kind: 'interrupted' }
  | { readonly kind: 'failed'; readonly message: string };

export interface ServerDeps {
  readonly fetch: typeof fetch;
  readonly now: () => number;
  readonly random: () => number;
  /** Resolves after the time or as soon as the signal is aborted. */
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly onRetry: (reason: string, waitMs: number, failures: number) => void;
}

export interface Endpoint {
  /** The address of the worker, without a path. */
  readonly url: string;
  readonly key: string;
}

type Attempt<Value> =
  | { readonly kind: 'received'; readonly value: Value }
  | { readonly kind: 'failed'; readonly message: string }
  | Transient;

interface Transient {
  readonly kind: 'transient';
  readonly reason: string;
  readonly retryAfterMs: number | null;
  /** Whether the server refused the request before it did anything. */
  readonly isUntouched?: boolean;
}

/** How each call is sent: once, because the calls of an import share one view of the server and retry together. */
type Once = Pick<CallOptions, 'isRepeatable' | 'idempotencyKey' | 'deadlineMs' | 'attemptMs'>;

/**
 * The server that takes the lines. Several calls may be under way. All of them share one view of the server: when it
 * asks one call to wait, the others wait too, and the time without any success counts for all together.
 */
export class Server {
  readonly #url: string;
  readonly #client: Client;
  readonly #deps: ServerDeps;
  readonly #signal: AbortSignal;
  #unavailableSince: number | null = null;
  #pausedUntil = 0;

  /** Once the signal is aborted, requests under way are finished and none is begun. */
  constructor({ url, key }: Endpoint, deps: ServerDeps, signal: AbortSignal) {
    this.#url = url;
    this.#client = createClient({ url, key, system: { fetch: deps.fetch } });
    this.#deps = deps;
    this.#signal = signal;
  }

  /**
   * Checks once whether Millrace answers at the URL and takes the key, so that a wrong option ends the import at once
   * and an outage later does not.
   *
   * @param source whose events are counted on this occasion.
   * @returns their number; 0 if the server does not say.
   * @throws ImportError
   */
  async greet(source: string): Promise<number> {
    const once = sentOnce(FIRST_ANSWER_MS_MAX);
    const live = await this.#client.get('/health/live', once).catch((error: unknown) => {
      if (!(error instanceof MillraceError)) throw error;
      if (isAnswer(error)) return error;
      throw new ImportError(
        `${error.message} Start the stack with "npm run dev", or name its address with --url.`,
      );
    });
    if (live instanceof MillraceError || live.data?.status !== 'ok')
      throw new ImportError(
        `The server at ${this.#url} is not Millrace: GET /health/live answers HTTP ${live.status}. Name the address of Millrace with --url.`,
      );
    try {
      const { data } = await this.#client.get('/v1/admin/pipeline', { query: { source }, ...once });
      return data.events.stored;
    } catch (error) {
      if (!(error instanceof MillraceError)) throw error;
      // An outage ends, and the first batch waits for that.
      if (!isAnswer(error) || error.status < 400 || isTransient(error.status)) return 0;
      throw new ImportError(
        `${this.#url} refuses the API key: ${error.message} Give the key with --key or MILLRACE_KEY; npm run dev writes it to .millrace/key.`,
      );
    }
  }

  /**
   * Sends a batch until the database holds it, the server refuses it for good, or the server was away for too long.
   * `Prefer: wait` makes the answer follow the storing transaction, so that no acknowledged line is in a queue only.
   */
  async send({ events }: Batch): Promise<Outcome<SendReport>> {
    let isQueued = false;
    return await this.#untilAnswered('the batch', async (once) => {
      // Sending the batch again while its queue is not empty yet would only make the queue longer.
      if (isQueued && !(await this.#holds(events.at(-1), once))) return QUEUED;
      // Changes of live events overtake those of an import. An import mostly runs beside its worker, where packing costs
      // both more time than the transfer.
      const report = await sendEvents(this.#client, events, {
        ...{ wait: true, lane: 'bulk', gzip: false },
        ...once,
      });
      const received = checked(report, events.length);
      if (received.kind !== 'received' || report.token !== undefined) return received;
      isQueued = true;
      return QUEUED;
    });
  }

  /** What the database holds of an event; null if it has none with this source and id. */
  async find(source: string, id: string): Promise<Outcome<HeldEvent | null>> {
    return await this.#untilAnswered('the request for an event', async (once) => {
      const held = await this.#statusOf(source, id, once);
      // The note that a queue took the event outlives a queue in memory.
      return { kind: 'received', value: held?.status === 'queued' ? null : held };
    });
  }

  /** How much waits to be relayed, and how many events the features have folded. */
  async pipeline(): Promise<Outcome<Pipeline>> {
    return await this.ask('the request for its counts', async (client, once) => {
      const { data } = await client.get('/v1/admin/pipeline', { query: { source: NO_SOURCE }, ...once });
      return data;
    });
  }

  /**
   * Calls until the server answers.
   *
   * @param what names the request in the message of a refusal.
   */
  async ask<Value>(
    what: string,
    call: (client: Client, once: Once) => Promise<Value>,
  ): Promise<Outcome<Value>> {
    return await this.#untilAnswered(what, async (once) => ({
      kind: 'received',
      value: await call(this.#client, once),
    }));
  }

  async #untilAnswered<Value>(
    what: string,
    attempt: (once: Once) => Promise<Attempt<Value>>,
  ): Promise<Outcome<Value>> {
    let isRepeated = false;
    for (let retries = 0; ; retries += 1) {
      await this.#waitForTurn();
      if (this.#signal.aborted) return { kind: 'interrupted' };
      const outcome = await attempt(sentOnce(REQUEST_MS_MAX)).catch((error: unknown) =>
        failureOf(error, what),
      );
      if (outcome.kind === 'received') {
        this.#unavailableSince = null;
        return { kind: 'answered', value: outcome.value, retries, isRepeated };
      }
      if (outcome.kind !== 'transient') return outcome;
      isRepeated ||= outcome.isUntouched !== true;
      const failure = this.#postpone(outcome, retries + 1);
      if (failure !== null) return { kind: 'failed', message: failure };
    }
  }

  /** The pause may be prolonged by another call while this one waits. */
  async #waitForTurn(): Promise<void> {
    for (;;) {
      const waitMs = this.#pausedUntil - this.#deps.now();
      if (waitMs <= 0 || this.#signal.aborted) return;
      await this.#deps.sleep(waitMs, this.#signal);
    }
  }

  /** Makes all calls wait; returns why there is no use in waiting any longer, if so. */
  #postpone({ reason, retryAfterMs: askedMs }: Transient, failures: number): string | null {
    const now = this.#deps.now();
    this.#unavailableSince ??= now;
    const waitMs = backoffMs(failures, askedMs, this.#deps.random);
    const awayMs = now - this.#unavailableSince;
    if (awayMs + waitMs > UNAVAILABLE_MS_MAX) {
      const asked = askedMs === null ? '' : ` It asks to wait for another ${Math.ceil(askedMs / 1000)} s.`;
      return `${this.#url} accepted nothing for ${Math.round(awayMs / 1000)} s. Last answer: ${reason}${asked}`;
    }
    this.#pausedUntil = Math.max(this.#pausedUntil, now + waitMs);
    this.#deps.onRetry(reason, waitMs, failures);
    return null;
  }

  /** Whether the queue has given the last event of a batch away. */
  async #holds(last: Batch['events'][number] | undefined, once: Once): Promise<boolean> {
    if (last === undefined) return true;
    return (await this.#statusOf(last.source, last.id, once))?.status !== 'queued';
  }

  /** @returns null where the server has no event of this source and id. */
  async #statusOf(source: string, id: string, once: Once): Promise<HeldEvent | null> {
    try {
      const { data } = await this.#client.get('/v1/events/{source}/{id}', { path: { source, id }, ...once });
      return data;
    } catch (error) {
      if (error instanceof ProblemError && error.code === 'not_found') return null;
      throw error;
    }
  }
}

/** @throws ImportError if the server refuses or does not answer; null if the import was interrupted. */
export function answerOf<Value>(outcome: Outcome<Value>): Value | null {
  if (outcome.kind === 'failed') throw new ImportError(outcome.message);
  return outcome.kind === 'answered' ? outcome.value : null;
}

const QUEUED: Transient = {
  kind: 'transient',
  reason: 'The database does not answer, and the server has queued the lines.',
  retryAfterMs: null,
};

function sentOnce(ms: number): Once {
  return { isRepeatable: false, idempotencyKey: false, deadlineMs: ms, attemptMs: ms };
}

/** @throws the error itself if it is not one of the client, for then it is a defect of the import. */
function failureOf(error: unknown, what: string): Attempt<never> {
  if (!(error instanceof MillraceError)) throw error;
  const { message: reason } = error;
  if (!isAnswer(error)) return { kind: 'transient', reason, retryAfterMs: null };
  const { status, retryAfterMs = null } = error;
  if (isTransient(status)) return { kind: 'transient', reason, retryAfterMs, isUntouched: status === 429 };
  return { kind: 'failed', message: `The server does not take ${what}: ${reason}` };
}

/** A report that does not add up is none of Millrace: an error, so that no line is lost. */
function checked(report: SendReport, lines: number): Attempt<SendReport> {
  const { accepted, duplicates, quarantined } = report;
  const reported = accepted + duplicates + quarantined;
  if (reported === lines) return { kind: 'received', value: report };
  return { kind: 'failed', message: `The server reports on ${reported} of ${lines} lines.` };
}

/** Whether a server answered, and not with what was wanted. */
function isAnswer(error: MillraceError): error is ProblemError | UnexpectedAnswerError {
  return error instanceof ProblemError || error instanceof UnexpectedAnswerError;
}
