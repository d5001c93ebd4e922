import { type OpenAPIHono, z } from '@hono/zod-openapi';
import { formatToken, type Token } from '../../cache/clock/clock.ts';
import { principalName } from '../../define/principal.ts';
import { closedIn } from '../../operations/gates/gates.ts';
import {
  APPROVAL_MS,
  type ApprovalRefusal,
  type PhaseAsk,
  type PhaseRecord,
  type PhaseSwitch,
} from '../../operations/phases/record.ts';
import { Failure } from '../../platform/failure.ts';
import {
  PHASE_BOUND_MS,
  PHASE_NAMES,
  PHASE_STATES,
  type PhaseName,
  type PhaseStates,
} from '../../platform/phases.ts';
import { holderOf } from '../audit/action.ts';
import { parsed, readJson } from '../body.ts';
import type { AppEnv, Gateway, PortsOf } from '../context.ts';
import { json, keySecurity, problem } from '../openapi.ts';
import type { MeasureGates } from './gates.ts';

const BODY_BYTES_MAX = 4_096;
const REASON_CHARACTERS_MAX = 512;

const Entry = z
  .object({
    state: z.enum(PHASE_STATES),
    at: z.iso.datetime().nullable().openapi({ description: 'when it was switched; null if it never was' }),
    by: z.string().nullable().openapi({ description: 'the principal who switched it' }),
    reason: z.string().nullable(),
    approvedBy: z.string().nullable().openapi({
      description: 'who approved the switch although gates did not hold; null if they did',
    }),
    asked: z
      .object({
        by: z.string(),
        at: z.iso.datetime(),
        until: z.iso.datetime().openapi({ description: 'the end of the time for an approval' }),
        reason: z.string(),
        gates: z.array(z.string()).openapi({ description: 'the gates that did not hold' }),
      })
      .nullable()
      .openapi({ description: 'a switch to `on` that waits for a second principal' }),
  })
  .openapi('PhaseEntry');
const Phases = z
  .object({
    effectiveWithinMs: z.int().openapi({
      description: 'a request that begins this long after the answer to a switch sees the switch',
    }),
    phases: z.object({ pipeline: Entry, cache: Entry, inference: Entry }),
    waiting: z
      .object({
        queued: z
          .record(z.string(), z.int())
          .nullable()
          .openapi({ description: 'items of each queue that tells; null if none does' }),
        unrelayed: z.int().nullable().openapi({
          description: 'stored changes that are not relayed yet; null if the database does not tell in time',
        }),
      })
      .openapi({ description: 'what was accepted before, and is still stored whatever is switched off' }),
  })
  .openapi('Phases');
const Wanted = z.strictObject({
  state: z.enum(PHASE_STATES),
  reason: z.string().trim().min(1).max(REASON_CHARACTERS_MAX),
  override: z.boolean().optional().openapi({
    description:
      'whether to ask a second principal where gates of the phase do not hold. Only a switch to `on` is ever refused',
  }),
});

export interface PhasePorts {
  /** The states, at most two seconds old; without the clock the last known ones. It never fails. */
  readonly states: () => PhaseStates | Promise<PhaseStates>;
  /** Who switched which phase, when and why. @throws Failure `clock_unavailable` */
  readonly record: () => Promise<PhaseRecord>;
  /** Returns once the root clock has the switch on disk. @throws Failure `clock_unavailable` */
  readonly change: (change: PhaseSwitch) => Promise<{ readonly record: PhaseRecord; readonly token: Token }>;
  /** Records a switch that waits for a second principal. @throws Failure `clock_unavailable` */
  readonly ask: (ask: PhaseAsk) => Promise<{ readonly record: PhaseRecord; readonly token: Token }>;
  /** Makes the switch that waits. @throws Failure `clock_unavailable` */
  readonly approve: (
    approval: Pick<PhaseSwitch, 'phase' | 'by'>,
  ) => Promise<
    { readonly record: PhaseRecord; readonly token: Token } | { readonly refused: ApprovalRefusal }
  >;
  /** What is accepted and not stored yet, as far as it is told in time. It never fails. */
  readonly waiting: () => Promise<z.output<typeof Phases>['waiting']>;
}

const UNANSWERED =
  'The database does not take the entry of the audit log, or the tag clock does not answer. You can safely send the request again.';
const NO_STORE = { 'cache-control': 'no-store' };

/** Shows the phases, and switches one of them on, off or to its degraded state. Gates guard the switch to `on`. */
export function registerPhases(
  app: OpenAPIHono<AppEnv>,
  gateway: Gateway,
  portsOf: PortsOf<PhasePorts>,
  measure: MeasureGates,
): void {
  app.openAPIRegistry.registerPath({
    method: 'get',
    path: '/v1/admin/phases',
    operationId: 'getPhases',
    summary: 'Shows the state of each phase, who switched it and why, and what is still waiting to be stored',
    tags: ['admin'],
    security: keySecurity,
    responses: {
      200: json('The phases.', Phases),
      503: problem('The tag clock does not answer.'),
    },
  });
  app.get('/v1/admin/phases', async (c) => {
    const ports = portsOf(c);
    const [record, waiting] = await Promise.all([ports.record(), ports.waiting()]);
    return c.json(shown(record, waiting), 200, NO_STORE);
  });
  registerSwitch(app, gateway, portsOf, measure);
  registerApproval(app, gateway, portsOf);
}

function registerSwitch(
  app: OpenAPIHono<AppEnv>,
  gateway: Gateway,
  portsOf: PortsOf<PhasePorts>,
  measure: MeasureGates,
): void {
  app.openAPIRegistry.registerPath({
    method: 'put',
    path: '/v1/admin/phases/{phase}',
    operationId: 'switchPhase',
    summary: 'Switches a phase on, off, or to its degraded state; everywhere within two seconds',
    tags: ['admin'],
    security: keySecurity,
    request: {
      params: z.object({ phase: z.enum(PHASE_NAMES) }),
      body: { required: true, content: { 'application/json': { schema: Wanted } } },
    },
    responses: {
      200: json('Switched, or in this state already.', Phases, ['Millrace-Token']),
      202: json('Gates do not hold; the switch waits for a second principal.', Phases, ['Millrace-Token']),
      404: problem('There is no such phase.'),
      409: problem('Gates of the phase do not hold, or are not known: the detail names them.'),
      503: problem(UNANSWERED),
    },
  });
  app.put('/v1/admin/phases/:phase', async (c) => {
    const phase = phaseIn(c.req.param('phase'));
    const body = await readJson(c.req.raw, { bytesMax: BODY_BYTES_MAX, types: ['application/json'] });
    const { override = false, ...wanted } = parsed(Wanted, body);
    const ports = portsOf(c);
    const change: PhaseSwitch = { phase, ...wanted, by: principalName(holderOf(c)) };
    let known: PhaseRecord | undefined;
    const before = async () => {
      known = await ports.record();
      return known[phase];
    };
    const detail = { ...wanted, ...(override ? { override } : {}) };
    const action = { action: 'phase.switch', target: phase, detail, before };
    const { record, token, isWaiting } = await gateway.audited(c, action, async () => {
      // Nothing guards the pipeline, which is the first phase, nor a phase that is on.
      const isGuarded = wanted.state === 'on' && phase !== 'pipeline' && known?.[phase].state !== 'on';
      const verdicts = isGuarded ? await measure(c, phase) : [];
      const closed = closedIn(verdicts);
      if (closed !== undefined && !override) throw gatesClosed(closed);
      const gates = verdicts.filter(({ holds }) => holds !== true).map(({ gate }) => gate);
      const isAsk = closed !== undefined;
      const made = isAsk ? await ports.ask({ ...change, gates }) : await ports.change(change);
      return { result: { ...made, isWaiting: isAsk }, after: made.record[phase] };
    });
    const answer = shown(record, await ports.waiting());
    return c.json(answer, isWaiting ? 202 : 200, { 'millrace-token': formatToken(token), ...NO_STORE });
  });
}

function gatesClosed(closed: string): Failure {
  return new Failure(
    'phase_gates_closed',
    `${closed} Send \`"override": true\` to ask a second principal. GET /v1/gates has the evidence.`,
  );
}

function registerApproval(app: OpenAPIHono<AppEnv>, gateway: Gateway, portsOf: PortsOf<PhasePorts>): void {
  app.openAPIRegistry.registerPath({
    method: 'post',
    path: '/v1/admin/phases/{phase}/approve',
    operationId: 'approvePhase',
    summary: 'Approves the switch of a phase whose gates do not hold: it is on then',
    tags: ['admin'],
    security: keySecurity,
    request: { params: z.object({ phase: z.enum(PHASE_NAMES) }) },
    responses: {
      200: json('Switched on.', Phases, ['Millrace-Token']),
      404: problem('There is no such phase.'),
      409: problem('Nobody has asked within the last hour, or the same principal would ask and approve.'),
      503: problem(UNANSWERED),
    },
  });
  app.post('/v1/admin/phases/:phase/approve', async (c) => {
    const phase = phaseIn(c.req.param('phase'));
    const ports = portsOf(c);
    const before = async () => (await ports.record())[phase];
    const action = { action: 'phase.approve', target: phase, before };
    const { record, token } = await gateway.audited(c, action, async () => {
      const made = await ports.approve({ phase, by: principalName(holderOf(c)) });
      if ('refused' in made) throw new Failure('phase_approval_refused', REFUSALS[made.refused]);
      return { result: made, after: made.record[phase] };
    });
    const answer = shown(record, await ports.waiting());
    return c.json(answer, 200, { 'millrace-token': formatToken(token), ...NO_STORE });
  });
}

const REFUSALS: Readonly<Record<ApprovalRefusal, string>> = {
  nothing_asked: 'No switch of this phase waits for an approval.',
  too_late: 'The switch was asked for more than an hour ago. Ask again: the gates may have changed.',
  same_principal: 'Who asks for a switch cannot approve it.',
};

function phaseIn(name: string): PhaseName {
  const phase = PHASE_NAMES.find((known) => known === name);
  if (phase !== undefined) return phase;
  throw new Failure('not_found', `The phases are ${PHASE_NAMES.join(', ')}.`, { pointer: 'phase' });
}

function shown(
  { pipeline, cache, inference }: PhaseRecord,
  waiting: z.output<typeof Phases>['waiting'],
): z.output<typeof Phases> {
  const at = (ms: number) => new Date(ms).toISOString();
  const entry = ({ atMs, asked, ...of }: PhaseRecord[PhaseName]) => ({
    ...of,
    at: atMs === null ? null : at(atMs),
    asked:
      asked === null
        ? null
        : {
            ...{ by: asked.by, reason: asked.reason, gates: asked.gates },
            ...{ at: at(asked.atMs), until: at(asked.atMs + APPROVAL_MS) },
          },
  });
  return {
    effectiveWithinMs: PHASE_BOUND_MS,
    phases: { pipeline: entry(pipeline), cache: entry(cache), inference: entry(inference) },
    waiting,
  };
}
