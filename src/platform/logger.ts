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
