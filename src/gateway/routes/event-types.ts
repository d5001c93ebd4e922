import { type OpenAPIHono, z } from '@hono/zod-openapi';
import type { EventDefinition } from '../../define/event.ts';
import type { AppEnv, Gateway } from '../context.ts';
import { exampleEvent } from '../contract/event-schema.ts';
import { json } from '../openapi.ts';

export const EVENT_TYPES_PATH = '/v1/events/types';

const EventType = z
  .object({
    type: z.string(),
    name: z.string(),
    version: z.int(),
    current: z.boolean().openapi({
      description: 'whether this is the current version; events of earlier versions are converted to it',
    }),
    deprecated: z.object({ since: z.iso.date(), sunset: z.iso.date().optional() }).nullable().openapi({
      description:
        'deprecated from `since` on: send the current version; this one may be removed at `sunset`',
    }),
    description: z.string(),
    acknowledged: z.enum(['queued', 'stored']),
    rules: z.array(z.string()).openapi({ description: 'the blocking rules, as quarantine names them' }),
    schema: z.looseObject({}).openapi({ description: 'JSON Schema 2020-12 of `data`' }),
    example: z.looseObject({}).nullable().openapi({ description: 'an event that is accepted as it is' }),
  })
  .openapi('EventType');

/** Lists the accepted event types, in all versions. */
export function registerEventTypes(app: OpenAPIHono<AppEnv>, gateway: Gateway): void {
  app.openAPIRegistry.registerPath({
    method: 'get',
    path: EVENT_TYPES_PATH,
    operationId: 'listEventTypes',
    summary: 'Lists the accepted event types, each version with the JSON Schema of its data and an example',
    tags: ['events'],
    responses: {
      200: json('By type, the current version first.', z.object({ types: z.array(EventType) })),
    },
  });
  app.get(EVENT_TYPES_PATH, (c) =>
    c.json({
      types: gateway.catalog.events.flatMap((definition) =>
        [definition, ...definition.earlier].map(described),
      ),
    }),
  );
}

function described(definition: EventDefinition) {
  const { name, type, version, currentType, deprecated, description, acknowledged, ruleNames, example } =
    definition;
  return {
    type,
    name,
    version,
    current: type === currentType,
    deprecated: deprecated ?? null,
    description,
    acknowledged,
    rules: ruleNames,
    schema: definition.jsonSchema(),
    example: example === undefined ? null : exampleEvent(type, example),
  };
}
