import type { EventPorts } from '../gateway/routes/events.ts';
import { acceptance, ingest } from '../pipeline/ingest.ts';
import type { ReportLineage } from '../pipeline/lineage/observed.ts';
import { itemsInTrace, messagesInTrace } from '../pipeline/traced-events.ts';
import { systemNow } from '../platform/clock.ts';
import { within } from '../platform/tracing/span.ts';
import { carried } from '../platform/tracing/tracing.ts';
import { sendingSpan } from '../storage/queue-spans.ts';
import type { BoundIsolate } from './isolate.ts';
import { enqueueEvents, eventsQueueName } from './queueing.ts';
import type { RequestScope } from './request-scope.ts';
import { storeWaiting } from './storing.ts';

/** Takes the events of a request: into the queue, or into the database where somebody waits for that. */
export function takeEvents(
  bound: BoundIsolate,
  scope: RequestScope,
  noteLineage: ReportLineage,
): EventPorts['take'] {
  const { isolate, span } = bound;
  const types = isolate.catalog.eventTypes;
  return async (raw, { isWaiting, lane }) => {
    // A degraded pipeline makes nobody wait for the database.
    const mayWait = isolate.phases.pipeline === 'on';
    const { take, token } = acceptance(isWaiting && mayWait, {
      types,
      enqueue: (items, receivedAt) =>
        within(span, sendingSpan(eventsQueueName(lane), items.length), (send) =>
          enqueueEvents(bound.in(send).env, itemsInTrace(items, send), receivedAt, lane, (work) =>
            scope.keepAlive(work),
          ),
        ),
      store: (message) => {
        const [own = message] = messagesInTrace([message], (trace) => carried(span) ?? trace);
        return storeWaiting(bound, own, { scope, noteLineage, lane });
      },
    });
    const report = await ingest(raw, systemNow(), { types, take });
    return { report, token: token() };
  };
}
