import { type OpenAPIHono, z } from '@hono/zod-openapi';
import { TrainingReport } from '../../operations/lineage/training.ts';
import { Failure } from '../../platform/failure.ts';
import type { RunState } from '../../storage/postgres/lineage-runs.ts';
import type { SweepOutcome } from '../../storage/postgres/lineage-sweep.ts';
import { parsed, readJson } from '../body.ts';
import type { AppEnv, Gateway, PortsOf } from '../context.ts';
import { json, keySecurity, problem } from '../openapi.ts';

/** A snapshot with fifty sources of the longest names takes half of it. */
const BODY_BYTES_MAX = 64 * 1024;

const RunAnswer = z.object({ run: z.uuid(), state: z.enum(['RUNNING', 'COMPLETE', 'FAIL', 'ABORT']) });
const SweepAnswer = z.object({ begun: z.int(), ended: z.int(), aborted: z.int(), pruned: z.int() });

export interface TrainingReportPorts {
  /**
   * Records the start or the end of a training run, and returns the run's state. Safe to repeat.
   *
   * @throws Failure `run_ended` if the run has already ended differently.
   */
  readonly report: (id: string, model: string, report: TrainingReport) => Promise<RunState>;
  /** Ends the runs that are over and prunes old ones. */
  readonly sweep: () => Promise<SweepOutcome>;
}

/** Accepts trainers' reports on their runs, and sweeps the other runs on demand. */
export function registerLineageAdmin(
  app: OpenAPIHono<AppEnv>,
  gateway: Gateway,
  trainingsOf: PortsOf<TrainingReportPorts>,
): void {
  app.openAPIRegistry.registerPath({
    method: 'put',
    path: '/v1/admin/models/{model}/trainings/{id}',
    operationId: 'reportTraining',
    summary: 'Reports that a training started, or how it ended: START or end of its OpenLineage run',
    tags: ['lineage'],
    security: keySecurity,
    request: {
      params: z.object({ model: z.string().max(64), id: z.uuid() }),
      body: { required: true, content: { 'application/json': { schema: TrainingReport } } },
    },
    responses: {
      200: json('The state of the run. A repeated report changes nothing.', RunAnswer),
      404: problem('The catalog declares no such model.'),
      409: problem('The run has already ended differently.'),
      503: problem('The database does not answer.'),
    },
  });
  app.put('/v1/admin/models/:model/trainings/:id', async (c) => {
    const body = await readJson(c.req.raw, { bytesMax: BODY_BYTES_MAX, types: ['application/json'] });
    const model = gateway.catalog.models.find(({ name }) => name === c.req.param('model'));
    if (model === undefined)
      throw new Failure('unknown_model', 'The catalog declares no such model.', { pointer: 'model' });
    const id = z.uuid().safeParse(c.req.param('id'));
    if (!id.success)
      throw new Failure('invalid_request', 'The id of a run must be a UUID.', { pointer: 'id' });
    const report = parsed(TrainingReport, body);
    const state = await trainingsOf(c).report(id.data, model.name, report);
    const answer: z.output<typeof RunAnswer> = { run: id.data, state };
    return c.json(answer);
  });

  app.openAPIRegistry.registerPath({
    method: 'post',
    path: '/v1/admin/lineage/sweep',
    operationId: 'sweepLineage',
    summary: 'Ends the runs whose time is over, and deletes old runs; the cron does so each minute',
    tags: ['lineage'],
    security: keySecurity,
    responses: {
      200: json('The numbers of runs that were started, ended, aborted and deleted.', SweepAnswer),
    },
  });
  app.post('/v1/admin/lineage/sweep', async (c) => {
    const answer: z.output<typeof SweepAnswer> = await trainingsOf(c).sweep();
    return c.json(answer);
  });
}
