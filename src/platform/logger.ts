import { type Now, systemNow } from './clock.ts';
import { fieldValue, LOG_FIELDS, type LogField, type LogFields } from './log-fields.ts';
import { errorFields } from './redaction.ts';
import type { Span } from './tracing/span.ts';
import { VERSION } from './version.ts';

export type { LogFields } from './log-fields.ts';

/** The version of the Elastic Common Schema whose names the lines have. */
const ECS_VERSION = '8.17.0';

export type LogLevel = 'info' | 'warn' | 'error';

/** A text without values in it: a literal, or one of a few. What varies belongs into a field. */
export type Constant<Text extends string> = Record<never, never> extends Record<Text, 1> ? never : Text;

/**
 * How many lines of one message an isolate writes in a minute. The platform charges for each line: 300 isolates that fail all
 * the time then write at most 52 million errors of a kind a day: $31.
 */
export const LINES_PER_MINUTE: Readonly<Record<LogLevel, number>> = { info: 60, warn: 60, error: 120 };
/** As long as a count of lines holds, in milliseconds. */
export const LINES_MS = 60_000;

/** Which lines are written when they come too often. Messages are constants, so they are few. */
export class LineLimit {
  readonly #now: Now;
  readonly #lines = new Map<string, { sinceMs: number; written: number; suppressed: number }>();

  constructor(now: Now) {
    this.#now = now;
  }

  /** Whether a line may be written. @returns how many before it were not; undefined if it may not. */
  admit(message: string, perMinute: number): number | undefined {
    const nowMs = this.#now();
    const known = this.#lines.get(message) ?? { sinceMs: nowMs, written: 0, suppressed: 0 };
    this.#lines.set(message, known);
    if (nowMs - known.sinceMs >= LINES_MS) {
      known.sinceMs = nowMs;
      known.written = 0;
    }
    if (known.written >= perMinute) {
      known.suppressed += 1;
      return undefined;
    }
    known.written += 1;
    const { suppressed } = known;
    known.suppressed = 0;
    return suppressed;
  }
}

const lines = new LineLimit(systemNow);
const seldomLines = new LineLimit(systemNow);

/**
 * Writes a line: JSON with the names of the Elastic Common Schema. Nothing else writes to the console. Of more lines of a
 * message than `LINES_PER_MINUTE`, the next one that is written has the number in `millrace.suppressed`.
 *
 * @param error only its type, its code, the plain words of its message, and its frames are written (`redaction.ts`).
 */
export function log<const Message extends string>(
  level: LogLevel,
  message: Constant<Message>,
  fields: LogFields = {},
  error?: unknown,
): void {
  const suppressed = lines.admit(message, LINES_PER_MINUTE[level]);
  if (suppressed !== undefined) write(level, message, fields, error, suppressed);
}

/** As `log`, one line a minute: for what each read may meet while a service is away. */
export function logSeldom<const Message extends string>(
  level: Exclude<LogLevel, 'error'>,
  message: Constant<Message>,
  fields: LogFields,
  error: unknown,
): void {
  const suppressed = seldomLines.admit(message, 1);
  if (suppressed !== undefined) write(level, message, fields, error, suppressed);
}

/** The ids of the trace that a line belongs to; nothing where nobody records it. */
export function traceOf({ context }: Pick<Span, 'context'>): Pick<LogFields, 'trace.id' | 'span.id'> {
  return context === undefined ? {} : { 'trace.id': context.traceId, 'span.id': context.spanId };
}

function write(
  level: LogLevel,
  message: string,
  fields: LogFields,
  error: unknown,
  suppressed: number,
): void {
  const line: Record<string, unknown> = {
    '@timestamp': new Date(systemNow()).toISOString(),
    'log.level': level,
    message,
    'ecs.version': ECS_VERSION,
    'service.name': 'millrace',
    'service.version': VERSION,
    ...(error === undefined ? {} : errorFields(error)),
    ...(suppressed === 0 ? {} : { 'millrace.suppressed': suppressed }),
  };
  for (const [name, value] of Object.entries(fields))
    if (isLogField(name) && value !== undefined && value !== null) line[name] = fieldValue(name, value);
  console[level === 'info' ? 'log' : level](JSON.stringify(line));
}

function isLogField(name: string): name is LogField {
  return Object.hasOwn(LOG_FIELDS, name);
}
