import type { EventsMessage } from '../../queues/events/message.ts';
import { sampledContext } from '../platform/tracing/context.ts';
import type { Span } from '../platform/tracing/span.ts';
import { carried } from '../platform/tracing/tracing.ts';
import type { AcceptedEvent } from './judge.ts';

type Accepted = EventsMessage['accepted'][number];

/** The trace of an event by the extension of CloudEvents, "Distributed Tracing", if it is valid and recorded. */
export function sampledTrace(extensions: Accepted['extensions']): string | undefined {
  const named = extensions?.['traceparent'];
  return typeof named === 'string' && sampledContext(named) !== undefined ? named : undefined;
}

/** The trace that an event of a message goes on in. */
export function traceOfEvent({ trace, extensions }: Accepted): string | undefined {
  return trace ?? sampledTrace(extensions);
}

/** Items that go on in the trace of a span; the same ones if nobody records it. */
export function itemsInTrace<Refused extends object>(
  items: readonly ({ readonly accepted: AcceptedEvent } | Refused)[],
  span: Span,
): readonly ({ readonly accepted: AcceptedEvent } | Refused)[] {
  const trace = carried(span);
  if (trace === undefined) return items;
  return items.map((item) => ('accepted' in item ? { accepted: { ...item.accepted, trace } } : item));
}

/** Messages whose events go on with other contexts. */
export function messagesInTrace(
  messages: readonly EventsMessage[],
  next: (trace: string | undefined) => string | undefined,
): EventsMessage[] {
  return messages.map((message) => ({
    ...message,
    accepted: message.accepted.map((event) => {
      const trace = next(traceOfEvent(event));
      return trace === undefined ? event : { ...event, trace };
    }),
  }));
}
