import { CATALOG_DEFECTS, type EventDefinition, type Interpretation } from '../define/event.ts';
import { type FailureCode, jsonPointer } from '../platform/failure.ts';
import { UNSTORABLE, unstorableAt } from '../platform/json.ts';
import { parseTimestamp } from '../platform/timestamp.ts';
import { CloudEvent, dataOf, type Extensions, extensionsOf, misnamedAttribute } from './cloud-event.ts';
import { unknownType } from './contracts/versions.ts';

/** An event that may be stored. */
export interface AcceptedEvent {
  readonly source: string;
  readonly id: string;
  /** The current version of its type; the data is of that version, too. */
  readonly type: string;
  /** The type as it was sent, where that is an earlier version. */
  readonly sentAs?: string;
  readonly subject: string | null;
  /** RFC 3339, in UTC, to the millisecond. */
  readonly time: string;
  /** `dataschema`, a `datacontenttype` other than `application/json`, and the extension attributes, if any. */
  readonly extensions?: Extensions;
  readonly data: unknown;
  /** `traceparent` of the request that sent it, if its trace is recorded. It is not stored with the event. */
  readonly trace?: string;
}

/** Why an event may not be stored. */
export interface Refusal {
  readonly code: Extract<
    FailureCode,
    | 'invalid_event'
    | 'event_too_large'
    | 'unknown_event_type'
    | 'unknown_event_version'
    | 'contract_violation'
    | 'quality_violation'
  >;
  /** The code, one of `CATALOG_DEFECTS`, or the name of the broken rule. */
  readonly reason: string;
  readonly pointer: string;
  readonly detail: string;
}

export type Judgement =
  | { readonly verdict: 'accepted'; readonly event: AcceptedEvent; readonly meaning: Interpretation }
  | { readonly verdict: 'quarantined'; readonly refusal: Refusal };

/**
 * Judges one event: envelope, type, contract, blocking rules. An earlier version is upcast and judged as the current
 * one. `now` is in milliseconds since the Unix epoch.
 */
export function judge(types: ReadonlyMap<string, EventDefinition>, raw: unknown, now: number): Judgement {
  const envelope = CloudEvent.safeParse(raw);
  if (!envelope.success) {
    const issue = envelope.error.issues[0];
    return refuse(
      'invalid_event',
      jsonPointer(issue?.path ?? []),
      issue?.message ?? 'Not a CloudEvents 1.0 event.',
    );
  }
  const { source, id, type, subject, time } = envelope.data;
  const misnamed = misnamedAttribute(envelope.data);
  if (misnamed !== undefined)
    return refuse('invalid_event', jsonPointer([misnamed]), 'Attribute names may contain only a–z and 0–9.');
  const content = dataOf(envelope.data);
  if (!content.ok) return refuse('invalid_event', content.pointer, content.detail);
  const { data } = content;
  const definition = types.get(type);
  if (definition === undefined) return refuse(...unknownType(types, type));
  const unstorable = unstorableAt(data, '/data');
  if (unstorable !== undefined) return refuse('contract_violation', unstorable, UNSTORABLE, 'not_storable');
  const upcast = definition.toCurrent(data);
  if (!upcast.ok) {
    const { code, reason, pointer, detail } = upcast;
    return refuse(code, pointer, detail, reason);
  }
  const occurredAt = parseTimestamp(time ?? '') ?? now;
  if (occurredAt < 0)
    return refuse(
      'invalid_event',
      '/time',
      'The time is before 1970-01-01T00:00:00Z. Millrace accepts no earlier events.',
    );
  const judged = definition.interpret(data, { occurredAt, now });
  if (!judged.ok) {
    const { code, reason, pointer, detail } = judged;
    return refuse(code, pointer, detail, reason);
  }
  const extensions = extensionsOf(envelope.data);
  const event = {
    source,
    id,
    type: definition.currentType,
    ...(definition.currentType === type ? {} : { sentAs: type }),
    subject: subject ?? null,
    time: new Date(occurredAt).toISOString(),
    ...(extensions === undefined ? {} : { extensions }),
    data: upcast.data,
  };
  return { verdict: 'accepted', event, meaning: judged };
}

function refuse(code: Refusal['code'], pointer: string, detail: string, reason: string = code): Judgement {
  const remedy = CATALOG_DEFECTS.has(reason) ? ' Correct the catalog, then release the event.' : '';
  return { verdict: 'quarantined', refusal: { code, reason, pointer, detail: `${detail}${remedy}` } };
}
