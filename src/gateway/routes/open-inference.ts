import { type OpenAPIHono, z } from '@hono/zod-openapi';
import type { Context } from 'hono';
import { DATATYPES } from '../../define/datatype.ts';
import { type InferAnswer, metadataOf, writeAnswer } from '../../inference/open-inference/answer.ts';
import { InferRequest, readInference } from '../../inference/open-inference/request.ts';
import type { Tensors } from '../../inference/tensors.ts';
import { checkHealth } from '../../operations/health.ts';
import { Failure } from '../../platform/failure.ts';
import { parseJson } from '../../platform/json.ts';
import { within } from '../../platform/tracing/span.ts';
import { decodeJsonText } from '../../platform/utf8.ts';
import { readBytes } from '../body.ts';
import type { AppEnv, Gateway, PortsOf } from '../context.ts';
import { deadlineHeader, withinNamed } from '../deadline.ts';
import { setDegraded } from '../degraded.ts';
import { announcing, endOfInference, nameOfModel } from '../deprecation.ts';
import { unitsOf } from '../limits/weights.ts';
import { consistencyHeaders } from '../openapi.ts';
import type { ServedModelOf, ServedVersion } from '../served-models.ts';
import { spanOfRequest } from '../traced-requests.ts';
import type { HealthPorts } from './health.ts';

/** The length of the JSON before binary data, in bytes. */
const JSON_LENGTH = 'Inference-Header-Content-Length';
const BODY_BYTES_MAX = 4 * 1024 * 1024;
const SCOPE = 'predictions:run';
const NO_STORE = { 'cache-control': 'no-store' };

/**
 * Serves models by the REST form of the Open Inference Protocol, version 2, with its binary tensor data extension. Every
 * failure under `/v2` has the protocol's body, which `problem.ts` writes.
 */
export function registerOpenInference(
  app: OpenAPIHono<AppEnv>,
  gateway: Gateway,
  modelOf: ServedModelOf,
  healthOf: PortsOf<HealthPorts>,
): void {
  registerServer(app, healthOf);
  describeModels(app);
  const { models } = gateway.catalog;
  if (models.some(({ deprecated }) => deprecated !== undefined))
    app.use(
      '/v2/models/:model/*',
      announcing(gateway, (c) => {
        const model = models.find(({ name }) => name === c.req.param('model'));
        const [action = ''] = /\/(infer|ready)$/.exec(c.req.path) ?? [];
        const end = model && endOfInference(model, action);
        return model && end && { name: nameOfModel(model), end };
      }),
    );
  for (const base of ['/v2/models/:model', '/v2/models/:model/versions/:version'] as const) {
    app.get(base, async (c) => {
      const version = await versionOf(c, gateway, modelOf, unitsOf('statement'));
      return c.json(metadataOf(c.req.param('model'), version), 200, NO_STORE);
    });
    app.get(`${base}/ready`, async (c) => {
      const version = await versionOf(c, gateway, modelOf, unitsOf('prediction'));
      await version.load();
      return c.json({ name: c.req.param('model'), ready: true }, 200, NO_STORE);
    });
    app.post(`${base}/infer`, async (c) => {
      const charge = async (rows: number) =>
        await gateway.charge(c, { cost: 'prediction', units: unitsOf('predictionOfItem', rows) });
      const keepAlive = (work: Promise<unknown>) => c.executionCtx.waitUntil(work);
      const answer = await withinNamed(c.req.raw, keepAlive, async () => {
        const version = await versionOf(c, gateway, modelOf, unitsOf('prediction'));
        const model = c.req.param('model');
        const attributes = {
          ...{ 'millrace.model': model, 'millrace.model.version': version.version },
          ...{ 'millrace.model.source': 'tensor', 'millrace.model.degraded': version.degraded },
        };
        const inferred = await within(spanOfRequest(c), { name: `predict ${model}`, attributes }, () =>
          infer(c.req.raw, model, version, charge),
        );
        return { ...inferred, degraded: version.degraded };
      });
      const response = answered(answer, c.req.raw);
      if (answer.degraded !== undefined) setDegraded(response.headers, 'model', answer.degraded);
      return response;
    });
  }
}

function registerServer(app: OpenAPIHono<AppEnv>, healthOf: PortsOf<HealthPorts>): void {
  const described = (path: string, operationId: string, summary: string) =>
    app.openAPIRegistry.registerPath({
      method: 'get',
      path,
      operationId,
      summary,
      tags: ['open inference'],
      ...(path === '/v2' ? { security: [{ key: [SCOPE] }] } : {}),
      responses: {
        200: { description: 'Yes.', content: { 'application/json': { schema: z.looseObject({}) } } },
        ...(path === '/v2/health/ready' ? { 503: failing('A dependency is not available.') } : {}),
      },
    });
  described('/v2/health/live', 'openInferenceLive', 'Reports that the worker runs (Open Inference Protocol)');
  app.get('/v2/health/live', (c) => c.json({ live: true }, 200, NO_STORE));
  described(
    '/v2/health/ready',
    'openInferenceReady',
    'Reports whether the models can be read (Open Inference Protocol)',
  );
  app.get('/v2/health/ready', async (c) => {
    const { clock, artifacts } = healthOf(c);
    const { status } = await checkHealth({ clock, artifacts });
    if (status === 'ok') return c.json({ ready: true }, 200, NO_STORE);
    throw new Failure('model_unavailable', 'A dependency of the models does not answer; see /health/ready.', {
      retryAfterS: 5,
    });
  });
  described(
    '/v2',
    'openInferenceServer',
    'The name of the server, and the extensions of the protocol that it has',
  );
  app.get('/v2', (c) => c.json({ name: 'millrace', version: '1', extensions: ['binary_tensor_data'] }, 200));
}

/**
 * The version that a request names, or the one that answers. The sender pays for it before it is read.
 *
 * @param units as `src/gateway/limits/weights.ts` counts them.
 * @throws Failure `unauthorized`, `insufficient_scope`, `unknown_model`, `model_unavailable`.
 */
async function versionOf(
  c: Context<AppEnv>,
  gateway: Gateway,
  modelOf: ServedModelOf,
  units: number,
): Promise<ServedVersion> {
  const name = c.req.param('model') ?? '';
  const model = modelOf(c, name);
  if (model?.isPublic !== true) await gateway.admit(c, { isPublic: false, scope: SCOPE });
  await gateway.charge(c, { cost: 'prediction', units });
  if (model === undefined)
    throw new Failure('unknown_model', `The catalog declares no model "${name}".`, { pointer: 'model' });
  const current = await model.current();
  const wanted = c.req.param('version') ?? current.version;
  if (wanted !== current.version)
    throw new Failure(
      'unknown_model',
      `The model "${name}" does not serve the version "${wanted}"; it serves "${current.version}".`,
      { pointer: 'version' },
    );
  return current;
}

async function infer(
  request: Request,
  model: string,
  version: ServedVersion,
  charge: (rows: number) => Promise<void>,
): Promise<InferAnswer> {
  const { json, binary } = await readParts(request);
  const { id, tensors, outputs: wanted } = readInference(json, binary, version);
  const rows = Object.values(tensors)[0]?.shape[0] ?? 1;
  await charge(rows);
  const graph = await version.load();
  let outputs: Tensors;
  try {
    outputs = await graph.run(
      tensors,
      wanted.map(({ name }) => name),
    );
  } catch (error) {
    if (error instanceof Failure) throw error;
    throw new Failure(
      'tensor_mismatch',
      'The graph cannot run on these tensors. Check that dimensions which its inputs share are equal.',
      { pointer: '/inputs', cause: error },
    );
  }
  const answering = { model, version: version.version, id, parameters: { prediction_id: version.ran(rows) } };
  return writeAnswer(answering, wanted, outputs);
}

/** @throws Failure as `readBytes` does; `malformed_json`, `invalid_request`. */
async function readParts(request: Request): Promise<{ json: unknown; binary: Uint8Array }> {
  const bytes = await readBytes(request, BODY_BYTES_MAX);
  const sent = request.headers.get(JSON_LENGTH);
  if (sent !== null && !/^\d{1,9}$/.test(sent))
    throw new Failure('invalid_request', `${JSON_LENGTH} is a number of bytes.`, { pointer: JSON_LENGTH });
  const jsonBytes = sent === null ? bytes.length : Number(sent);
  if (jsonBytes > bytes.length)
    throw new Failure(
      'invalid_request',
      `${JSON_LENGTH} is ${jsonBytes}, and the body has ${bytes.length} bytes.`,
      { pointer: JSON_LENGTH },
    );
  try {
    return {
      json: parseJson(decodeJsonText(bytes.subarray(0, jsonBytes))),
      binary: bytes.subarray(jsonBytes),
    };
  } catch (error) {
    const detail = error instanceof Error ? error.message : 'The body is not JSON.';
    // A client that has sent no length has not got it wrong.
    throw new Failure('malformed_json', detail, sent === null ? {} : { pointer: JSON_LENGTH });
  }
}

/** The client names the length of the JSON by a header, gzipped or not; the platform compresses the body. */
function answered({ body, jsonBytes }: InferAnswer, request: Request): Response {
  const headers = new Headers({ ...NO_STORE, vary: 'Accept-Encoding' });
  headers.set('content-type', jsonBytes === undefined ? 'application/json' : 'application/octet-stream');
  if (jsonBytes !== undefined) headers.set(JSON_LENGTH, String(jsonBytes));
  if (takesGzip(request)) headers.set('content-encoding', 'gzip');
  return new Response(body, { headers });
}

/** Whether the client names gzip and does not refuse it (RFC 9110 §12.5.3). */
function takesGzip(request: Request): boolean {
  const codings = (request.headers.get('accept-encoding') ?? '').toLowerCase().split(',');
  return codings.some((coding) => /^\s*(x-)?gzip\s*(;\s*q=(?!0(\.0*)?\s*$).*)?$/.test(coding));
}

const OpenInferenceError = z.object({ error: z.string() }).openapi('OpenInferenceError');

function failing(description: string) {
  return { description, content: { 'application/json': { schema: OpenInferenceError } } };
}

const TensorMetadata = z.object({
  name: z.string(),
  datatype: z.enum(DATATYPES),
  shape: z.array(z.int().min(-1)).describe('A dimension of -1 is free.'),
});
const ModelMetadata = z
  .object({
    name: z.string(),
    versions: z.array(z.string()),
    platform: z.string(),
    inputs: z.array(TensorMetadata),
    outputs: z.array(TensorMetadata),
  })
  .openapi('ModelMetadata');
const InferResponse = z
  .object({
    model_name: z.string(),
    model_version: z.string(),
    id: z.string().optional(),
    parameters: z.object({ prediction_id: z.string() }),
    outputs: z.array(
      z.object({
        name: z.string(),
        datatype: z.enum(DATATYPES),
        shape: z.array(z.int().min(0)),
        parameters: z.object({ binary_data_size: z.int().min(0) }).optional(),
        data: z
          .array(z.union([z.number(), z.boolean(), z.string()]))
          .optional()
          .describe('Absent if the output is binary data after the JSON.'),
      }),
    ),
  })
  .openapi('InferResponse');

function describeModels(app: OpenAPIHono<AppEnv>): void {
  const describe = (
    method: 'get' | 'post',
    suffix: '' | '/ready' | '/infer',
    operationId: string,
    summary: string,
    schema: z.ZodType,
  ) => {
    const name = { model: z.string().max(128) };
    for (const [base, params] of [
      ['/v2/models/{model}', z.object(name)],
      ['/v2/models/{model}/versions/{version}', z.object({ ...name, version: z.string().max(128) })],
    ] as const) {
      app.openAPIRegistry.registerPath({
        method,
        path: `${base}${suffix}`,
        operationId: base.includes('versions') ? `${operationId}Version` : operationId,
        summary,
        tags: ['open inference'],
        security: [{ key: [SCOPE] }],
        request: {
          params,
          headers: method === 'post' ? consistencyHeaders.extend(deadlineHeader) : consistencyHeaders,
          ...(method === 'post'
            ? { body: { required: true, content: { 'application/json': { schema: InferRequest } } } }
            : {}),
        },
        responses: {
          200: {
            description: 'The answer of the protocol.',
            content: { 'application/json': { schema } },
          },
          400: failing('The request is not valid, or a tensor does not fit the model.'),
          404: failing('The catalog declares no such model, or the model does not serve the version.'),
          412: failing('`Millrace-Token` is from another epoch of the clock, or from the future.'),
          503: failing('No version has been published, it cannot be loaded, or the deadline has passed.'),
        },
      });
    }
  };
  describe(
    'get',
    '',
    'openInferenceModel',
    'What a model takes and returns (Open Inference Protocol)',
    ModelMetadata,
  );
  const Ready = z.object({ name: z.string(), ready: z.boolean() });
  describe(
    'get',
    '/ready',
    'openInferenceModelReady',
    'Whether a model can answer (Open Inference Protocol)',
    Ready,
  );
  describe(
    'post',
    '/infer',
    'openInferenceInfer',
    'Runs the graph of a model on tensors (Open Inference Protocol)',
    InferResponse,
  );
}
