import type { OpenAPIHono } from '@hono/zod-openapi';
import { z } from '@hono/zod-openapi';
import { formatToken, type Token } from '../../cache/clock/clock.ts';
import type { EntityDefinition, EntityWrite } from '../../define/entity.ts';
import type { KeyInput, KeyPart } from '../../define/key.ts';
import { inexactValue } from '../../define/storable.ts';
import { Failure, jsonPointer } from '../../platform/failure.ts';
import { readJson } from '../body.ts';
import type { AppEnv, PortsOf } from '../context.ts';
import { keySecurity, problem } from '../openapi.ts';

const BODY_BYTES_MAX = 65_536;

/** Both return once the write is committed and invalidated; reads that carry the token show it. */
export interface WritePorts {
  readonly put: (
    entity: EntityDefinition,
    key: KeyInput,
    values: Readonly<Record<string, unknown>>,
  ) => Promise<{ readonly created: boolean; readonly token: Token }>;
  /** @throws Failure `not_found`, `still_referenced` */
  readonly remove: (entity: EntityDefinition, key: KeyInput) => Promise<{ readonly token: Token }>;
}

/** Serves the writes of every entity that declares them. */
export function registerEntityWrites(
  app: OpenAPIHono<AppEnv>,
  writesOf: PortsOf<WritePorts>,
  entities: readonly EntityDefinition[],
): void {
  for (const entity of entities) {
    if (entity.write === undefined) continue;
    registerPut(app, writesOf, entity, entity.write);
    registerDelete(app, writesOf, entity, entity.write);
  }
}

function registerPut(
  app: OpenAPIHono<AppEnv>,
  writesOf: PortsOf<WritePorts>,
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
      const key = keyOf(entity, c.req.param());
      const body = await readJson(c.req.raw, { bytesMax: BODY_BYTES_MAX, types: ['application/json'] });
      const values = parsed(write.body, body);
      const inexact = inexactValue(entity.table, values);
      if (inexact !== undefined)
        throw new Failure('invalid_request', inexact.detail, { pointer: jsonPointer([inexact.property]) });
      const { created, token } = await writesOf(c).put(entity, key, values);
      const headers = { 'millrace-token': formatToken(token) };
      return c.json({ ...asJson(key), ...values }, created ? 201 : 200, headers);
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

/** JSON cannot represent all 64-bit integers, so they are sent as text. */
function asJson(key: Readonly<Record<string, KeyPart>>): Record<string, string | number> {
  const parts = Object.entries(key).map(([name, part]) => [
    name,
    typeof part === 'bigint' ? String(part) : part,
  ]);
  return Object.fromEntries(parts);
}

function registerDelete(
  app: OpenAPIHono<AppEnv>,
  writesOf: PortsOf<WritePorts>,
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
      const key = keyOf(entity, c.req.param());
      const { token } = await writesOf(c).remove(entity, key);
      return c.body(null, 204, { 'millrace-token': formatToken(token) });
    },
  );
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
