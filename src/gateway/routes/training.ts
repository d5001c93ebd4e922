import { type OpenAPIHono, z } from '@hono/zod-openapi';
import type { Context } from 'hono';
import { Failure } from '../../platform/failure.ts';
import { Evaluation } from '../../training/runs/evaluation.ts';
import { Gate } from '../../training/runs/gates.ts';
import { RUN_REASONS, type RunReason } from '../../training/runs/policy.ts';
import { RUN_STAGES, RUN_STATES, RunCost, type TrainingRun } from '../../training/runs/run.ts';
import { holderOf } from '../audit/action.ts';
import { parsed, readJson } from '../body.ts';
import type { AppEnv, Gateway, PortsOf } from '../context.ts';
import { ModelName } from '../models/schemas.ts';
import { json, keySecurity, problem } from '../openapi.ts';

const BODY_BYTES_MAX = 1_024;
const LIST_MAX = 200;
const NOT_STORED = { 'cache-control': 'no-store' };

const Wish = z.strictObject({
  model: ModelName,
  reason: z.enum(['hand', 'drift']).default('hand').openapi({
    description:
      '`drift` begins nothing if the model does not declare `onDrift`, or within the time that it declares between two runs',
  }),
});
const Filter = z.object({
  model: ModelName.optional(),
  limit: z.coerce.number().int().min(1).max(LIST_MAX).default(50),
});
const Summary = z.object({
  id: z.uuid(),
  model: z.string(),
  reason: z.enum(RUN_REASONS),
  by: z.string().openapi({ description: 'who or what began it' }),
  state: z.enum(RUN_STATES),
  stage: z.enum(RUN_STAGES).openapi({ description: 'the stage that is under way, or in which it ended' }),
  begunAt: z.string(),
  endedAt: z.string().nullable(),
  progress: z.object({ done: z.int(), of: z.int() }).openapi({
    description: 'of the stage: parts, files, trees or epochs; `of` is 0 while it is not known',
  }),
  cost: RunCost,
  failure: z.object({ code: z.string(), detail: z.string() }).nullable(),
  version: z.string().nullable(),
  isChallenger: z.boolean(),
  verdict: z.enum(['better', 'not_better']).nullable(),
});
const Detail = Summary.extend({
  asOf: z.string().openapi({ description: 'events that were stored later do not count' }),
  seed: z.int(),
  dataset: z.object({ id: z.string(), digest: z.string().nullable() }).nullable(),
  gates: z.array(Gate).openapi({ description: 'with the figures that were measured' }),
  evaluation: Evaluation.nullable(),
});
const List = z.object({ runs: z.array(Summary) });
const Id = z.object({ id: z.uuid() });

/** A run that has begun or goes on, or why it does not. */
interface Begun {
  /** Null if it does not. */
  readonly run: TrainingRun | null;
  readonly why: 'active' | 'debounced' | 'unknown' | null;
}

/** All of them throw Failure `training_unavailable`. */
export interface TrainingRoutePorts {
  readonly begin: (model: string, reason: RunReason, by: ReturnType<typeof holderOf>) => Promise<Begun>;
  readonly list: (model: string | null, limit: number) => Promise<readonly TrainingRun[]>;
  readonly read: (id: string) => Promise<TrainingRun | null>;
  readonly cancel: (id: string, by: ReturnType<typeof holderOf>) => Promise<TrainingRun | null>;
  readonly resume: (id: string) => Promise<Begun>;
}

/** Begins, lists, cancels and resumes training runs. */
export function registerTraining(
  app: OpenAPIHono<AppEnv>,
  gateway: Gateway,
  portsOf: PortsOf<TrainingRoutePorts>,
): void {
  registerReads(app, portsOf);
  registerBegin(app, gateway, portsOf);
  registerChanges(app, gateway, portsOf);
}

function registerReads(app: OpenAPIHono<AppEnv>, portsOf: PortsOf<TrainingRoutePorts>): void {
  const unanswered = problem('The object that trains models does not answer.');
  app.openAPIRegistry.registerPath({
    method: 'get',
    path: '/v1/training',
    operationId: 'listTrainingRuns',
    summary: 'Lists the training runs, the newest first, with their progress and cost',
    tags: ['training'],
    security: keySecurity,
    request: { query: Filter },
    responses: { 200: json('The runs.', List), 503: unanswered },
  });
  app.get('/v1/training', async (c) => {
    const { model, limit } = parsed(Filter, c.req.query());
    const runs = await portsOf(c).list(model ?? null, limit);
    return c.json({ runs: runs.map(summaryOf) }, 200, NOT_STORED);
  });
  app.openAPIRegistry.registerPath({
    method: 'get',
    path: '/v1/training/{id}',
    operationId: 'getTrainingRun',
    summary: 'Shows a training run with its gates and its evaluation',
    tags: ['training'],
    security: keySecurity,
    request: { params: Id },
    responses: { 200: json('The run.', Detail), 404: problem('There is no such run.'), 503: unanswered },
  });
  app.get('/v1/training/:id', async (c) => {
    const run = await portsOf(c).read(idOf(c));
    if (run === null) throw missing();
    return c.json(detailOf(run), 200, NOT_STORED);
  });
}

function registerBegin(
  app: OpenAPIHono<AppEnv>,
  gateway: Gateway,
  portsOf: PortsOf<TrainingRoutePorts>,
): void {
  app.openAPIRegistry.registerPath({
    method: 'post',
    path: '/v1/training',
    operationId: 'startTraining',
    summary: 'Begins a training run of a model',
    tags: ['training'],
    security: keySecurity,
    request: { body: { required: true, content: { 'application/json': { schema: Wish } } } },
    responses: {
      202: json('It has begun, or waits for the run of another model.', Detail),
      404: problem('The catalog declares no such model.'),
      409: problem('A run of the model is under way, or the reason may not begin another one yet.'),
      422: problem('The model declares no dataset or no training.'),
      503: problem('The object that trains models does not answer.'),
    },
  });
  app.post('/v1/training', async (c) => {
    const body = await readJson(c.req.raw, { bytesMax: BODY_BYTES_MAX, types: ['application/json'] });
    const { model, reason } = parsed(Wish, body);
    assertDeclared(gateway, model, reason);
    const action = { action: 'training.start', target: model, detail: { reason } };
    const run = await gateway.audited(c, action, async () => {
      const { run: begun, why } = await portsOf(c).begin(model, reason, holderOf(c));
      if (begun === null)
        throw new Failure(
          'training_active',
          why === 'debounced'
            ? 'Too little time has passed since the last run began.'
            : 'A run of the model is under way.',
        );
      return { result: begun, after: { id: begun.id } };
    });
    return c.json(detailOf(run), 202, NOT_STORED);
  });
}

function registerChanges(
  app: OpenAPIHono<AppEnv>,
  gateway: Gateway,
  portsOf: PortsOf<TrainingRoutePorts>,
): void {
  const responses = {
    404: problem('There is no such run.'),
    503: problem('The object that trains models does not answer.'),
  };
  app.openAPIRegistry.registerPath({
    method: 'post',
    path: '/v1/training/{id}/cancel',
    operationId: 'cancelTrainingRun',
    summary: 'Ends a training run; one that is over stays as it is',
    tags: ['training'],
    security: keySecurity,
    request: { params: Id },
    responses: { 200: json('The run, which is over.', Detail), ...responses },
  });
  app.post('/v1/training/:id/cancel', async (c) => {
    const id = idOf(c);
    const run = await gateway.audited(c, { action: 'training.cancel', target: id }, async () => {
      const over = await portsOf(c).cancel(id, holderOf(c));
      if (over === null) throw missing();
      return { result: over, after: { state: over.state } };
    });
    return c.json(detailOf(run), 200, NOT_STORED);
  });
  app.openAPIRegistry.registerPath({
    method: 'post',
    path: '/v1/training/{id}/resume',
    operationId: 'resumeTrainingRun',
    summary: 'Goes on with a training run that failed or was cancelled',
    tags: ['training'],
    security: keySecurity,
    request: { params: Id },
    responses: {
      202: json('It goes on.', Detail),
      409: problem('It is under way, done or refused, or another run of the model is under way.'),
      ...responses,
    },
  });
  app.post('/v1/training/:id/resume', async (c) => {
    const id = idOf(c);
    const run = await gateway.audited(c, { action: 'training.resume', target: id }, async () => {
      const { run: resumed, why } = await portsOf(c).resume(id);
      if (why === 'unknown') throw missing();
      if (resumed === null)
        throw new Failure(
          'training_active',
          'Only a run that failed or was cancelled goes on, and only while no other run of its model is under way.',
        );
      return { result: resumed, after: { state: resumed.state } };
    });
    return c.json(detailOf(run), 202, NOT_STORED);
  });
}

/** @throws Failure `unknown_model`, `unprocessable` */
function assertDeclared({ catalog }: Gateway, model: string, reason: RunReason): void {
  const definition = catalog.models.find(({ name }) => name === model);
  if (definition === undefined)
    throw new Failure('unknown_model', `The catalog declares no model "${model}".`, { pointer: '/model' });
  const { dataset, training, retraining } = definition;
  if (dataset === undefined || training === undefined)
    throw new Failure(
      'unprocessable',
      `The model "${model}" declares no ${dataset === undefined ? 'dataset' : 'training'}.`,
      { pointer: '/model' },
    );
  if (reason === 'drift' && !retraining.onDrift)
    throw new Failure('unprocessable', `The model "${model}" does not declare \`onDrift\`.`, {
      pointer: '/reason',
    });
}

function idOf(c: Context<AppEnv>): string {
  const id = z.uuid().safeParse(c.req.param('id'));
  if (!id.success) throw missing();
  return id.data;
}

function missing(): Failure {
  return new Failure('not_found', 'There is no such training run; GET /v1/training lists them.');
}

function summaryOf(run: TrainingRun): z.output<typeof Summary> {
  const { id, model, reason, by, state, stage, progress, cost, failure, version, isChallenger } = run;
  return {
    ...{ id, model, reason, by, state, stage, progress, cost, failure, version, isChallenger },
    begunAt: new Date(run.begunMs).toISOString(),
    endedAt: run.endedMs === null ? null : new Date(run.endedMs).toISOString(),
    verdict: run.evaluation?.verdict ?? null,
  };
}

function detailOf(run: TrainingRun): z.output<typeof Detail> {
  const { seed, dataset, gates, evaluation } = run;
  const asOf = new Date(run.asOf).toISOString();
  return { ...summaryOf(run), asOf, seed, dataset, gates, evaluation };
}
