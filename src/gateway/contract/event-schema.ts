import { z } from '@hono/zod-openapi';
import type { Catalog } from '../../define/catalog.ts';
import {
  CloudEvent,
  EVENT_BYTES_MAX,
  ID_CHARACTERS_MAX,
  SOURCE_CHARACTERS_MAX,
} from '../../pipeline/cloud-event.ts';

/** What the contract of an event refuses by more than one check, as one pattern each, for the document. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is refused here.
const ADDRESSABLE = /^(?!\.{1,2}$)[^\u0000-\u001f\u007f-\u009f]*$/;
const URI_REFERENCE = /^(?:[A-Za-z0-9_\-.~:/?#[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})+$/;
const ADDRESSABLE_URI_REFERENCE = /^(?!\.{1,2}$)(?:[A-Za-z0-9_\-.~:/?#[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})+$/;
const JSON_TYPE =
  /^[A-Za-z0-9_!#$&^.+-]+\/([jJ][sS][oO][nN]|[A-Za-z0-9_!#$&^.+-]+\+[jJ][sS][oO][nN])\s*(;.*)?$/;

/**
 * An event as a client sends it, for the document: the attributes of CloudEvents, and the types that the catalog
 * declares. The contract of its type, which `/v1/events/types` has, judges `data`.
 */
export function sentEvent({ eventTypes }: Catalog): z.ZodType {
  const types = [...eventTypes.keys()].toSorted();
  return CloudEvent.extend({
    id: z.string().min(1).max(ID_CHARACTERS_MAX).regex(ADDRESSABLE),
    source: z.string().min(1).max(SOURCE_CHARACTERS_MAX).regex(ADDRESSABLE_URI_REFERENCE),
    ...(types.length === 0 ? {} : { type: z.enum(types) }),
    time: z.iso.datetime({ offset: true }).nullish(),
    datacontenttype: z.string().max(128).regex(JSON_TYPE).nullish(),
    dataschema: z.string().min(1).max(2_048).regex(URI_REFERENCE).nullish(),
    data: z.unknown().optional().openapi({ description: 'in the form of its type; see /v1/events/types' }),
    data_base64: z.base64().max(EVENT_BYTES_MAX).nullish(),
  }).openapi('CloudEvent', { description: `CloudEvents 1.0, at most ${EVENT_BYTES_MAX} bytes of JSON.` });
}

/** The examples of the event types, as events that can be sent. */
export function eventExamples({ events }: Catalog) {
  const shown = events.flatMap(({ type, example }) =>
    example === undefined ? [] : [[type, { value: exampleEvent(type, example) }] as const],
  );
  return Object.fromEntries(shown);
}

/** An example of a type as an event that can be sent. */
export function exampleEvent(type: string, data: unknown) {
  return { specversion: '1.0', id: 'example', source: '/example', type, data };
}
