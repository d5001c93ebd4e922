import { type OpenAPIHono, z } from '@hono/zod-openapi';
import type { Context } from 'hono';
import type { Catalog } from '../../define/catalog.ts';
import { Failure } from '../../platform/failure.ts';
import { Instant } from '../../platform/instant.ts';
import { DatasetManifest } from '../../training/datasets/manifest.ts';
import { DATASET_STATES, type DatasetReport } from '../../training/datasets/report.ts';
import { type DatasetSpec, KNOWLEDGE, recipeDigest } from '../../training/datasets/spec.ts';
import { parsed, readJson } from '../body.ts';
import type { AppEnv, Gateway, PortsOf } from '../context.ts';
import { ModelName } from '../models/schemas.ts';
import { json, keySecurity, problem } from '../openapi.ts';

const BODY_BYTES_MAX = 4_096;
/** A transaction that began earlier has ended: nothing is stored as of such a moment any more. */
export const SETTLED_MS = 60_000;
const PARQUET = 'application/vnd.apache.parquet';
const SEED = 1;

const Wish = z.strictObject({
  model: ModelName,
  asOf: Instant.optional().openapi({
    description: 'events that were stored later do not count; at least a minute ago, and by default so',
  }),
  from: Instant.optional().openapi({ description: 'label events before it do not count' }),
  to: Instant.optional().openapi({
    description: 'the end of the label events; by default that of the last one',
  }),
  knowledge: z.enum(KNOWLEDGE).default('row').openapi({
    description:
      'which events count for the features of a row: those that were stored by its moment, or those that were stored by `asOf`, as for a history that was imported',
  }),
  seed: z.int().min(0).max(0xffff_ffff).default(SEED),
  recipe: z.string().max(64).optional().openapi({
    description: 'the digest of the declaration, as the manifest has it: with another one it is refused',
  }),
});
type Wish = z.output<typeof Wish>;

const Report = z.object({
  id: z.string(),
  request: Wish.openapi({ description: 'sent again after a deletion, it makes the same dataset' }),
  state: z.enum(DATASET_STATES),
  begunAt: z.string(),
  endedAt: z.string().nullable(),
  failure: z.object({ code: z.string(), detail: z.string() }).nullable(),
  progress: z.object({
    labelEvents: z.int(),
    parts: z.int().openapi({ description: '0 until the label events are counted' }),
    partsMade: z.int(),
    rows: z.int(),
    bytes: z.int(),
  }),
});
const Detail = Report.extend({
  manifest: DatasetManifest.nullable().openapi({ description: 'null until the dataset is ready' }),
});
const List = z.object({ datasets: z.array(Report) });
const Id = z.string().regex(/^[0-9a-f]{32}$/);
const FileName = z.string().regex(/^(train|validation|test)-\d{5,7}\.parquet$/);

/** All of them throw Failure `datasets_unavailable`. */
export interface DatasetRoutePorts {
  readonly now: () => number;
  /** @returns undefined if there are too many datasets. */
  readonly begin: (spec: DatasetSpec) => Promise<DatasetReport | undefined>;
  readonly list: () => Promise<readonly DatasetReport[]>;
  readonly read: (
    id: string,
  ) => Promise<{ readonly report: DatasetReport; readonly manifest: DatasetManifest | null } | undefined>;
  readonly remove: (id: string) => Promise<boolean>;
  readonly open: (
    id: string,
    file: string,
    range: { readonly offset: number; readonly length: number } | undefined,
  ) => Promise<ReadableStream | undefined>;
}

/** Makes datasets of models, lists them, and gives out their files. */
export function registerDatasets(
  app: OpenAPIHono<AppEnv>,
  gateway: Gateway,
  portsOf: PortsOf<DatasetRoutePorts>,
): void {
  registerBegin(app, gateway, portsOf);
  registerReads(app, portsOf);
  registerFile(app, portsOf);
  registerRemoval(app, gateway, portsOf);
}

function registerBegin(
  app: OpenAPIHono<AppEnv>,
  gateway: Gateway,
  portsOf: PortsOf<DatasetRoutePorts>,
): void {
  app.openAPIRegistry.registerPath({
    method: 'post',
    path: '/v1/admin/datasets',
    operationId: 'createDataset',
    summary: 'Begins to make the dataset of a model; the same request finds the same dataset',
    tags: ['admin'],
    security: keySecurity,
    request: { body: { required: true, content: { 'application/json': { schema: Wish } } } },
    responses: {
      202: json('It is being made. `GET /v1/admin/datasets/{id}` has its progress.', Report),
      404: problem('The catalog declares no such model.'),
      409: problem('The declaration is another one than that of `recipe`, or there are too many datasets.'),
      422: problem('The model has no dataset, or `asOf` is less than a minute ago.'),
      503: problem('The object that makes datasets does not answer. Send the same request again.'),
    },
  });
  app.post('/v1/admin/datasets', async (c) => {
    const body = await readJson(c.req.raw, { bytesMax: BODY_BYTES_MAX, types: ['application/json'] });
    const wish = parsed(Wish, body);
    const ports = portsOf(c);
    const spec = specOf(wish, gateway.catalog, ports.now());
    const action = { action: 'dataset.create', target: wish.model, detail: requestOf(spec) };
    const report = await gateway.audited(c, action, async () => {
      const begun = await ports.begin(spec);
      if (begun === undefined)
        throw new Failure(
          'too_many_datasets',
          'There are too many datasets, or this one is being deleted. Delete others, or send the request again.',
        );
      return { result: begun, after: { id: begun.id } };
    });
    return c.json(shown(report), 202, { 'cache-control': 'no-store' });
  });
}

function registerReads(app: OpenAPIHono<AppEnv>, portsOf: PortsOf<DatasetRoutePorts>): void {
  const unanswered = problem('The object that makes datasets does not answer.');
  app.openAPIRegistry.registerPath({
    method: 'get',
    path: '/v1/admin/datasets',
    operationId: 'listDatasets',
    summary: 'Lists the datasets, the newest first',
    tags: ['admin'],
    security: keySecurity,
    responses: { 200: json('The datasets.', List), 503: unanswered },
  });
  app.get('/v1/admin/datasets', async (c) => {
    const datasets = (await portsOf(c).list()).map(shown);
    return c.json({ datasets }, 200, { 'cache-control': 'no-store' });
  });
  app.openAPIRegistry.registerPath({
    method: 'get',
    path: '/v1/admin/datasets/{id}',
    operationId: 'getDataset',
    summary: 'Shows the state, the progress and the manifest of a dataset',
    tags: ['admin'],
    security: keySecurity,
    request: { params: z.object({ id: Id }) },
    responses: {
      200: json('The dataset.', Detail),
      404: problem('There is no such dataset.'),
      503: unanswered,
    },
  });
  app.get('/v1/admin/datasets/:id', async (c) => {
    const { report, manifest } = await found(c, portsOf(c));
    return c.json({ ...shown(report), manifest }, 200, { 'cache-control': 'no-store' });
  });
}

function registerFile(app: OpenAPIHono<AppEnv>, portsOf: PortsOf<DatasetRoutePorts>): void {
  const content = { [PARQUET]: { schema: z.string().openapi({ format: 'binary' }) } };
  app.openAPIRegistry.registerPath({
    method: 'get',
    path: '/v1/admin/datasets/{id}/files/{file}',
    operationId: 'getDatasetFile',
    summary: 'A Parquet file of a dataset that is ready; one range of bytes, if it is asked for',
    tags: ['admin'],
    security: keySecurity,
    request: { params: z.object({ id: Id, file: FileName }) },
    responses: {
      200: { description: 'The file.', content },
      206: { description: 'The range of the file.', content },
      404: problem('There is no such dataset or file, or the dataset is not ready.'),
      503: problem('The object that makes datasets, or the store of its files, does not answer.'),
    },
  });
  app.get('/v1/admin/datasets/:id/files/:file', async (c) => {
    const ports = portsOf(c);
    const { manifest } = await found(c, ports);
    const name = c.req.param('file');
    const file = manifest?.files.find((one) => one.name === name);
    if (manifest === null || file === undefined)
      throw new Failure('not_found', 'The dataset has no such file, or is not ready.');
    const range = rangeOf(c.req.header('range'), file.bytes);
    const body = await ports.open(manifest.id, name, range);
    if (body === undefined)
      throw new Failure('not_found', 'The file is gone. Delete the dataset, and make it again.');
    const headers = {
      ...{ 'content-type': PARQUET, etag: `"${file.sha256}"`, 'accept-ranges': 'bytes' },
      ...{ 'cache-control': 'no-store', 'content-length': String(range?.length ?? file.bytes) },
    };
    if (range === undefined) return new Response(body, { headers });
    const last = range.offset + range.length - 1;
    const partial = { 'content-range': `bytes ${range.offset}-${last}/${file.bytes}` };
    return new Response(body, { status: 206, headers: { ...headers, ...partial } });
  });
}

function registerRemoval(
  app: OpenAPIHono<AppEnv>,
  gateway: Gateway,
  portsOf: PortsOf<DatasetRoutePorts>,
): void {
  app.openAPIRegistry.registerPath({
    method: 'delete',
    path: '/v1/admin/datasets/{id}',
    operationId: 'removeDataset',
    summary: 'Cancels or deletes a dataset; its files are deleted soon after',
    tags: ['admin'],
    security: keySecurity,
    request: { params: z.object({ id: Id }) },
    responses: {
      202: json('Its files are being deleted.', z.object({ id: Id })),
      404: problem('There is no such dataset.'),
      503: problem('The object that makes datasets does not answer. Send the same request again.'),
    },
  });
  app.delete('/v1/admin/datasets/:id', async (c) => {
    const { id } = parsed(z.object({ id: Id }), c.req.param());
    await gateway.audited(c, { action: 'dataset.delete', target: id }, async () => {
      if (!(await portsOf(c).remove(id))) throw missing();
      return { result: undefined, after: { state: 'deleting' } };
    });
    return c.json({ id }, 202);
  });
}

/** @throws Failure `unknown_model`, `unprocessable`, `recipe_changed` */
function specOf(
  { model, asOf, from, to, knowledge, seed, recipe }: Wish,
  catalog: Catalog,
  now: number,
): DatasetSpec {
  const definition = catalog.models.find(({ name }) => name === model);
  if (definition === undefined)
    throw new Failure('unknown_model', `The catalog declares no model "${model}".`, { pointer: '/model' });
  if (definition.dataset === undefined)
    throw new Failure('unprocessable', `The model "${model}" declares no dataset.`, { pointer: '/model' });
  const digest = recipeDigest(definition, definition.dataset);
  if (recipe !== undefined && recipe !== digest)
    throw new Failure('recipe_changed', `The declaration of "${model}" now has the digest ${digest}.`, {
      pointer: '/recipe',
    });
  const settled = now - SETTLED_MS;
  const known = asOf === undefined ? settled : Date.parse(asOf);
  if (known > settled)
    throw new Failure(
      'unprocessable',
      'Events as of that moment may still be stored: take one at least a minute ago.',
      {
        pointer: '/asOf',
      },
    );
  const moment = (text: string | undefined) => (text === undefined ? null : Date.parse(text));
  return { model, asOf: known, from: moment(from), to: moment(to), knowledge, seed, recipe: digest };
}

function requestOf({ model, asOf, from, to, knowledge, seed, recipe }: DatasetSpec): Wish {
  const text = (at: number) => new Date(at).toISOString();
  return {
    ...{ model, asOf: text(asOf), knowledge, seed, recipe },
    ...(from === null ? {} : { from: text(from) }),
    ...(to === null ? {} : { to: text(to) }),
  };
}

function shown({
  id,
  spec,
  state,
  begunMs,
  endedMs,
  failure,
  progress,
}: DatasetReport): z.output<typeof Report> {
  return {
    ...{ id, request: requestOf(spec), state, failure, progress },
    begunAt: new Date(begunMs).toISOString(),
    endedAt: endedMs === null ? null : new Date(endedMs).toISOString(),
  };
}

async function found(c: Context<AppEnv>, ports: DatasetRoutePorts) {
  const id = Id.safeParse(c.req.param('id'));
  const dataset = id.success ? await ports.read(id.data) : undefined;
  if (dataset === undefined) throw missing();
  return dataset;
}

function missing(): Failure {
  return new Failure('not_found', 'There is no such dataset; GET /v1/admin/datasets lists them.');
}

/** The one range of a `Range` header; undefined without one, and for any other, which may be ignored (RFC 9110, 14.2). */
function rangeOf(header: string | undefined, bytes: number) {
  const [, first, last] = /^bytes=(\d{1,12})-(\d{0,12})$/.exec(header ?? '') ?? [];
  if (first === undefined) return undefined;
  const offset = Number(first);
  const end = last === '' || last === undefined ? bytes : Math.min(bytes, Number(last) + 1);
  return offset < end ? { offset, length: end - offset } : undefined;
}
