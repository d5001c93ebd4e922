import type { FeedChange } from '../feed/change.ts';

/** The type of the written events, with its version. */
export const CHANGE_TYPE = 'millrace.change.v1';
const SOURCE = '/millrace/changes';

/**
 * A change as a record: a CloudEvent in structured mode (Kafka Protocol Binding 1.0.2, §3.3). Its id is the change's
 * number in the outbox, by which readers recognise duplicates. Its key is the first entity that it concerns.
 */
export function sinkRecord(topic: string, told: FeedChange) {
  const [entity] = told.entities;
  const id = String(told.change);
  const { time, ...data } = told;
  const event = {
    specversion: '1.0',
    id,
    source: SOURCE,
    type: CHANGE_TYPE,
    ...(time === undefined ? {} : { time }),
    ...(entity === undefined ? {} : { subject: entity }),
    datacontenttype: 'application/json',
    data,
  };
  return {
    topic,
    ...(entity === undefined ? {} : { key: entity }),
    value: JSON.stringify(event),
    headers: [
      { key: 'content-type', value: 'application/cloudevents+json' },
      { key: 'ce_id', value: id },
    ],
  };
}
