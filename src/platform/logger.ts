import { type Now, systemNow } from './clock.ts';

/** Structured log lines with Elastic Common Schema field names, one JSON object a line. */
export type LogLevel = 'info' | 'warn' | 'error';

export interface LogFields {
  readonly [field: string]: string | number | boolean | null | undefined;
}

/** Writes one line. `error` is reduced to its message and stack: never pass request bodies or secrets. */
export function log(level: LogLevel, message: string, fields: LogFields = {}, error?: unknown): void {
  const line: Record<string, unknown> = {
    'log.level': level,
    message,
    'service.name': 'millrace',
    ...fields,
  };
  if (error instanceof Error) {
    line['error.type'] = error.name;
    line['error.message'] = error.message;
    line['error.stack_trace'] = error.stack;
    if (error.cause instanceof Error) line['error.cause'] = error.cause.message;
  } else if (error !== undefined) {
    line['error.message'] = String(error);
  }
  console[level === 'info' ? 'log' : level](JSON.stringify(line));
}

/** How often a message that is logged seldom is written, in milliseconds: 300 isolates then write 432,000 lines a day, for $0.26. */
export const SELDOM_MS = 60_000;

/** Lines that are left out when they come too often. */
export class SeldomLog {
  readonly #now: Now;
  readonly #written = new Map<string, { readonly atMs: number; suppressed: number }>();

  constructor(now: Now) {
    this.#now = now;
  }

  /**
   * Writes one line for a message, then none of the same message for a minute; the next one has the number of lines that
   * were left out.
   *
   * @param message a constant: it is remembered.
   */
  readonly write = (
    level: Exclude<LogLevel, 'error'>,
    message: string,
    fields: LogFields,
    error: unknown,
  ): void => {
    const nowMs = this.#now();
    const before = this.#written.get(message);
    if (before !== undefined && nowMs - before.atMs < SELDOM_MS) {
      before.suppressed += 1;
      return;
    }
    this.#written.set(message, { atMs: nowMs, suppressed: 0 });
    log(level, message, { ...fields, 'log.suppressed': before?.suppressed ?? 0 }, error);
  };
}

/**
 * Writes a line of an isolate that each read may meet while a service is away: the platform charges for each line. See
 * `SeldomLog.write`.
 */
export const logSeldom = new SeldomLog(systemNow).write;
