import type { OpenAPIHono } from '@hono/zod-openapi';
import { z } from '@hono/zod-openapi';
import type { Context } from 'hono';
import { formatToken, type Token } from '../../cache/clock/clock.ts';
import type { EntityDefinition, EntityWrite } from '../../define/entity.ts';
import type { KeyInput, KeyPart } from '../../define/key.ts';
import { inexactValue } from '../../define/storable.ts';
import { Failure, jsonPointer } from '../../platform/failure.ts';
import type { Precondition } from '../../storage/postgres/entity-writes.ts';
import { parsed, readJson } from '../body.ts';
import type { AppEnv, Gateway, PortsOf } from '../context.ts';
import { headersOf } from '../contract/headers.ts';
import { pascalCase } from '../contract/operation-id.ts';
import { type CatalogRoute, registerCatalogPath } from '../contract/operations.ts';
import { announcing, nameOfWrites } from '../deprecation.ts';
import { json, problem } from '../openapi.ts';
import { type Current, preconditionOf, rowTag } from '../preconditions.ts';
import { WRITE_RULE } from '../route-rules.ts';

const BODY_BYTES_MAX = 65_536;

export interface WritePorts {
  /**
   * Both writes return once they are committed and invalidated; reads that carry the token show them.
   *
   * @throws Failure `precondition_failed`
   */
  readonly put: (
    entity: EntityDefinition,
    key: KeyInput,
    values: Readonly<Record<string, unknown>>,
    precondition: Precondition,
  ) => Promise<{ readonly created: boolean; readonly version: string; readonly token: Token }>;
  /**
   * Also succeeds if there is no such row.
   *
   * @throws Failure `precondition_failed`, `still_referenced`
   */
  readonly remove: (
    entity: EntityDefinition,
    key: KeyInput,
    precondition: Precondition,
  ) => Promise<{ readonly token: Token }>;
  /** The version of a row; null if there is no such row. */
  readonly version: (entity: EntityDefinition, key: KeyInput) => Promise<string | null>;
}

/** Answers a `GET` of the request's own path with a strong read. */
export type ReadHere = (c: Context<AppEnv>) => Promise<Response>;

/** Serves the writes of every entity that declares them. */
export function registerEntityWrites(
  app: OpenAPIHono<AppEnv>,
  gateway: Gateway,
  writesOf: PortsOf<WritePorts>,
  readHere: ReadHere,
): void {
  for (const entity of gateway.catalog.entities) {
    if (entity.write === undefined) continue;
    const end = entity.write.deprecated;
    if (end !== undefined) {
      const announces = announcing(gateway, () => ({ name: nameOfWrites(entity), end }));
      app.on(
        ['PUT', 'DELETE'],
        pathOf(entity, entity.write, (name) => `:${name}`),
        announces,
      );
    }
    registerPut(app, writesOf, entity, entity.write, readHere);
    registerDelete(app, writesOf, entity, entity.write, readHere);
  }
}

function registerPut(
  app: OpenAPIHono<AppEnv>,
  writesOf: PortsOf<WritePorts>,
  entity: EntityDefinition,
  write: EntityWrite,
  readHere: ReadHere,
): void {
  const row = z.object({ ...shownKey(entity), ...write.body.shape });
  registerCatalogPath(app.openAPIRegistry, factsOf(entity), {
    method: 'put',
    path: pathOf(entity, write, (name) => `{${name}}`),
    operationId: `put${pascalCase(entity.name)}`,
    summary: `Inserts or replaces one ${entity.name}`,
    tags: ['writes'],
    request: {
      params: z.object(entity.params),
      headers: conditionHeaders,
      body: { required: true, content: { 'application/json': { schema: write.body } } },
    },
    responses: {
      200: json('Replaced. Reads with `Millrace-Token` show the write.', row, ['ETag', 'Millrace-Token']),
      201: json('Inserted. Reads with `Millrace-Token` show the write.', row, ['ETag', 'Millrace-Token']),
      412: problem('The precondition is not met. Nothing was written.'),
      503: problem(
        'The write failed, or it is stored and the relay will invalidate it. You can safely send it again.',
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
      const precondition = await preconditionOf(
        c.req.raw.headers,
        current(c, writesOf, entity, key, readHere),
      );
      const { created, version, token } = await writesOf(c).put(entity, key, values, precondition);
      const headers = { 'millrace-token': formatToken(token), etag: rowTag(version) };
      return c.json({ ...asJson(key), ...values }, created ? 201 : 200, headers);
    },
  );
}

function factsOf({ name, owner, write }: EntityDefinition): CatalogRoute {
  const none = { replaced: write?.deprecated, policy: undefined, takesPrincipal: false };
  return { ...WRITE_RULE, declaredBy: `entity ${name}`, owner, ...none };
}

/** The parts of the key as an answer shows them. */
function shownKey({ key }: EntityDefinition): Record<string, z.ZodType> {
  return Object.fromEntries(
    key.columns.map(({ property, kind }) => [property, kind === 'integer' ? z.int() : z.string()]),
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
  readHere: ReadHere,
): void {
  registerCatalogPath(app.openAPIRegistry, factsOf(entity), {
    method: 'delete',
    path: pathOf(entity, write, (name) => `{${name}}`),
    operationId: `delete${pascalCase(entity.name)}`,
    summary: `Deletes one ${entity.name}`,
    tags: ['writes'],
    request: { params: z.object(entity.params), headers: conditionHeaders },
    responses: {
      204: {
        description: 'Deleted, now or earlier. Reads with `Millrace-Token` show the deletion.',
        headers: headersOf(['Millrace-Token']),
      },
      409: problem('Other rows refer to this row.'),
      412: problem('The precondition is not met. Nothing was deleted.'),
      503: problem(
        'The deletion failed, or it is stored and the relay will invalidate it. You can safely send it again.',
      ),
    },
  });
  app.delete(
    pathOf(entity, write, (name) => `:${name}`),
    async (c) => {
      const key = keyOf(entity, c.req.param());
      const precondition = await preconditionOf(
        c.req.raw.headers,
        current(c, writesOf, entity, key, readHere),
      );
      const { token } = await writesOf(c).remove(entity, key, precondition);
      return c.body(null, 204, { 'millrace-token': formatToken(token) });
    },
  );
}

const conditionHeaders = z.object({
  'if-match': z.string().optional().openapi({
    description:
      '`*`, or entity tags (RFC 9110 §13.1.1): of the row, or of the view that is served at this path',
  }),
  'if-none-match': z.string().optional().openapi({ description: '`*`: only if there is no such row' }),
});

function current(
  c: Context<AppEnv>,
  writesOf: PortsOf<WritePorts>,
  entity: EntityDefinition,
  key: KeyInput,
  readHere: ReadHere,
): Current {
  return {
    version: () => writesOf(c).version(entity, key),
    etag: async () => {
      const response = await readHere(c);
      await response.body?.cancel();
      return response.ok ? response.headers.get('etag') : null;
    },
  };
}

/** @throws Failure `invalid_request` with the name of the parameter that is wrong. */
function keyOf(entity: EntityDefinition, parameters: Readonly<Record<string, string>>) {
  const result = z.object(entity.params).safeParse(parameters);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const pointer = String(issue?.path[0] ?? '');
  throw new Failure('invalid_request', issue?.message ?? 'This is not a key of the entity.', { pointer });
}
