import { type OpenAPIHono, z } from '@hono/zod-openapi';
import type { Context } from 'hono';
import { formatToken, type Token } from '../../cache/clock/clock.ts';
import type { ModelDefinition } from '../../define/model.ts';
import { type RolloutPlan, RolloutPlanSchema } from '../../define/rollout.ts';
import { EvidenceRecord, missingOf, STAGES } from '../../inference/rollout/evidence.ts';
import { isUnderWay } from '../../inference/rollout/moves.ts';
import { Failure } from '../../platform/failure.ts';
import type { RolloutRow } from '../../storage/postgres/model-rollouts.ts';
import { auditingOwn } from '../audit/action.ts';
import { parsed, readJson } from '../body.ts';
import type { AppEnv, Gateway, PortsOf } from '../context.ts';
import { ModelName, VersionName } from '../models/schemas.ts';
import { json, keySecurity, problem } from '../openapi.ts';
import { modelAt } from './admin-models.ts';

const BODY_BYTES_MAX = 4_096;
const STEPS_MAX = 50;
const UNANSWERED = 'The database or the tag clock does not answer. You can safely send the request again.';
const CONFLICT = 'The rollout is elsewhere, or there is none, or the same person would start and approve it.';

const Step = z
  .object({
    id: z.int(),
    rollout: z.string(),
    stage: z.enum(STAGES),
    share: z.number().openapi({ description: 'the percentage of the entities that the version answers for' }),
    version: z.string(),
    base: z.string().openapi({ description: 'the champion that it is compared with' }),
    reason: z.string(),
    at: z.string(),
    by: z.string(),
    evidence: EvidenceRecord,
  })
  .openapi('RolloutStep');
const Exclusion = z
  .object({
    odds: z.number().openapi({ description: 'its odds of a miss, as a multiple of the tolerated ones' }),
    passes: z
      .number()
      .openapi({ description: 'the probability, at most, that such a version passes the share' }),
    passesNow: z.number().openapi({ description: 'the bound on it as of the labels that have come' }),
  })
  .openapi('RolloutExclusion');
const WaitsFor = z
  .object({
    requests: z.int().openapi({ description: 'answers of the new version' }),
    labels: z.int().openapi({ description: 'its answers whose labels are known' }),
    seconds: z.number(),
    labelsFrom: z.string().nullable().openapi({
      description: 'when the first labels of the step can be known; null if it waits for none',
    }),
    exclusion: z
      .union([Exclusion, z.null()])
      .openapi({ description: 'the bad version that the share has yet to exclude' }),
  })
  .openapi('RolloutWaitsFor');
const Rollout = z
  .object({
    name: z.string(),
    plan: RolloutPlanSchema.nullable().openapi({ description: 'as the model declares it now' }),
    isUnderWay: z.boolean(),
    steps: z.array(Step).openapi({ description: 'the newest first' }),
    live: z.union([EvidenceRecord, z.null()]).openapi({
      description:
        'what has been seen since the newest step; null if no rollout is under way, or it is not known',
    }),
    waitsFor: z.union([WaitsFor, z.null()]).openapi({
      description: 'what the step still has to see; null if `live` is, or it waits for a person',
    }),
  })
  .openapi('Rollout');
const Starting = z.strictObject({ version: VersionName });
const Moved = z.object({ name: z.string(), version: z.string(), stage: z.enum(STAGES) });
const Limit = z.strictObject({ limit: z.coerce.number().int().min(1).max(STEPS_MAX).default(20) });

/** All of them throw Failure `database_unavailable`; those that change something `clock_unavailable` too. */
export interface RolloutRoutePorts {
  /** The newest first. */
  readonly steps: (model: string, limit: number) => Promise<RolloutRow[]>;
  /** What has been seen since the newest step; null if it is not known. */
  readonly live: (
    model: string,
  ) => Promise<{ readonly rollout: string; readonly record: EvidenceRecord } | null>;
  readonly aliased: (model: string, alias: 'champion') => Promise<string | null>;
  /** @returns undefined if the registry is elsewhere. */
  readonly begin: (beginning: NewRollout, principal: string) => Promise<Token | undefined>;
  /** @returns undefined if the registry is elsewhere. */
  readonly end: (
    row: RolloutRow,
    to: { readonly stage: 'champion' | 'rolled_back'; readonly reason: 'approved' | 'aborted' },
    principal: string,
  ) => Promise<Token | undefined>;
}

interface NewRollout {
  readonly model: string;
  readonly version: string;
  readonly base: string;
  readonly plan: RolloutPlan;
  readonly hasLabels: boolean;
  /** The id of the model's newest step; null if there is none. */
  readonly after: number | null;
}

/** Shows rollouts with their evidence, starts them by hand, ends them and approves them. */
export function registerRollouts(
  app: OpenAPIHono<AppEnv>,
  gateway: Gateway,
  portsOf: PortsOf<RolloutRoutePorts>,
): void {
  registerShown(app, gateway, portsOf);
  registerStart(app, gateway, portsOf);
  registerEnd(app, gateway, portsOf, 'abort');
  registerEnd(app, gateway, portsOf, 'approve');
}

function registerShown(
  app: OpenAPIHono<AppEnv>,
  gateway: Gateway,
  portsOf: PortsOf<RolloutRoutePorts>,
): void {
  app.openAPIRegistry.registerPath({
    method: 'get',
    path: '/v1/admin/models/{model}/rollout',
    operationId: 'getRollout',
    summary: 'Shows where the rollout of a model is, and the evidence of each step',
    tags: ['admin'],
    security: keySecurity,
    request: { params: z.object({ model: ModelName }), query: Limit },
    responses: {
      200: json('The rollout.', Rollout),
      404: problem('The catalog declares no such model.'),
      503: problem(UNANSWERED),
    },
  });
  app.get('/v1/admin/models/:model/rollout', async (c) => {
    const definition = modelAt(c, gateway);
    const { name, rollout: plan = null } = definition;
    const { limit } = parsed(Limit, c.req.query());
    const ports = portsOf(c);
    const [rows, seen] = await Promise.all([ports.steps(name, limit), ports.live(name)]);
    const [newest] = rows;
    const isRunning = newest !== undefined && isUnderWay(newest.stage);
    const live = isRunning && seen?.rollout === newest.rollout ? seen.record : null;
    const waitsFor = live === null ? null : waitingFor(definition, live);
    const shown = { name, plan, isUnderWay: isRunning, steps: rows.map(stepShown), live, waitsFor };
    return c.json(shown, 200, { 'cache-control': 'no-store' });
  });
}

/** What a step still has to see; null if it waits for a person. */
function waitingFor(
  { policy, feedback }: Pick<ModelDefinition, 'policy' | 'feedback'>,
  live: EvidenceRecord,
): z.output<typeof WaitsFor> | null {
  const missing = missingOf(live);
  if (missing === undefined) return null;
  const { requests, labels, ms, exclusion } = missing;
  // In the first `ttlS` of a step no trial begins.
  const fromMs = feedback && live.stepBeganMs + 1_000 * policy.ttlS + feedback.withinMs + feedback.lateMs;
  const needsLabels = labels > 0 || exclusion !== null;
  const labelsFrom = !needsLabels || fromMs === undefined ? null : new Date(fromMs).toISOString();
  return { requests, labels, seconds: ms / 1_000, labelsFrom, exclusion };
}

function stepShown({ changedAt: at, changedBy: by, evidence, step: _, ...row }: RolloutRow) {
  return { ...Step.omit({ evidence: true }).parse({ ...row, at, by }), evidence };
}

function registerStart(
  app: OpenAPIHono<AppEnv>,
  gateway: Gateway,
  portsOf: PortsOf<RolloutRoutePorts>,
): void {
  app.openAPIRegistry.registerPath({
    method: 'post',
    path: '/v1/admin/models/{model}/rollout',
    operationId: 'startRollout',
    summary: 'Starts the rollout of a registered version, in the shadow',
    tags: ['admin'],
    security: keySecurity,
    request: {
      params: z.object({ model: ModelName }),
      body: { required: true, content: { 'application/json': { schema: Starting } } },
    },
    responses: {
      201: json('The rollout is under way.', Moved, ['Millrace-Token']),
      404: problem('The catalog declares no such model.'),
      409: problem(
        'Another rollout is under way, no version answers yet, the version answers already, or it is not registered.',
      ),
      422: problem('The model declares no rollout.'),
      503: problem(UNANSWERED),
    },
  });
  app.post('/v1/admin/models/:model/rollout', async (c) => {
    const body = await readJson(c.req.raw, { bytesMax: BODY_BYTES_MAX, types: ['application/json'] });
    const { name, plan, hasLabels } = rollingAt(c, gateway);
    const { version } = parsed(Starting, body);
    const ports = portsOf(c);
    const [newest] = await ports.steps(name, 1);
    if (newest !== undefined && isUnderWay(newest.stage))
      throw conflict(`The rollout of ${newest.version} is under way. Abort it first.`);
    const base = await ports.aliased(name, 'champion');
    if (base === null)
      throw conflict('No version answers yet, so there is nothing to compare with. Promote the first one.');
    if (base === version) throw conflict('The version is the champion already.');
    const beginning = { model: name, version, base, plan, hasLabels, after: newest?.id ?? null };
    const token = await ports.begin(beginning, auditingOwn(c));
    if (token === undefined)
      throw conflict('No such version is registered, it was withdrawn, or another request was first.');
    return c.json({ name, version, stage: 'shadow' as const }, 201, { 'millrace-token': formatToken(token) });
  });
}

const ENDS = {
  abort: {
    stage: 'rolled_back',
    reason: 'aborted',
    operationId: 'abortRollout',
    summary: 'Ends a rollout: the champion answers for all entities again',
  },
  approve: {
    stage: 'champion',
    reason: 'approved',
    operationId: 'approveRollout',
    summary: 'Approves a rollout that waits for it: the version becomes the champion',
  },
} as const;

function registerEnd(
  app: OpenAPIHono<AppEnv>,
  gateway: Gateway,
  portsOf: PortsOf<RolloutRoutePorts>,
  verb: keyof typeof ENDS,
): void {
  const { stage, reason, operationId, summary } = ENDS[verb];
  app.openAPIRegistry.registerPath({
    method: 'post',
    path: `/v1/admin/models/{model}/rollout/${verb}`,
    operationId,
    summary,
    tags: ['admin'],
    security: keySecurity,
    request: { params: z.object({ model: ModelName }) },
    responses: {
      200: json('The rollout has ended.', Moved, ['Millrace-Token']),
      404: problem('The catalog declares no such model.'),
      409: problem(CONFLICT),
      422: problem('The model declares no rollout.'),
      503: problem(UNANSWERED),
    },
  });
  app.post(`/v1/admin/models/:model/rollout/${verb}`, async (c) => {
    const { name } = rollingAt(c, gateway);
    const ports = portsOf(c);
    const [newest] = await ports.steps(name, 1);
    if (newest === undefined || !isUnderWay(newest.stage)) throw conflict('No rollout is under way.');
    const principal = auditingOwn(c);
    if (verb === 'approve') {
      if (newest.stage !== 'waiting') throw conflict('The rollout does not wait for an approval.');
      if (EvidenceRecord.parse(newest.evidence).startedBy === principal)
        throw conflict('Who started a rollout cannot approve it.');
    }
    const token = await ports.end(newest, { stage, reason }, principal);
    if (token === undefined) throw conflict('The rollout took a step meanwhile. Look at it again.');
    return c.json({ name, version: newest.version, stage }, 200, { 'millrace-token': formatToken(token) });
  });
}

/** @throws Failure `unknown_model`; `unprocessable` if the model declares no rollout. */
function rollingAt(
  c: Context<AppEnv>,
  gateway: Gateway,
): Pick<ModelDefinition, 'name'> & { readonly plan: RolloutPlan; readonly hasLabels: boolean } {
  const { name, rollout: plan, feedback } = modelAt(c, gateway);
  if (plan !== undefined) return { name, plan, hasLabels: feedback !== undefined };
  throw new Failure(
    'unprocessable',
    `"${name}" declares no \`rollout\`. Let an alias name the version instead.`,
    {
      pointer: 'model',
    },
  );
}

function conflict(detail: string): Failure {
  return new Failure('rollout_conflict', detail);
}
