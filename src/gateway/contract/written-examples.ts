import type { AnswerExamples } from '../../define/catalog.ts';

/** A training run as it begins. */
const RUN = {
  id: '5f0d3c1e-8a4b-4c27-9d4e-3b1c7a6f2e90',
  model: '{model}',
  reason: 'hand',
  by: 'key:bootstrap',
  state: 'queued',
  stage: 'queued',
  progress: { done: 0, of: 0 },
  cost: { steps: 0, rows: 0, bytesRead: 0, bytesWritten: 0, r2Reads: 0, r2Writes: 0, busyMs: 0 },
  failure: null,
  version: null,
  isChallenger: false,
  begunAt: '2026-11-29T20:00:00.000Z',
  endedAt: null,
  verdict: null,
  asOf: '2026-11-29T19:59:00.000Z',
  seed: 1,
  dataset: null,
  gates: [],
  evaluation: null,
};
const UNDER_WAY = {
  ...RUN,
  state: 'training',
  stage: 'training',
  progress: { done: 12, of: 100 },
  cost: { ...RUN.cost, steps: 14, rows: 4_096, bytesRead: 180_224, r2Reads: 6, r2Writes: 2, busyMs: 2_310 },
  dataset: { id: '0e974fc41bcacd541668f270dd49ac86', digest: 'b1946ac92492d2347c6235b4d2611184' },
  gates: [
    { gate: 'pipeline', holds: true, measured: { pending: 0 }, required: { pendingMax: 1_000 } },
    { gate: 'quality', holds: true, measured: { score: 0.998 }, required: { scoreMin: 0.95 } },
  ],
};

/** A dataset whose label events are counted. */
const DATASET = {
  id: '0e974fc41bcacd541668f270dd49ac86',
  request: {
    ...{ model: '{model}', asOf: '2026-11-29T19:27:43.841Z', knowledge: 'row', seed: 1 },
    recipe: '791028c6103637dca22e37c92b5c46ff90ba7226a7346a3af696e0604cfe23a8',
  },
  state: 'counting',
  failure: null,
  progress: { labelEvents: 0, parts: 0, partsMade: 0, rows: 0, bytes: 0 },
  begunAt: '2026-11-29T19:28:43.891Z',
  endedAt: null,
};

/** What came of answers of a ranking. */
const FEEDBACK = {
  ...{ name: '{model}', since: '2026-10-31', share: 1, withinMs: 86_400_000, explored: 0 },
  versions: [
    {
      version: '408a414df591',
      answers: { ranked: 1_204, explored: 0, degraded: 3, other: 41 },
      pending: { trials: 96, hits: 7 },
      ...{ unlabelled: 212, dropped: 0 },
      ranked: { trials: 400, hits: 50, rate: 0.125, low: 0.0962, high: 0.1609 },
      explored: { trials: 0, hits: 0, rate: null, low: 0, high: 1 },
      positions: [
        {
          position: 1,
          ranked: { trials: 400, hits: 24, rate: 0.06, low: 0.0406, high: 0.0878 },
          explored: { trials: 0, hits: 0, rate: null, low: 0, high: 1 },
        },
      ],
    },
  ],
};

const VERDICT = {
  ...{ rows: 4_175, statistic: 5.91, isDrifting: true, by: 'level', column: 'trips_7d', windowRows: 200 },
  ...{ psi: 0.31, level: 0.62, missing: { training: 0.02, serving: 0.03 } },
};
const DRIFT = {
  ...{ name: '{model}', trainsOnDrift: true },
  versions: [
    {
      ...{ version: '408a414df591', seenAt: '2026-11-29T20:10:02.000Z', rows: 4_210 },
      ...{ falseAlarmRows: 50_000, threshold: 4.87, latest: VERDICT },
      drifts: [
        {
          ...{ since: '2026-11-29T20:09:58.000Z', until: null, found: VERDICT },
          training: {
            ...{ run: '2b7a4b5e-0f53-4d8a-9b3e-6f2d6c1c9a10', why: null },
            at: '2026-11-29T20:09:58.000Z',
          },
        },
      ],
    },
  ],
};

const SKEW = {
  ...{ name: '{model}', matches: 1, mismatches: 0, unknown: 1 },
  answers: [
    {
      ...{ id: '578b18a2-0621-4dd2-8991-73b2f6656a63', at: '2026-11-29T20:10:02.000Z' },
      ...{ version: '408a414df591', verdict: 'match', why: null, events: 41, newestEvent: 90_211 },
    },
    {
      ...{ id: '0b7f7f0e-3a58-4c5f-9a3e-2d1f4f6d9b61', at: '2026-11-29T20:10:03.000Z' },
      ...{
        version: '408a414df591',
        verdict: 'unknown',
        why: 'too_many_events',
        events: 0,
        newestEvent: null,
      },
    },
  ],
};

const NEVER_SWITCHED = {
  ...{ state: 'on', at: null, by: null, reason: null },
  ...{ approvedBy: null, asked: null },
};
const APPROVED = {
  effectiveWithinMs: 2_000,
  phases: {
    pipeline: NEVER_SWITCHED,
    cache: {
      ...{ state: 'on', at: '2026-11-30T20:10:02.000Z', by: 'key:1f0c2f6f', reason: 'the prices are mended' },
      ...{ approvedBy: 'key:bootstrap', asked: null },
    },
    inference: NEVER_SWITCHED,
  },
  waiting: {
    queued: { EVENTS: 0, EVENTS_BULK: 0, CHANGES: 0, CHANGES_BULK: 0, SINK: 0, DEAD: 0 },
    unrelayed: 0,
  },
};
const GATES = {
  at: '2026-11-30T20:10:02.000Z',
  open: { cache: true, inference: false },
  gates: [
    {
      ...{ gate: 'hit_ratio', phase: 'inference', holds: null },
      statement: 'more than 70 % of the answers come from the cache',
      measured: { ratio: 0.94, answers: 50 },
      required: { ratioAbove: 0.7, answersMin: 100 },
      evidence: [
        {
          fact: 'answers of the last hour came from the cache',
          holds: null,
          detail: '50 answers, too few for a verdict',
        },
      ],
      reason: 'not known: answers of the last hour came from the cache (50 answers, too few for a verdict)',
    },
  ],
};

const IMPACT = {
  element: { kind: 'column', name: 'stations.capacity', detail: 'integer' },
  direction: 'down',
  found: {
    ...{ table: [], column: [], entity: [], event: [], field: [], rule: [], model: [], objective: [] },
    ...{ alert: [], metric: [], dashboard: [] },
    feature: [
      {
        ...{ name: 'station.capacity', detail: 'column', how: 'declared', distance: 1 },
        by: [{ from: 'column:stations.capacity', relation: 'reads', how: 'declared' }],
      },
    ],
    tag: [
      {
        ...{ name: 'station:{id}', detail: 'one row', how: 'declared', distance: 1 },
        by: [{ from: 'column:stations.capacity', relation: 'invalidated by', how: 'declared' }],
      },
    ],
    view: [
      {
        ...{ name: 'station', detail: '/v1/stations/{id}', how: 'observed', distance: 1 },
        by: [
          { from: 'column:stations.capacity', relation: 'reads', how: 'observed' },
          { from: 'tag:station:{id}', relation: 'refilled by', how: 'observed' },
        ],
      },
    ],
    route: [
      {
        ...{ name: 'GET /v1/stations/{id}', detail: '', how: 'observed', distance: 2 },
        by: [{ from: 'view:station', relation: 'serves', how: 'declared' }],
      },
    ],
  },
  writers: [
    {
      ...{ from: 'route:PUT /v1/stations/{id}', relation: 'written by', to: 'column:stations.capacity' },
      how: 'declared',
    },
  ],
  principals: {
    seen: [{ principal: 'key:1f0c2f6f', uses: 'station-v1', total: 412, lastHour: 3 }],
    mayUse: [{ principal: 'key:1f0c2f6f', scopes: ['data:write'], lastUsedAt: '2026-11-30T20:10:02.000Z' }],
    unknown: ['Who holds a token of an OpenID Connect issuer is not kept.'],
  },
  unknown: [
    {
      about: 'column:stations.capacity',
      reason: 'Programs that read the database by themselves, without Millrace, are not known.',
    },
  ],
  truncated: [],
};

/** What is kept, once a walk over R2 has come to its end. */
const LIFECYCLE = {
  at: '2026-12-01T09:30:00.000Z',
  walk: {
    beganAt: '2026-12-01T03:00:11.402Z',
    endedAt: '2026-12-01T03:00:12.118Z',
    isUnderWay: false,
  },
  stores: [
    {
      ...{ store: 'outbox', place: 'postgres' },
      bound: 'pending for ever; relayed for ever, or `outbox`; of each epoch one row for ever',
      declared: [{ entry: 'outbox', days: 30 }],
      ...{ items: 48_211, bytes: 9_732_096, oldest: '2026-11-01T09:29:14.080Z' },
      cleaned: [
        {
          ...{ target: 'outbox', removed: 1_204_331 },
          ...{ until: '2026-11-01T09:28:59.731200Z', at: '2026-12-01T09:29:00.412Z' },
        },
      ],
    },
    {
      ...{ store: 'Alerts', place: 'object' },
      bound: 'counts of 30 days; 500 incidents of 500 entries; 200 silences; 500 waiting notices of a target',
      ...{ declared: [], items: 1, bytes: 212_992, oldest: null, cleaned: [] },
    },
  ],
};

/**
 * Examples of answers that no worker of `npm run examples` gives: it has no Kafka, no second operator, no history of deletions, no label events for a dataset or for
 * feedback and no traffic for a rollout, and its models declare no training. Tests that have these compare them with an answer.
 */
export const WRITTEN_EXAMPLES: AnswerExamples = {
  seekKafkaPartition: { 202: { topic: 'events', partition: 0, offset: 0 } },
  approvePhase: { 200: APPROVED },
  getGates: { 200: GATES },
  getImpact: { 200: IMPACT },
  getLifecycle: { 200: LIFECYCLE },
  approveRollout: { 200: { name: '{model}', version: '408a414df591', stage: 'champion' } },
  getFeedback: { 200: FEEDBACK },
  getSkew: { 200: SKEW },
  getDrift: { 200: DRIFT },
  getDataset: { 200: { ...DATASET, manifest: null } },
  listDatasets: { 200: { datasets: [DATASET] } },
  startTraining: { 202: RUN },
  getTrainingRun: { 200: UNDER_WAY },
  cancelTrainingRun: { 200: { ...UNDER_WAY, state: 'cancelled', endedAt: '2026-11-29T20:00:04.000Z' } },
  resumeTrainingRun: { 202: UNDER_WAY },
};
