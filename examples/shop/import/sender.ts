import * as z from 'zod';
import type { Batch } from './batches.ts';
import { backoffMs, isTransient, retryAfterMs, UNAVAILABLE_MS_MAX } from './retry.ts';

/** A batch is stored within this time, or the connection is taken for dead. */
const REQUEST_MS_MAX = 60_000;
/** Characters of a foreign answer that are shown. */
const SHOWN_CHARACTERS_MAX = 500;

const Receipt = z.object({
  accepted: z.int().min(0),
  duplicates: z.int().min(0).default(0),
  quarantined: z.int().min(0),
  verdicts: z.array(z.object({ verdict: z.string(), reason: z.string().optional() })),
});
export type Receipt = z.output<typeof Receipt>;

/** Problem details (RFC 9457), with the code that the endpoint adds. */
const Problem = z.object({
  title: z.string().optional(),
  detail: z.string().optional(),
  code: z.string().optional(),
});

export type SendOutcome =
  | { readonly kind: 'acknowledged'; readonly receipt: Receipt; readonly retries: number }
  | { readonly kind: 'interrupted' }
  | { readonly kind: 'failed'; readonly message: string };

export interface SenderDeps {
  readonly fetch: typeof fetch;
  readonly now: () => number;
  readonly random: () => number;
  /** Resolves after the time or as soon as the signal is aborted. */
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly onRetry: (reason: string, waitMs: number) => void;
}

export interface Endpoint {
  readonly url: URL;
  readonly key: string;
}

type Attempt =
  | Exclude<SendOutcome, { kind: 'acknowledged' }>
  | { readonly kind: 'received'; readonly receipt: Receipt }
  | Transient;

interface Transient {
  readonly kind: 'transient';
  readonly reason: string;
  readonly retryAfterMs: number | null;
}

/**
 * Sends batches, several at once. All of them share one view of the server: when it asks one batch to wait, the
 * others wait too, and the time without any success counts for all together.
 */
export class Sender {
  readonly #endpoint: Endpoint;
  readonly #deps: SenderDeps;
  readonly #signal: AbortSignal;
  #unavailableSince: number | null = null;
  #pausedUntil = 0;

  /** Once the signal is aborted, requests under way are finished and none is begun. */
  constructor(endpoint: Endpoint, deps: SenderDeps, signal: AbortSignal) {
    this.#endpoint = endpoint;
    this.#deps = deps;
    this.#signal = signal;
  }

  /** Sends a batch until it is acknowledged, refused for good, or the server was away for too long. */
  async send(batch: Batch): Promise<SendOutcome> {
    for (let retries = 0; ; retries += 1) {
      await this.#waitForTurn();
      if (this.#signal.aborted) return { kind: 'interrupted' };
      const attempt = await this.#attempt(batch);
      if (attempt.kind === 'received') {
        this.#unavailableSince = null;
        return { kind: 'acknowledged', receipt: attempt.receipt, retries };
      }
      if (attempt.kind !== 'transient') return attempt;
      const failure = this.#postpone(attempt, retries + 1);
      if (failure !== null) return { kind: 'failed', message: failure };
    }
  }

  /** The pause may be prolonged by another batch while this one waits. */
  async #waitForTurn(): Promise<void> {
    for (;;) {
      const waitMs = this.#pausedUntil - this.#deps.now();
      if (waitMs <= 0 || this.#signal.aborted) return;
      await this.#deps.sleep(waitMs, this.#signal);
    }
  }

  /** Makes all batches wait; returns why there is no use in waiting any longer, if so. */
  #postpone({ reason, retryAfterMs: askedMs }: Transient, failures: number): string | null {
    const now = this.#deps.now();
    this.#unavailableSince ??= now;
    const waitMs = backoffMs(failures, askedMs, this.#deps.random);
    const awayMs = now - this.#unavailableSince;
    if (awayMs + waitMs > UNAVAILABLE_MS_MAX) {
      const asked = askedMs === null ? '' : `, which asks to wait for another ${Math.ceil(askedMs / 1000)} s`;
      return `The server took nothing for ${Math.round(awayMs / 1000)} s. Last answer: ${reason}${asked}.`;
    }
    this.#pausedUntil = Math.max(this.#pausedUntil, now + waitMs);
    this.#deps.onRetry(reason, waitMs);
    return null;
  }

  async #attempt(batch: Batch): Promise<Attempt> {
    let status: number;
    let text: string;
    let headers: Headers;
    try {
      const response = await this.#deps.fetch(this.#endpoint.url, {
        method: 'POST',
        headers: {
          'content-type': 'application/cloudevents-batch+json',
          authorization: `Bearer ${this.#endpoint.key}`,
          'millrace-lane': 'bulk',
        },
        body: batch.body,
        // A redirected POST would arrive as a GET without a body.
        redirect: 'manual',
        signal: AbortSignal.timeout(REQUEST_MS_MAX),
      });
      ({ status, headers } = response);
      text = await response.text();
    } catch (error) {
      return { kind: 'transient', reason: networkReason(error), retryAfterMs: null };
    }
    if (status === 202 || status === 207) return receive(text, batch.lines);
    if (isTransient(status)) {
      const askedMs = retryAfterMs(headers.get('retry-after'), this.#deps.now());
      return { kind: 'transient', reason: problemText(status, text), retryAfterMs: askedMs };
    }
    return { kind: 'failed', message: `The server refuses the batch: ${problemText(status, text)}` };
  }
}

function receive(text: string, lines: number): Attempt {
  const receipt = Receipt.safeParse(parseJson(text));
  if (!receipt.success)
    return { kind: 'failed', message: `The server's answer is not a receipt: ${shown(text)}` };
  const { accepted, duplicates, quarantined } = receipt.data;
  if (accepted + duplicates + quarantined !== lines) {
    return {
      kind: 'failed',
      message: `The server answers for ${accepted + duplicates + quarantined} of ${lines} lines: ${shown(text)}`,
    };
  }
  return { kind: 'received', receipt: receipt.data };
}

function problemText(status: number, text: string): string {
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
