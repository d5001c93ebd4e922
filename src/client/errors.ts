import type { FailureCode } from '../platform/failure.ts';

/** What clients branch on. A server that is newer than this client may send a code that is not in this set. */
export type ProblemCode = FailureCode;

/** A problem document (RFC 9457) of Millrace. */
export interface ProblemDocument {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly code: ProblemCode;
  readonly requestId: string;
  /** The position of the mistake in the request: a JSON Pointer into the body, or the name of a parameter or header. */
  readonly pointer?: string;
}

/** An error of a call. Its classes are below. */
export class MillraceError extends Error {
  /** The trace of the call (W3C Trace Context), under which the server's spans are found. */
  readonly traceId: string;

  constructor(message: string, traceId: string, options: ErrorOptions = {}) {
    super(message, options);
    this.name = new.target.name;
    this.traceId = traceId;
  }
}

/** The server refused the request, and says why. */
export class ProblemError extends MillraceError {
  readonly problem: ProblemDocument;
  /** After how many milliseconds the server asks to try again; undefined if it does not say. */
  readonly retryAfterMs: number | undefined;
  /** Those of the answer, such as `RateLimit`, `WWW-Authenticate`, or `Cache-Status` of a 404 that is cached. */
  readonly headers: Headers;

  constructor(
    problem: ProblemDocument,
    traceId: string,
    retryAfterMs: number | undefined,
    headers: Headers = new Headers(),
  ) {
    super(`${problem.status} ${problem.code}: ${problem.detail}`, traceId);
    this.problem = problem;
    this.retryAfterMs = retryAfterMs;
    this.headers = headers;
  }

  get code(): ProblemCode {
    return this.problem.code;
  }

  get status(): number {
    return this.problem.status;
  }
}

/** The answer is not one of Millrace: of a proxy, of another server, or cut off. */
export class UnexpectedAnswerError extends MillraceError {
  readonly status: number;
  /** After how many milliseconds the server, such as a proxy in front of it, asks to try again; undefined if it does not say. */
  readonly retryAfterMs: number | undefined;

  constructor(
    message: string,
    status: number,
    traceId: string,
    { retryAfterMs, ...options }: ErrorOptions & { readonly retryAfterMs?: number | undefined } = {},
  ) {
    super(message, traceId, options);
    this.status = status;
    this.retryAfterMs = retryAfterMs;
  }
}

/** No answer arrived: there was no connection, or it broke. */
export class UnreachableError extends MillraceError {}

/** The deadline of the call passed. The server may still act on the request. */
export class DeadlineError extends MillraceError {}

/** The characters of a foreign answer that a message shows. */
const SHOWN_CHARACTERS_MAX = 200;

/** The error for an answer without success. */
export function refusalOf(
  answer: {
    readonly status: number;
    readonly text: string;
    readonly url: string;
    readonly headers: Headers;
  },
  traceId: string,
  retryAfterMs: number | undefined,
): ProblemError | UnexpectedAnswerError {
  const problem = problemOf(answer.text);
  if (problem !== undefined) return new ProblemError(problem, traceId, retryAfterMs, answer.headers);
  const { status, url } = answer;
  const what =
    status === 0 || (status >= 300 && status < 400)
      ? 'redirects, which this client does not follow. Name the address that it redirects to'
      : `answered ${status} without a problem document, so it may not be a Millrace worker: ${shown(answer.text)}`;
  return new UnexpectedAnswerError(`${url} ${what}.`, status, traceId, { retryAfterMs });
}

/** The beginning of a foreign answer, for a message. */
export function shown(text: string): string {
  return text.replaceAll(/\s+/g, ' ').slice(0, SHOWN_CHARACTERS_MAX);
}

/** The value of a JSON text; undefined if the text is no JSON. */
export function parsed(text: string): { readonly value: unknown } | undefined {
  try {
    return { value: JSON.parse(text) };
  } catch {
    return undefined;
  }
}

function problemOf(text: string): ProblemDocument | undefined {
  const value = parsed(text)?.value;
  return isProblem(value) ? value : undefined;
}

function isProblem(value: unknown): value is ProblemDocument {
  if (typeof value !== 'object' || value === null) return false;
  const has = (name: string, type: string) => typeof Reflect.get(value, name) === type;
  return has('code', 'string') && has('status', 'number') && has('detail', 'string');
}
