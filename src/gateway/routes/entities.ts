import type { OpenAPIHono } from '@hono/zod-openapi';
import { z } from '@hono/zod-openapi';
import { formatToken } from '../../cache/clock/token.ts';
import type { Services } from '../../composition/services.ts';
import type { EntityDefinition, EntityWrite } from '../../define/entity.ts';
import type { KeyPart } from '../../define/key.ts';
import { announcedWrite } from '../../pipeline/announced-write.ts';
import { unstorableAt } from '../../pipeline/unstorable.ts';
import { Failure, jsonPointer } from '../../platform/failure.ts';
import { guarded } from '../../storage/postgres/connect.ts';
import { deleteEntity, putEntity } from '../../storage/postgres/entity-writes.ts';
import { markRelayed } from '../../storage/postgres/outbox.ts';
import { readJson } from '../body.ts';
import type { AppEnv, Gateway } from '../context.ts';
import { keySecurity, problem } from '../openapi.ts';

const BODY_BYTES_MAX = 65_536;

/** Serves the writes of every entity that declares them, answered once they are invalidated. */
export function registerEntityWrites(
  app: OpenAPIHono<AppEnv>,
  gateway: Gateway,
  entities: readonly EntityDefinition[],
): void {
  for (const entity of entities) {
    if (entity.write === undefined) continue;
    registerPut(app, gateway, entity, entity.write);
    registerDelete(app, gateway, entity, entity.write);
  }
}

function registerPut(
  app: OpenAPIHono<AppEnv>,
  gateway: Gateway,
  entity: EntityDefinition,
  write: EntityWrite,
): void {
  app.openAPIRegistry.registerPath({
    method: 'put',
    path: pathOf(entity, write, (name) => `{${name}}`),
    summary: `Inserts or replaces one ${entity.name}`,
    tags: ['writes'],
    security: keySecurity,
    request: {
      params: z.object(entity.params),
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
  app.put(
    pathOf(entity, write, (name) => `:${name}`),
    async (c) => {
      const services = gateway.servicesOf(c);
      const key = keyOf(entity, c.req.param());
      const body = await readJson(c.req.raw, { bytesMax: BODY_BYTES_MAX, types: ['application/json'] });
      const values = parsed(write.body, body);
      const pointer = unstorableAt(values);
      if (pointer !== undefined)
        throw new Failure('invalid_request', 'NUL and unpaired surrogates cannot be stored.', { pointer });
      const { written, headers } = await announced(services, () =>
        putEntity(services.db, entity, key, values),
      );
      return c.json({ ...asJson(key), ...values }, written.created ? 201 : 200, headers);
    },
  );
}

/** A parameter for each part of the key, in the spelling of OpenAPI or of hono. */
function pathOf(
  { key }: EntityDefinition,
  { path }: EntityWrite,
  parameter: (name: string) => string,
): string {
  return ['/v1', path, ...key.columns.map(({ property }) => parameter(property))].join('/');
}

/** JSON has no whole numbers of 64 bits: they are sent as text. */
function asJson(key: Readonly<Record<string, KeyPart>>): Record<string, string | number> {
  const parts = Object.entries(key).map(([name, part]) => [
    name,
    typeof part === 'bigint' ? String(part) : part,
  ]);
  return Object.fromEntries(parts);
}

function registerDelete(
  app: OpenAPIHono<AppEnv>,
  gateway: Gateway,
  entity: EntityDefinition,
  write: EntityWrite,
): void {
  app.openAPIRegistry.registerPath({
    method: 'delete',
    path: pathOf(entity, write, (name) => `{${name}}`),
    summary: `Deletes one ${entity.name}`,
    tags: ['writes'],
    security: keySecurity,
    request: { params: z.object(entity.params) },
    responses: {
      204: { description: 'Deleted; `Millrace-Token` names the write.' },
      400: problem('The key is wrong.'),
      401: problem('A key is needed.'),
      404: problem('There is no such thing.'),
      409: problem('Other rows refer to it.'),
      503: problem(
        'Nothing was deleted, or it was and the outbox will invalidate it: sending it again is safe.',
      ),
    },
  });
  app.delete(
    pathOf(entity, write, (name) => `:${name}`),
    async (c) => {
      const services = gateway.servicesOf(c);
      const key = keyOf(entity, c.req.param());
      const { headers } = await announced(services, async () => {
        const deleted = await deleteEntity(services.db, entity, key);
        if (deleted !== null) return deleted;
        throw new Failure('not_found', `No ${entity.name} has this key.`, {
          pointer: entity.key.columns[0]?.property ?? '',
        });
      });
      return c.body(null, 204, headers);
    },
  );
}

/** What was committed, and the headers that tell its writer the token. */
async function announced<Written extends { readonly outboxId: number; readonly tags: readonly string[] }>(
  services: Services,
  commit: () => Promise<Written>,
): Promise<{ written: Written; headers: { 'millrace-token': string } }> {
  const { written, token } = await announcedWrite({
    arm: services.armRelay,
    commit: () => guarded(commit),
    invalidate: async ({ tags, outboxId }) => {
      const at = await services.invalidate(tags);
      services.invalidated.note([outboxId], at);
      return at;
    },
    markRelayed: async ({ outboxId, tags }, at) => {
      await services.publish([{ outboxId, tags, event: null }], at);
      await markRelayed(services.db, [outboxId], at);
    },
    keepAlive: services.keepAlive,
  });
  return { written, headers: { 'millrace-token': formatToken(token) } };
}

/** @throws Failure `invalid_request` with the name of the parameter that is wrong. */
function keyOf(entity: EntityDefinition, parameters: Readonly<Record<string, string>>) {
  const result = z.object(entity.params).safeParse(parameters);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const pointer = String(issue?.path[0] ?? '');
  throw new Failure('invalid_request', issue?.message ?? 'This is no key.', { pointer });
}

function parsed<Schema extends z.ZodType>(schema: Schema, value: unknown): z.output<Schema> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  throw new Failure('invalid_request', issue?.message ?? 'Not valid.', {
    pointer: jsonPointer(issue?.path ?? []),
  });
}
