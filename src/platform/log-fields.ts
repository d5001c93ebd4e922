/**
 * Every field that a log line may have, and which values it takes. The names are those of the Elastic Common Schema, and
 * `millrace.…` for what it has no name for. The table also makes the mapping of the index template
 * (`scripts/monitoring/logs.ts`), so a line has no field that an index does not know.
 *
 * Values are names of declarations, codes, ids that Millrace or the platform has made, and numbers. None is what somebody
 * has sent: no path of a request, key, tag, id of an event, or message of a person.
 */
export const LOG_FIELDS = {
  'event.action': 'name',
  'event.duration': 'number',
  'event.outcome': 'name',
  'event.reason': 'name',
  'error.code': 'name',
  'error.id': 'id',
  'http.request.id': 'id',
  'http.request.method': 'name',
  'http.response.status_code': 'number',
  'rule.name': 'name',
  'span.id': 'id',
  'trace.id': 'id',
  'millrace.alert.objective': 'name',
  'millrace.alert.peer': 'name',
  'millrace.alert.severity': 'name',
  'millrace.alert.state': 'name',
  'millrace.audit.id': 'id',
  'millrace.batch': 'id',
  'millrace.cache.status': 'name',
  'millrace.column': 'name',
  'millrace.count': 'number',
  'millrace.db.column': 'name',
  'millrace.db.constraint': 'name',
  'millrace.db.missing': 'name',
  'millrace.db.table': 'name',
  'millrace.dependency': 'name',
  'millrace.event.type': 'name',
  'millrace.for_ms': 'number',
  'millrace.kafka.from': 'offset',
  'millrace.kafka.partition': 'number',
  'millrace.kafka.to': 'offset',
  'millrace.kafka.topic': 'name',
  'millrace.message.id': 'id',
  'millrace.message.tries': 'number',
  'millrace.model.name': 'name',
  'millrace.model.version': 'id',
  'millrace.pointer': 'name',
  'millrace.prediction.id': 'id',
  'millrace.queue': 'name',
  'millrace.region': 'name',
  'millrace.rollout.share': 'ratio',
  'millrace.rollout.stage': 'name',
  'millrace.route': 'name',
  'millrace.source': 'name',
  'millrace.suppressed': 'number',
  'millrace.target': 'name',
  'millrace.training.reason': 'name',
  'millrace.training.state': 'name',
  'millrace.view': 'name',
} as const satisfies Readonly<Record<string, FieldKind>>;

/**
 * `name`: of a declaration, a closed set, or configuration. `id`: hexadecimal, with dashes. `number`: a whole one. `ratio`: from 0 to 1.
 * `offset`: a whole number that may be too large for a number.
 */
export type FieldKind = 'name' | 'id' | 'number' | 'ratio' | 'offset';

export type LogField = keyof typeof LOG_FIELDS;

type ValueOf<Kind extends FieldKind> = Kind extends 'number' | 'ratio' ? number : string;

/** The fields of a line. An undefined value is left out. */
export type LogFields = {
  readonly [Field in LogField]?: ValueOf<(typeof LOG_FIELDS)[Field]> | null | undefined;
};

/** What stands for a value that its field does not take. */
export const REDACTED = '[redacted]';

const PATTERNS: Readonly<Record<Exclude<FieldKind, 'number' | 'ratio'>, RegExp>> = {
  name: /^[\w()/{}.:;=,~…-][\w()/{}.:;=,~… -]{0,127}$/,
  // A version of a model begins with the name of its digest, and an id of the platform may end with a data centre.
  id: /^(?:sha256[:-])?[\da-f][\da-f-]{0,71}(?:-[A-Z]{3})?$/i,
  offset: /^-?\d{1,20}$/,
};

/** The value as a line has it: `REDACTED` if its field does not take it. The last check, where a call is mistaken. */
export function fieldValue(field: LogField, value: string | number): string | number {
  const kind: FieldKind = LOG_FIELDS[field];
  if (kind === 'number' || kind === 'ratio')
    return typeof value === 'number' && Number.isFinite(value) ? value : REDACTED;
  return PATTERNS[kind].test(String(value)) ? value : REDACTED;
}
