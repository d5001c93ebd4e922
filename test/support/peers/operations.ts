/**
 * What each operation answers, and within what time, while a peer hangs. An operation that a peer's list leaves out
 * answers as usual within a second. `test/e2e/hung-operations.long.test.ts` checks it on the built worker. A model's
 * runtime is a part of the isolate and no peer: it cannot hang without the isolate.
 */
export const PEERS = [
  ...(['root-clock', 'regional-clock', 'fill-gate', 'feature-shard', 'outbox-relay', 'cache-stats'] as const),
  ...([
    'quality-window',
    'change-feed',
    'queued-events',
    'rate-limiter',
    'idempotency',
    'datasets',
    'training-runs',
    'rollouts',
    'feedback',
    'drift-watches',
    'alerts',
    'queue',
    'kv',
  ] as const),
  ...(['colo-cache', 'artifacts', 'kafka', 'kafka-source', 'database', 'issuer'] as const),
] as const;
export type HungPeer = (typeof PEERS)[number];

/** Statuses, and the time within which one of them comes, in milliseconds. */
export type Owed = readonly [statuses: readonly number[], withinMs: number];

/** The same for several operations. */
function each(owed: Owed, ...operations: readonly string[]): Record<string, Owed> {
  return Object.fromEntries(operations.map((operation) => [operation, owed]));
}

/** The deadline of a statement is 10 s; that of an entry in the audit log, which comes before the effect, is 3 s. */
const STATEMENT: Owed = [[503], 11_000];
const AUDIT_ENTRY: Owed = [[503], 4_000];
const INVALIDATION: Owed = [[503], 7_000];
const REPORT: Owed = [[503], 3_000];
const WRITES = [
  ...['PUT /v1/products/{sku}', 'DELETE /v1/products/{sku}'],
  ...['PUT /v1/customers/{id}', 'DELETE /v1/customers/{id}'],
];
const CHAMPION = 'PUT /v1/admin/models/{model}/champion';
const VERSIONS = 'POST /v1/admin/models/{model}/versions';
const ALIAS = 'PUT /v1/admin/models/{model}/aliases/{alias}';
const ARTIFACT = 'PUT /v1/admin/artifacts/{sha256}';
const RELEASE = 'POST /v1/admin/quarantine/release';
const SWEEP = 'POST /v1/admin/outbox/sweep';
const BACKFILL = 'POST /v1/admin/features/backfill';
const DATASETS = ['', '/{id}', '/{id}/files/{file}'].map((path) => `GET /v1/admin/datasets${path}`);
const RUNS = ['GET /v1/training', 'GET /v1/training/{id}'];
const RUN_START = 'POST /v1/training';
const RUN_CHANGES = ['cancel', 'resume'].map((change) => `POST /v1/training/{id}/${change}`);
const DATASET_REMOVAL = 'DELETE /v1/admin/datasets/{id}';
const ROLLOUTS = ['', '/abort', '/approve'].map((verb) => `POST /v1/admin/models/{model}/rollout${verb}`);
const INCIDENTS = [
  ...['GET', 'POST'].map((method) => `${method} /v1/admin/incidents`),
  ...['', '/postmortem'].map((part) => `GET /v1/admin/incidents/{id}${part}`),
  ...['acknowledge', 'notes', 'resolve', 'severity'].map((verb) => `POST /v1/admin/incidents/{id}/${verb}`),
];
/** What hangs is a line of the answer. */
const DEPENDENCIES: Readonly<Record<string, Owed>> = { 'GET /health/dependencies': [[200], 3_000] };
const PURGE = 'POST /v1/admin/cache/purge';
const PIPELINE = 'GET /v1/admin/pipeline';
const START = 'POST /v1/admin/kafka/start';
/** What is still waiting is left out of the answer. */
const PHASES: Readonly<Record<string, Owed>> = {
  'GET /v1/admin/phases': [[200], 2_000],
  'PUT /v1/admin/phases/{phase}': [[200], 2_000],
};
const APPROVAL = 'POST /v1/admin/phases/{phase}/approve';
/** A source that hangs leaves its gates unknown. */
const GATES: Readonly<Record<string, Owed>> = { 'GET /v1/gates': [[200], 2_000] };
/** Principals that cannot be read are left out. */
const IMPACT: Readonly<Record<string, Owed>> = { 'GET /v1/impact': [[200], 3_000] };
/** What hangs is a line of the answer. The checks of the database follow each other. */
const DIAGNOSIS: Readonly<Record<string, Owed>> = { 'GET /v1/admin/diagnosis': [[200], 2_000] };

/** The clock, the tiers and the names of tags are asked in turn, and each is left out if it does not answer. */
const INSPECTION: Readonly<Record<string, Owed>> = { 'GET /v1/admin/cache/inspect': [[200], 3_000] };

/** What hangs is null in the answer. */
const LIFECYCLE: Readonly<Record<string, Owed>> = { 'GET /v1/admin/lifecycle': [[200], 3_000] };

export const HUNG: Readonly<Partial<Record<HungPeer, Readonly<Record<string, Owed>>>>> = {
  'root-clock': {
    ...{ ...INSPECTION, ...DIAGNOSIS, ...DEPENDENCIES, ...GATES, ...LIFECYCLE },
    ...each(INVALIDATION, ...WRITES, PURGE, 'POST /v1/admin/keys', CHAMPION, ALIAS),
    ...each(REPORT, 'GET /v1/admin/phases', 'PUT /v1/admin/phases/{phase}', APPROVAL),
    'GET /v2/health/ready': [[503], 1_000],
  },
  'feature-shard': {
    ...LIFECYCLE,
    ...each([[503], 1_000], 'POST /v1/features/read', 'POST /get-online-features'),
    ...each([[503], 1_000], 'POST /v1/predictions/expected-spend'),
    ...{ [PIPELINE]: REPORT, [BACKFILL]: [[202, 503], 7_000] },
    'GET /v1/admin/features/digest': [[503], 31_000],
  },
  'outbox-relay': {
    ...{ ...DIAGNOSIS, ...GATES, ...LIFECYCLE },
    [BACKFILL]: [[503], 7_000],
    'GET /v1/admin/features': [[200], 2_000],
    [SWEEP]: [[503], 31_000],
    [RELEASE]: [[503], 7_000],
  },
  'cache-stats': {
    ...each(REPORT, 'GET /metrics', 'GET /v1/admin/cache/stats', 'GET /v1/admin/deprecations'),
    ...{ ...DEPENDENCIES, ...GATES, ...IMPACT, ...LIFECYCLE },
    ...each(REPORT, 'GET /v1/admin/series', 'GET /v1/admin/series/live'),
  },
  'quality-window': { ...GATES, ...LIFECYCLE, ...each(REPORT, 'GET /metrics', 'GET /v1/quality') },
  datasets: { ...LIFECYCLE, ...each(REPORT, ...DATASETS, DATASET_REMOVAL) },
  ...{ 'queued-events': LIFECYCLE, 'rate-limiter': LIFECYCLE, idempotency: LIFECYCLE },
  'training-runs': { ...LIFECYCLE, ...each(REPORT, ...RUNS, ...RUN_CHANGES), [RUN_START]: [[503], 6_000] },
  'drift-watches': { ...LIFECYCLE, 'GET /v1/admin/models/{model}/drift': REPORT },
  // What it has seen is left out then.
  rollouts: { ...LIFECYCLE, 'GET /v1/admin/models/{model}/rollout': [[200], 2_000] },
  feedback: { ...LIFECYCLE, ...each(REPORT, 'GET /v1/admin/models/{model}/feedback') },
  alerts: {
    ...{ ...DEPENDENCIES, ...GATES, ...LIFECYCLE },
    ...each(
      REPORT,
      ...['GET /v1/admin/alerts', 'POST /v1/admin/alerts/test', ...INCIDENTS],
      ...['silences', 'maintenance'].flatMap((of) => [
        `GET /v1/admin/${of}`,
        `POST /v1/admin/${of}`,
        `DELETE /v1/admin/${of}/{id}`,
      ]),
    ),
  },
  'change-feed': { ...LIFECYCLE, 'GET /v1/changes': [[503], 1_000], 'GET /metrics': [[200], 3_000] },
  kv: { ...INSPECTION, ...DIAGNOSIS, ...GATES },
  'regional-clock': INSPECTION,
  'colo-cache': INSPECTION,
  queue: {
    ...{ ...DIAGNOSIS, ...PHASES, ...GATES },
    ...each([[503], 6_000], 'POST /v1/events', 'POST /push', 'POST /write-to-online-store'),
  },
  artifacts: {
    ...{ ...DIAGNOSIS, ...DEPENDENCIES, ...GATES },
    'GET /v2/health/ready': [[503], 1_000],
    ...each([[503], 22_000], CHAMPION, VERSIONS),
    [ARTIFACT]: [[503], 51_000],
    'GET /v1/admin/artifacts/{sha256}': [[503], 2_000],
    'GET /v1/admin/models/{model}/skew': [[503], 11_000],
  },
  kafka: {
    ...{ ...DIAGNOSIS, ...GATES },
    'GET /v1/admin/kafka': [[503], 3_000],
    [START]: [[503], 7_000],
    'GET /metrics': [[200], 3_000],
  },
  'kafka-source': {
    ...{ ...DIAGNOSIS, ...GATES },
    'GET /v1/admin/kafka': [[200, 503], 3_000],
    'GET /metrics': [[200], 3_000],
  },
  database: {
    ...{ ...INSPECTION, ...DIAGNOSIS, ...DEPENDENCIES, ...PHASES, ...GATES, ...IMPACT, ...LIFECYCLE },
    ...each(STATEMENT, ...WRITES, PIPELINE, RELEASE),
    ...each(STATEMENT, 'GET /v1/events/{source}/{id}', 'GET /v1/lineage/events'),
    ...each(STATEMENT, 'GET /v1/lineage/event/{source}/{id}'),
    ...each(
      STATEMENT,
      'GET /v1/admin/quarantine',
      'GET /v1/admin/quarantine/{id}',
      'GET /v1/admin/dead-letters',
    ),
    ...each(STATEMENT, 'POST /v1/admin/quarantine/discard', 'POST /v1/admin/dead-letters/replay'),
    ...each(
      STATEMENT,
      'POST /v1/admin/replay',
      'POST /v1/admin/forget',
      'GET /v1/admin/audit',
      'GET /v1/admin/audit/verify',
    ),
    'GET /v1/admin/audit/chain': STATEMENT,
    ...each(STATEMENT, 'GET /v1/admin/keys', 'POST /v1/admin/keys', 'GET /v1/admin/keys/{id}'),
    ...each(STATEMENT, 'DELETE /v1/admin/keys/{id}', 'POST /v1/admin/keys/{id}/rotate'),
    // A registration checks the graph first.
    ...each([[503], 14_000], CHAMPION, VERSIONS),
    ...each(STATEMENT, ALIAS, 'POST /v1/admin/models/{model}/rollback', 'GET /v1/models'),
    ...each(STATEMENT, 'GET /v1/models/{model}', 'GET /v1/models/{model}/versions/{version}'),
    ...each(STATEMENT, 'POST /v1/admin/models/{model}/versions/{version}/retire'),
    ...each(STATEMENT, 'GET /v1/admin/models/{model}/rollout', ...ROLLOUTS),
    'GET /v1/admin/features': STATEMENT,
    [DATASET_REMOVAL]: AUDIT_ENTRY,
    ...each(AUDIT_ENTRY, RUN_START, ...RUN_CHANGES),
    ...each(AUDIT_ENTRY, ARTIFACT, SWEEP, BACKFILL, PURGE, START, 'POST /v1/admin/kafka/seek'),
    ...each(AUDIT_ENTRY, 'PUT /v1/admin/models/{model}/trainings/{id}', 'POST /v1/admin/lineage/sweep'),
    ...each(AUDIT_ENTRY, 'PUT /v1/admin/phases/{phase}', APPROVAL),
    'GET /health/ready': [[503], 3_000],
  },
  // A public answer that is not cached is charged to the token that its reader sends.
  issuer: each([[200], 4_000], 'GET /v1/products', 'GET /v1/products/{sku}', 'GET /v1/price-list'),
};
