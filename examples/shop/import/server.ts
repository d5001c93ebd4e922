import * as z from 'zod';
import type { Batch } from './batches.ts';
import { ImportError } from './failure.ts';
import { backoffMs, isTransient, retryAfterMs, UNAVAILABLE_MS_MAX } from './retry.ts';

/** A batch is stored within this time, or the connection is taken for dead. */
const REQUEST_MS_MAX = 60_000;
/** The first answer of a server that runs takes less. */
const FIRST_ANSWER_MS_MAX = 10_000;
/** Characters of a foreign answer that are shown. */
const SHOWN_CHARACTERS_MAX = 500;
/** A source without events: the counts of the relay and of the features are wanted, and counting events costs rows. */
const NO_SOURCE = '/imports/none';

const Receipt = z.object({
  accepted: z.int().min(0),
  duplicates: z.int().min(0).default(0),
  quarantined: z.int().min(0),
  verdicts: z.array(z.object({ index: z.int(), verdict: z.string(), reason: z.string().optional() })),
});
export type Receipt = z.output<typeof Receipt>;

const Status = z.object({ status: z.string(), time: z.string().optional() });
/** What the database holds of an event. `time` is that of a stored event, RFC 3339. */
export type HeldEvent = z.output<typeof Status>;

const Pipeline = z.object({
  outbox: z.object({ pending: z.int() }),
  features: z.object({ folded: z.record(z.string(), z.int()) }),
});
export type Pipeline = z.output<typeof Pipeline>;

const Counted = z.object({ events: z.object({ stored: z.int() }) });

/** Problem details (RFC 9457), with the code that the endpoint adds. */
const Problem = z.object({
  title: z.string().optional(),
  detail: z.string().optional(),
  code: z.string().optional(),
});

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
  /** The root of the API, with a slash at the end. */
  readonly url: URL;
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

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

/**
 * The server that takes the lines. Several calls may be under way. All of them share one view of the server: when it
 * asks one call to wait, the others wait too, and the time without any success counts for all together.
 */
export class Server {
  readonly #endpoint: Endpoint;
  readonly #deps: ServerDeps;
  readonly #signal: AbortSignal;
  #unavailableSince: number | null = null;
  #pausedUntil = 0;

  /** Once the signal is aborted, requests under way are finished and none is begun. */
  constructor(endpoint: Endpoint, deps: ServerDeps, signal: AbortSignal) {
    this.#endpoint = endpoint;
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
    const { url } = this.#endpoint;
    const live = await this.#request('health/live', { timeoutMs: FIRST_ANSWER_MS_MAX }).catch((error) => {
      throw new ImportError(
        `No server answers at ${url.href} (${networkReason(error)}). Start the stack with "npm run dev", or name its address with --url.`,
      );
    });
    if (live.status !== 200 || !z.object({ status: z.string() }).safeParse(parseJson(live.text)).success)
      throw new ImportError(
        `The server at ${url.href} is not Millrace: GET /health/live answers HTTP ${live.status}. Name the address of Millrace with --url.`,
      );
    const counts = pipelinePath(source);
    const asked = await this.#request(counts, { timeoutMs: FIRST_ANSWER_MS_MAX }).catch(() => null);
    if (asked !== null && asked.status >= 400 && asked.status < 500 && !isTransient(asked.status))
      throw new ImportError(
        `${url.href} refuses the API key: ${problemText(asked)} Give the key with --key or MILLRACE_KEY; npm run dev writes it to .millrace/key.`,
      );
    const counted = Counted.safeParse(parseJson(asked?.text ?? ''));
    return counted.success ? counted.data.events.stored : 0;
  }

  /**
   * Sends a batch until the database holds it, the server refuses it for good, or the server was away for too long.
   * `Prefer: wait` makes the answer follow the storing transaction, so that no acknowledged line is in a queue only.
   */
  async send(batch: Batch): Promise<Outcome<Receipt>> {
    let isQueued = false;
    return await this.#untilAnswered(async () => {
      // Sending the batch again while its queue is not empty yet would only make the queue longer.
      if (isQueued && !(await this.#holds(batch))) return queued;
      const answer = await this.#request('v1/events', {
        method: 'POST',
        headers: {
          ...{ 'content-type': 'application/cloudevents-batch+json', prefer: 'wait' },
          // Changes of live events overtake those of an import.
          'millrace-lane': 'bulk',
        },
        body: batch.body,
      });
      const { status, headers, text } = answer;
      if (status < 200 || status > 299) return unexpected(answer, this.#deps.now(), 'the batch');
      const receipt = receive(text, batch.events.length);
      if (receipt.kind !== 'received' || headers.has('millrace-token')) return receipt;
      isQueued = true;
      return queued;
    });
  }

  /** What the database holds of an event; null if it has none with this source and id. */
  async find(source: string, id: string): Promise<Outcome<HeldEvent | null>> {
    return await this.#untilAnswered<HeldEvent | null>(async () => {
      const answer = await this.#request(eventPath(source, id));
      if (answer.status === 404) return { kind: 'received', value: null };
      const held = Status.safeParse(parseJson(answer.text));
      if (answer.status !== 200 || !held.success)
        return unexpected(answer, this.#deps.now(), 'the request for an event');
      // The note that a queue took the event outlives a queue in memory.
      return { kind: 'received', value: held.data.status === 'queued' ? null : held.data };
    });
  }

  /** How much waits to be relayed, and how many events the features have folded. */
  async pipeline(): Promise<Outcome<Pipeline>> {
    return await this.ask(pipelinePath(NO_SOURCE), Pipeline, 'the request for its counts');
  }

  /**
   * Asks until the server answers with what the schema describes.
   *
   * @param what names the request in the message of a refusal.
   * @param body makes it a POST of this JSON.
   */
  async ask<Value>(
    path: string,
    schema: z.ZodType<Value>,
    what: string,
    body?: object,
  ): Promise<Outcome<Value>> {
    const headers = { 'content-type': 'application/json' };
    const init = body === undefined ? {} : { method: 'POST', headers, body: JSON.stringify(body) };
    return await this.#untilAnswered<Value>(async () => {
      const answer = await this.#request(path, init);
      const parsed = schema.safeParse(parseJson(answer.text));
      return answer.status === 200 && parsed.success
        ? { kind: 'received', value: parsed.data }
        : unexpected(answer, this.#deps.now(), what);
    });
  }

  async #untilAnswered<Value>(attempt: () => Promise<Attempt<Value>>): Promise<Outcome<Value>> {
    let isRepeated = false;
    for (let retries = 0; ; retries += 1) {
      await this.#waitForTurn();
      if (this.#signal.aborted) return { kind: 'interrupted' };
      const outcome = await attempt().catch(
        (error): Transient => ({
          kind: 'transient',
          reason: `${this.#endpoint.url.href}: ${networkReason(error)}`,
          retryAfterMs: null,
        }),
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
      const asked = askedMs === null ? '' : `, which asks to wait for another ${Math.ceil(askedMs / 1000)} s`;
      return `${this.#endpoint.url.href} accepted nothing for ${Math.round(awayMs / 1000)} s. Last answer: ${reason}${asked}.`;
    }
    this.#pausedUntil = Math.max(this.#pausedUntil, now + waitMs);
    this.#deps.onRetry(reason, waitMs, failures);
    return null;
  }

  /** Whether the database has the last event of a batch that a queue took. */
  async #holds({ events }: Batch): Promise<boolean> {
    const last = events.at(-1);
    if (last === undefined) return true;
    const answer = await this.#request(eventPath(last.source, last.id));
    const held = Status.safeParse(parseJson(answer.text));
    return answer.status === 404 || (held.success && held.data.status !== 'queued');
  }

  async #request(
    path: string,
    { timeoutMs = REQUEST_MS_MAX, headers, ...init }: RequestInit & { timeoutMs?: number } = {},
  ): Promise<Answer> {
    const { url, key } = this.#endpoint;
    const response = await this.#deps.fetch(new URL(path, url), {
      ...init,
      headers: { ...Object.fromEntries(new Headers(headers)), authorization: `Bearer ${key}` },
      // A redirected POST would arrive as a GET without a body.
      redirect: 'manual',
      signal: AbortSignal.timeout(timeoutMs),
    });
    return { status: response.status, headers: response.headers, text: await response.text() };
  }
}

/** @throws ImportError if the server refuses or does not answer; null if the import was interrupted. */
export function answerOf<Value>(outcome: Outcome<Value>): Value | null {
  if (outcome.kind === 'failed') throw new ImportError(outcome.message);
  return outcome.kind === 'answered' ? outcome.value : null;
}

const queued: Transient = {
  kind: 'transient',
  reason: 'The database does not answer, and the server has queued the lines',
  retryAfterMs: null,
};

function eventPath(source: string, id: string): string {
  return `v1/events/${encodeURIComponent(source)}/${encodeURIComponent(id)}`;
}

function pipelinePath(source: string): string {
  return `v1/admin/pipeline?source=${encodeURIComponent(source)}`;
}

function unexpected(answer: Answer, now: number, what: string): Attempt<never> {
  const { status, headers } = answer;
  const reason = problemText(answer);
  if (!isTransient(status)) return { kind: 'failed', message: `The server refuses ${what}: ${reason}` };
  const askedMs = retryAfterMs(headers.get('retry-after'), now);
  return { kind: 'transient', reason, retryAfterMs: askedMs, isUntouched: status === 429 };
}

function receive(text: string, lines: number): Attempt<Receipt> {
  const receipt = Receipt.safeParse(parseJson(text));
  if (!receipt.success)
    return { kind: 'failed', message: `The server's answer does not report on the lines: ${shown(text)}` };
  const { accepted, duplicates, quarantined } = receipt.data;
  if (accepted + duplicates + quarantined !== lines) {
    return {
      kind: 'failed',
      message: `The server reports on ${accepted + duplicates + quarantined} of ${lines} lines: ${shown(text)}`,
    };
  }
  return { kind: 'received', value: receipt.data };
}

function problemText({ status, text }: Answer): string {
  const problem = Problem.safeParse(parseJson(text));
  if (!problem.success) return `HTTP ${status} ${shown(text)}`.trim();
  const { title, detail, code } = problem.data;
  return [`HTTP ${status}`, code === undefined ? '' : `[${code}]`, title, detail].filter(Boolean).join(' ');
}

function networkReason(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause instanceof Error ? (error.cause as NodeJS.ErrnoException) : null;
  return cause === null ? error.message : `${error.message} (${cause.code ?? cause.message})`;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function shown(text: string): string {
  return text.replace(/\s+/g, ' ').slice(0, SHOWN_CHARACTERS_MAX);
}
