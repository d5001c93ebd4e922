import { expectedSpendBundle } from '../models/outside.ts';
import { alertOperations } from './alert-operations.ts';
import { purchase, pushed } from './sample-bodies.ts';

/** A request that an operation of the fixture's OpenAPI document answers well. */
export interface Sample {
  readonly path: string;
  readonly body?: unknown;
  /** The media type of the body; `application/json` unless given. */
  readonly type?: string;
  /** The most bytes of a body that the route reads; absent for one that answers without reading a large body. */
  readonly bytesMax?: number;
  readonly statuses: readonly number[];
  /** Whether the route reads a body of any media type. */
  readonly takesAnyType?: boolean;
  /** The status and the code for JSON of another form; `400 invalid_request` unless given. */
  readonly wrongForm?: string;
}

const NO_KAFKA = [503];
const UNKNOWN_DATASET = '0'.repeat(32);
const UNKNOWN_RUN = '00000000-0000-4000-8000-000000000009';
const UNKNOWN_KEY = '0123456789abcdef';
const HALF_MEGABYTE = 512 * 1024;
/** SHA-256 of the three bytes `abc`. */
const ABC = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad';

/** A sample of each operation, with `VERSION` for that of the published model; by its method and the path of the document. */
export async function samples(): Promise<Readonly<Record<string, Sample>>> {
  return {
    'GET /health': { path: '/health', statuses: [200] },
    'GET /health/live': { path: '/health/live', statuses: [200] },
    'GET /health/ready': { path: '/health/ready', statuses: [200, 503] },
    'GET /metrics': { path: '/metrics', statuses: [200] },
    'GET /v1/quality': { path: '/v1/quality', statuses: [200] },
    'GET /openapi.json': { path: '/openapi.json', statuses: [200] },
    'GET /v1/inventory': { path: '/v1/inventory', statuses: [200] },
    'POST /v1/tickets': {
      path: '/v1/tickets',
      body: { path: '/v1/changes' },
      bytesMax: HALF_MEGABYTE,
      statuses: [201],
    },
    ...views(),
    ...openInference(),
    ...entities(),
    ...predictions(),
    ...events(),
    ...lineage(),
    ...keys(),
    ...operations(),
    ...(await models()),
  };
}

function views(): Record<string, Sample> {
  const found = { statuses: [200] };
  return {
    // The claim of its reader admits to all rows, and is no customer.
    'GET /v1/account': { path: '/v1/account', statuses: [404] },
    'GET /v1/products': { path: '/v1/products', ...found },
    'GET /v1/price-list': { path: '/v1/price-list', ...found },
    'GET /v1/customers': { path: '/v1/customers?country=UK', ...found },
    'GET /v1/products/{sku}': { path: '/v1/products/M1', ...found },
    'GET /v1/customers/{id}': { path: '/v1/customers/M1', ...found },
    'GET /v1/customers/{id}/purchases': { path: '/v1/customers/M1/purchases', ...found },
    'GET /v1/customers/{id}/recommendations': {
      path: '/v1/customers/M1/recommendations',
      statuses: [200, 503],
    },
    'GET /v1/customers/{id}/expected-spend': { path: '/v1/customers/M1/expected-spend', statuses: [200] },
  };
}

function entities(): Record<string, Sample> {
  const written = { bytesMax: HALF_MEGABYTE, statuses: [200, 201] };
  return {
    'PUT /v1/products/{sku}': {
      path: '/v1/products/M1',
      body: { description: null, unitPrice: 1 },
      ...written,
    },
    'PUT /v1/customers/{id}': { path: '/v1/customers/M1', body: { country: 'UK' }, ...written },
    'DELETE /v1/products/{sku}': { path: '/v1/products/M2', statuses: [204] },
    'DELETE /v1/customers/{id}': { path: '/v1/customers/M2', statuses: [204] },
  };
}

function predictions(): Record<string, Sample> {
  const path = (model: string) => `/v1/predictions/${model}`;
  return {
    'POST /v1/predictions/ranker': {
      path: path('ranker'),
      body: { key: 'M1', items: ['M1'] },
      bytesMax: 4 * 1024 * 1024,
      statuses: [200, 422, 503],
    },
    'POST /v1/predictions/expected-spend': {
      path: path('expected-spend'),
      body: { key: 'M1' },
      bytesMax: 4 * 1024 * 1024,
      statuses: [200],
    },
    'POST /v1/predictions/mood': {
      path: path('mood'),
      body: { key: 'M1', request: { hour: 1 } },
      bytesMax: 4 * 1024 * 1024,
      statuses: [200, 503],
    },
    'POST /v1/features/read': {
      path: '/v1/features/read',
      body: { entity: 'customer', keys: ['M1'] },
      bytesMax: HALF_MEGABYTE,
      statuses: [200],
    },
    'POST /get-online-features': {
      path: '/get-online-features',
      body: { features: ['customer:items'], entities: { customer_id: ['M1'] } },
      bytesMax: HALF_MEGABYTE,
      statuses: [200],
    },
  };
}

function openInference(): Record<string, Sample> {
  const base = '/v2/models/expected-spend';
  const body = {
    inputs: [
      { name: 'features', datatype: 'FP32', shape: [1, 2], data: [1, 1] },
      { name: 'count', datatype: 'INT64', shape: [1, 1], data: [5] },
    ],
  };
  const infer = { body, bytesMax: 4 * 1024 * 1024, takesAnyType: true };
  return {
    'GET /v2': { path: '/v2', statuses: [200] },
    'GET /v2/health/live': { path: '/v2/health/live', statuses: [200] },
    'GET /v2/health/ready': { path: '/v2/health/ready', statuses: [200] },
    'GET /v2/models/{model}': { path: base, statuses: [200] },
    'GET /v2/models/{model}/ready': { path: `${base}/ready`, statuses: [200] },
    'POST /v2/models/{model}/infer': { path: `${base}/infer`, ...infer, statuses: [200] },
    'GET /v2/models/{model}/versions/{version}': { path: `${base}/versions/VERSION`, statuses: [200] },
    'GET /v2/models/{model}/versions/{version}/ready': {
      path: `${base}/versions/VERSION/ready`,
      statuses: [200],
    },
    'POST /v2/models/{model}/versions/{version}/infer': {
      path: `${base}/versions/VERSION/infer`,
      ...infer,
      statuses: [200],
    },
  };
}

function events(): Record<string, Sample> {
  return {
    'POST /v1/events': {
      path: '/v1/events',
      body: purchase('sample'),
      type: 'application/cloudevents+json',
      bytesMax: 4 * 1024 * 1024,
      statuses: [200, 202],
    },
    'POST /push': {
      path: '/push',
      body: pushed('push_source_name'),
      bytesMax: 4 * 1024 * 1024,
      statuses: [200],
    },
    'POST /write-to-online-store': {
      path: '/write-to-online-store',
      body: pushed('feature_view_name'),
      bytesMax: 4 * 1024 * 1024,
      statuses: [200],
    },
    'GET /v1/events/types': { path: '/v1/events/types', statuses: [200] },
    'GET /v1/events/{source}/{id}': { path: '/v1/events/%2Fmatrix/none', statuses: [404] },
    'GET /v1/changes': { path: '/v1/changes', statuses: [200] },
  };
}

function lineage(): Record<string, Sample> {
  return {
    'GET /v1/lineage/events': { path: '/v1/lineage/events', statuses: [200] },
    'GET /v1/lineage/{kind}/{id}': { path: '/v1/lineage/model/expected-spend', statuses: [200, 404] },
    'GET /v1/lineage/event/{source}/{id}': { path: '/v1/lineage/event/%2Fmatrix/none', statuses: [404] },
    'POST /v1/admin/lineage/sweep': { path: '/v1/admin/lineage/sweep', statuses: [200] },
  };
}

function keys(): Record<string, Sample> {
  const one = `/v1/admin/keys/${UNKNOWN_KEY}`;
  return {
    'GET /v1/admin/keys': { path: '/v1/admin/keys', statuses: [200] },
    'POST /v1/admin/keys': {
      path: '/v1/admin/keys',
      body: { name: 'matrix', scopes: ['keys:write'] },
      bytesMax: HALF_MEGABYTE,
      statuses: [201],
    },
    'GET /v1/admin/keys/{id}': { path: one, statuses: [404] },
    'DELETE /v1/admin/keys/{id}': { path: one, statuses: [404] },
    'POST /v1/admin/keys/{id}/rotate': {
      path: `${one}/rotate`,
      body: {},
      bytesMax: HALF_MEGABYTE,
      statuses: [404],
    },
  };
}

function operations(): Record<string, Sample> {
  const admin = '/v1/admin';
  const small = { bytesMax: HALF_MEGABYTE };
  return {
    'GET /v1/admin/audit': { path: `${admin}/audit`, statuses: [200] },
    'GET /v1/admin/audit/chain': { path: `${admin}/audit/chain`, statuses: [200] },
    'GET /v1/admin/audit/verify': { path: `${admin}/audit/verify`, statuses: [200] },
    'GET /v1/admin/deprecations': { path: `${admin}/deprecations`, statuses: [200] },
    ...alertOperations(),
    'GET /v1/admin/pipeline': { path: `${admin}/pipeline`, statuses: [200] },
    'GET /v1/admin/diagnosis': { path: `${admin}/diagnosis`, statuses: [200] },
    'GET /v1/admin/phases': { path: `${admin}/phases`, statuses: [200] },
    // As it is: other tests run on the same worker.
    'PUT /v1/admin/phases/{phase}': {
      path: `${admin}/phases/cache`,
      body: { state: 'on', reason: 'as it is' },
      bytesMax: 4_096,
      statuses: [200],
    },
    // Nobody has asked.
    'POST /v1/admin/phases/{phase}/approve': { path: `${admin}/phases/cache/approve`, statuses: [409] },
    'GET /v1/gates': { path: '/v1/gates', statuses: [200] },
    'GET /v1/impact': { path: '/v1/impact?element=products.unit_price', statuses: [200] },
    'GET /v1/admin/lifecycle': { path: `${admin}/lifecycle`, statuses: [200] },
    'GET /v1/admin/queues': { path: `${admin}/queues`, statuses: [200] },
    'GET /v1/admin/cache/inspect': { path: `${admin}/cache/inspect?path=/v1/products/M1`, statuses: [200] },
    'GET /v1/admin/cache/stats': { path: `${admin}/cache/stats`, statuses: [200] },
    'GET /v1/admin/series': { path: `${admin}/series?metric=millrace_http_requests_total`, statuses: [200] },
    'GET /v1/admin/series/live': {
      path: `${admin}/series/live?metric=millrace_http_requests_total`,
      statuses: [200],
    },
    'GET /v1/admin/features': { path: `${admin}/features`, statuses: [200] },
    'POST /v1/admin/features/backfill': { path: `${admin}/features/backfill`, statuses: [202] },
    'GET /v1/admin/features/digest': { path: `${admin}/features/digest`, statuses: [200] },
    'POST /v1/admin/outbox/sweep': { path: `${admin}/outbox/sweep`, statuses: [200] },
    'POST /v1/admin/cache/purge': {
      path: `${admin}/cache/purge`,
      body: { tags: ['other:1'] },
      statuses: [200],
      ...small,
    },
    'GET /v1/admin/datasets': { path: `${admin}/datasets`, statuses: [200] },
    // The model declares no dataset.
    'POST /v1/admin/datasets': {
      path: `${admin}/datasets`,
      body: { model: 'mood' },
      statuses: [422],
      bytesMax: 4_096,
    },
    'GET /v1/admin/datasets/{id}': { path: `${admin}/datasets/${UNKNOWN_DATASET}`, statuses: [404] },
    'DELETE /v1/admin/datasets/{id}': { path: `${admin}/datasets/${UNKNOWN_DATASET}`, statuses: [404] },
    'GET /v1/admin/datasets/{id}/files/{file}': {
      path: `${admin}/datasets/${UNKNOWN_DATASET}/files/train-00000.parquet`,
      statuses: [404],
    },
    'GET /v1/training': { path: '/v1/training', statuses: [200] },
    // The fixture's model declares no training; that of the worker with troubles does, and a run of it may be under way.
    'POST /v1/training': {
      path: '/v1/training',
      body: { model: 'expected-spend' },
      statuses: [202, 409, 422],
      bytesMax: 1_024,
    },
    'GET /v1/training/{id}': { path: `/v1/training/${UNKNOWN_RUN}`, statuses: [404] },
    'POST /v1/training/{id}/cancel': { path: `/v1/training/${UNKNOWN_RUN}/cancel`, statuses: [404] },
    'POST /v1/training/{id}/resume': { path: `/v1/training/${UNKNOWN_RUN}/resume`, statuses: [404] },
    'GET /v1/admin/quarantine': { path: `${admin}/quarantine`, statuses: [200] },
    'GET /v1/admin/dead-letters': { path: `${admin}/dead-letters`, statuses: [200] },
    'GET /v1/admin/quarantine/{id}': { path: `${admin}/quarantine/999999`, statuses: [404] },
    'POST /v1/admin/quarantine/release': {
      path: `${admin}/quarantine/release`,
      body: { ids: [999_999] },
      statuses: [200],
      ...small,
    },
    'POST /v1/admin/quarantine/discard': {
      path: `${admin}/quarantine/discard`,
      body: { ids: [999_999], reason: 'a test' },
      statuses: [204],
      ...small,
    },
    'POST /v1/admin/dead-letters/replay': {
      path: `${admin}/dead-letters/replay`,
      body: { ids: [999_999] },
      statuses: [200],
      ...small,
    },
    'POST /v1/admin/replay': { path: `${admin}/replay`, body: { limit: 1 }, statuses: [200], ...small },
    'POST /v1/admin/forget': {
      path: `${admin}/forget`,
      // Each request begins again, so that it is always the same step.
      body: { entity: 'customer', key: 'nobody', restart: true },
      statuses: [200],
      ...small,
    },
    'GET /v1/admin/kafka': { path: `${admin}/kafka`, statuses: [200] },
    'POST /v1/admin/kafka/start': { path: `${admin}/kafka/start`, statuses: [200] },
    'POST /v1/admin/kafka/seek': {
      path: `${admin}/kafka/seek`,
      body: { topic: 'none', partition: 0, to: 'earliest' },
      statuses: [404, ...NO_KAFKA],
      ...small,
    },
  };
}

async function models(): Promise<Record<string, Sample>> {
  return {
    'GET /v1/admin/artifacts/{sha256}': { path: `/v1/admin/artifacts/${ABC}`, statuses: [200, 404] },
    'PUT /v1/admin/artifacts/{sha256}': {
      path: `/v1/admin/artifacts/${ABC}`,
      body: 'abc',
      type: 'application/octet-stream',
      statuses: [201],
    },
    'PUT /v1/admin/models/{model}/champion': {
      path: '/v1/admin/models/expected-spend/champion',
      body: await expectedSpendBundle(),
      wrongForm: '422 invalid_model',
      bytesMax: 64 * 1024 * 1024,
      statuses: [201],
    },
    'POST /v1/admin/models/{model}/versions': {
      path: '/v1/admin/models/expected-spend/versions',
      body: await expectedSpendBundle(),
      wrongForm: '422 invalid_model',
      bytesMax: 64 * 1024 * 1024,
      statuses: [200, 201],
    },
    'PUT /v1/admin/models/{model}/aliases/{alias}': {
      path: '/v1/admin/models/expected-spend/aliases/shadow',
      body: { version: null },
      bytesMax: HALF_MEGABYTE,
      statuses: [200],
    },
    // The alias has named no version.
    'POST /v1/admin/models/{model}/rollback': {
      path: '/v1/admin/models/expected-spend/rollback',
      body: { alias: 'challenger' },
      bytesMax: HALF_MEGABYTE,
      statuses: [409],
    },
    'GET /v1/admin/models/{model}/drift': {
      path: '/v1/admin/models/expected-spend/drift',
      statuses: [200],
    },
    'GET /v1/admin/models/{model}/rollout': {
      path: '/v1/admin/models/expected-spend/rollout',
      statuses: [200],
    },
    'GET /v1/admin/models/{model}/feedback': {
      path: '/v1/admin/models/ranker/feedback',
      statuses: [200],
    },
    'GET /v1/admin/models/{model}/skew': {
      path: '/v1/admin/models/ranker/skew',
      statuses: [200],
    },
    // No such version is registered.
    'POST /v1/admin/models/{model}/rollout': {
      path: '/v1/admin/models/expected-spend/rollout',
      body: { version: '0'.repeat(12) },
      bytesMax: HALF_MEGABYTE,
      statuses: [409],
    },
    'POST /v1/admin/models/{model}/rollout/abort': {
      path: '/v1/admin/models/expected-spend/rollout/abort',
      statuses: [409],
    },
    'POST /v1/admin/models/{model}/rollout/approve': {
      path: '/v1/admin/models/expected-spend/rollout/approve',
      statuses: [409],
    },
    // The alias `champion` names the version.
    'POST /v1/admin/models/{model}/versions/{version}/retire': {
      path: '/v1/admin/models/expected-spend/versions/VERSION/retire',
      statuses: [409],
    },
    'GET /v1/models': { path: '/v1/models', statuses: [200] },
    'GET /v1/models/{model}': { path: '/v1/models/expected-spend', statuses: [200] },
    'GET /v1/models/{model}/versions/{version}': {
      path: '/v1/models/expected-spend/versions/VERSION',
      statuses: [200],
    },
    'PUT /v1/admin/models/{model}/trainings/{id}': {
      path: '/v1/admin/models/expected-spend/trainings/00000000-0000-4000-8000-000000000001',
      body: { state: 'START' },
      bytesMax: HALF_MEGABYTE,
      statuses: [200],
    },
  };
}
