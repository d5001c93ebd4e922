import {
  DeadlineError,
  MillraceError,
  ProblemError,
  refusalOf,
  UnexpectedAnswerError,
  UnreachableError,
} from './errors.ts';
import { backoffMs, isInFlight, isTransient, retryAfterMsOf } from './retry.ts';
import type { ClientSystem } from './system.ts';
import { type TraceContext, traceparentOf } from './trace.ts';

/** A body that can be sent more than once. */
export type Sendable = string | ArrayBuffer | Uint8Array<ArrayBuffer> | Blob;

export interface Exchange {
  readonly method: string;
  readonly url: string;
  readonly headers: Headers;
  readonly body: Sendable | undefined;
  /** Whether a repetition has no second effect. */
  readonly isRepeatable: boolean;
  /** For all attempts together, in milliseconds. */
  readonly deadlineMs: number;
  /** For one attempt, in milliseconds. */
  readonly attemptMs: number;
  readonly signal: AbortSignal | undefined;
  readonly trace: TraceContext;
}

/**
 * Sends a request until it succeeds, is refused for good, or its deadline is near. Only a request that is repeatable is
 * sent more than once.
 *
 * @param read reads a response of success (or 304) within the time of the attempt.
 * @throws MillraceError; the reason of the signal, if it is aborted.
 */
export async function exchange<Answer>(
  request: Exchange,
  read: (response: Response) => Promise<Answer>,
  system: ClientSystem,
): Promise<Answer> {
  const endsAt = system.now() + request.deadlineMs;
  for (let failures = 1; ; failures += 1) {
    const attemptMs = Math.min(request.attemptMs, endsAt - system.now());
    const outcome = await attempt(request, attemptMs, read, system).catch((error: unknown) => {
      // The caller's own abort is no failure of the server.
      if (request.signal?.aborted === true) throw request.signal.reason;
      if (error instanceof MillraceError) return error;
      return new UnreachableError(
        `No answer from ${request.url}: ${causeOf(error)}.`,
        request.trace.traceId,
        {
          cause: error,
        },
      );
    });
    if (!(outcome instanceof MillraceError)) return outcome;
    if (!request.isRepeatable || !isWorthRepeating(outcome)) throw outcome;
    const waitMs = backoffMs(failures, retryAfterOf(outcome), system.random);
    if (system.now() + waitMs >= endsAt) throw outcome;
    await system.sleep(waitMs, request.signal);
  }
}

async function attempt<Answer>(
  { method, url, headers, body, signal, trace }: Exchange,
  attemptMs: number,
  read: (response: Response) => Promise<Answer>,
  system: ClientSystem,
): Promise<Answer | MillraceError> {
  const timeout = new AbortController();
  const cancel = system.after(attemptMs, () =>
    timeout.abort(
      new DeadlineError(`${url} did not answer within ${Math.round(attemptMs)} ms.`, trace.traceId),
    ),
  );
  const sent = new Headers(headers);
  sent.set('traceparent', traceparentOf(trace, system.newId));
  try {
    const response = await system.fetch(url, {
      method,
      headers: sent,
      // A redirected POST would arrive as a GET without its body, and the key would be sent to another address.
      redirect: 'manual',
      signal: signal === undefined ? timeout.signal : AbortSignal.any([signal, timeout.signal]),
      ...(body === undefined ? {} : { body }),
    });
    if (response.ok || response.status === 304) return await read(response);
    const { headers: received } = response;
    const retryAfterMs = retryAfterMsOf(
      received.get('retry-after'),
      received.get('date'),
      system.wallClock(),
    );
    return refusalOf(
      { status: response.status, text: await response.text(), url, headers: received },
      trace.traceId,
      retryAfterMs,
    );
  } catch (error) {
    // Runtimes wrap the reason of a signal in different ways.
    throw timeout.signal.aborted ? timeout.signal.reason : error;
  } finally {
    cancel();
  }
}

function isWorthRepeating(error: MillraceError): boolean {
  if (error instanceof ProblemError) return isTransient(error.status) || isInFlight(error.code);
  return !(error instanceof UnexpectedAnswerError) || isTransient(error.status);
}

function retryAfterOf(error: MillraceError): number | undefined {
  const isAnswer = error instanceof ProblemError || error instanceof UnexpectedAnswerError;
  return isAnswer ? error.retryAfterMs : undefined;
}

/** `fetch failed` has the reason as its cause. */
function causeOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { cause } = error;
  if (cause instanceof Error && cause.message !== '') return cause.message;
  const code: unknown = cause instanceof Error ? Reflect.get(cause, 'code') : undefined;
  return typeof code === 'string' ? code : error.message;
}
