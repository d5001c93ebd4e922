import type { OpenAPIHono } from '@hono/zod-openapi';
import { z } from '@hono/zod-openapi';
import { formatToken } from '../../cache/clock/token.ts';
import type { EntityDefinition, EntityWrite } from '../../catalog/define/entity.ts';
import { announcedWrite } from '../../pipeline/announced-write.ts';
import { Failure, jsonPointer } from '../../platform/failure.ts';
import { guarded } from '../../storage/postgres/connect.ts';
import { putEntity } from '../../storage/postgres/entity-writes.ts';
import { markRelayed } from '../../storage/postgres/outbox.ts';
import { readJson } from '../body.ts';
import type { AppEnv } from '../context.ts';
import { keySecurity, problem } from '../openapi.ts';

const BODY_BYTES_MAX = 65_536;

/** Serves the writes of every entity that declares them: `PUT` of a row, answered once it is invalidated. */
export function registerEntityWrites(app: OpenAPIHono<AppEnv>, entities: readonly EntityDefinition[]): void {
  for (const entity of entities) {
    if (entity.write !== undefined) registerWrite(app, entity, entity.write);
  }
}

function registerWrite(app: OpenAPIHono<AppEnv>, entity: EntityDefinition, write: EntityWrite): void {
  app.openAPIRegistry.registerPath({
    method: 'put',
    path: `/v1/${write.path}/{key}`,
    summary: `Inserts or replaces one ${entity.name}`,
    tags: ['writes'],
    security: keySecurity,
    request: {
      params: z.object({ key: entity.keySchema }),
      body: { required: true, content: { 'application/json': { schema: write.body } } },
    },
    responses: {
      200: { description: 'Replaced; `Millrace-Token` names the write.' },
      201: { description: 'Inserted; `Millrace-Token` names the write.' },
      400: problem('The key or a field is wrong.'),
      401: problem('A key is needed.'),
      503: problem(
        'Nothing was written, or it was and the outbox will invalidate it: sending it again is safe.',
      ),
    },
  });
  app.put(`/v1/${write.path}/:key`, async (c) => {
    const { services } = c.var;
    const key = parsed(entity.keySchema, c.req.param('key'), ['key']);
    const body = await readJson(c.req.raw, { bytesMax: BODY_BYTES_MAX, types: ['application/json'] });
    const values = parsed(write.body, body, []);
    const { written, token } = await announcedWrite({
      arm: () => services.relay().arm(),
      commit: () => guarded(() => putEntity(services.db, entity, key, values)),
      invalidate: async ({ tags, outboxId }) => {
        const at = await services.invalidate(tags);
        services.invalidated.note([outboxId], at);
        return at;
      },
      markRelayed: ({ outboxId }, at) => markRelayed(services.db, [outboxId], at),
      keepAlive: services.keepAlive,
    });
    const headers = { 'millrace-token': formatToken(token) };
    return c.json({ [entity.key.name]: key, ...values }, written.created ? 201 : 200, headers);
  });
}

function parsed<Schema extends z.ZodType>(
  schema: Schema,
  value: unknown,
  path: readonly string[],
): z.output<Schema> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  throw new Failure('invalid_request', issue?.message ?? 'Not valid.', {
    pointer: jsonPointer([...path, ...(issue?.path ?? [])]),
  });
}
