import { type OpenAPIHono, z } from '@hono/zod-openapi';
import { formatToken, type Token } from '../../cache/clock/clock.ts';
import { principalName } from '../../define/principal.ts';
import type { PhaseRecord, PhaseSwitch } from '../../operations/phases/record.ts';
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

const BODY_BYTES_MAX = 4_096;
const REASON_CHARACTERS_MAX = 512;

const Entry = z
  .object({
    state: z.enum(PHASE_STATES),
    at: z.iso.datetime().nullable().openapi({ description: 'when it was switched; null if it never was' }),
    by: z.string().nullable().openapi({ description: 'the principal who switched it' }),
    reason: z.string().nullable(),
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
});

export interface PhasePorts {
  /** The states, at most two seconds old; without the clock the last known ones. It never fails. */
  readonly states: () => PhaseStates | Promise<PhaseStates>;
  /** Who switched which phase, when and why. @throws Failure `clock_unavailable` */
  readonly record: () => Promise<PhaseRecord>;
  /** Returns once the root clock has the switch on disk. @throws Failure `clock_unavailable` */
  readonly change: (change: PhaseSwitch) => Promise<{ readonly record: PhaseRecord; readonly token: Token }>;
  /** What is accepted and not stored yet, as far as it is told in time. It never fails. */
  readonly waiting: () => Promise<z.output<typeof Phases>['waiting']>;
}

/** Shows the phases, and switches one of them on, off or to its degraded state. */
export function registerPhases(
  app: OpenAPIHono<AppEnv>,
  gateway: Gateway,
  portsOf: PortsOf<PhasePorts>,
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
    return c.json(shown(record, waiting), 200, { 'cache-control': 'no-store' });
  });

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
      404: problem('There is no such phase.'),
      503: problem(
        'The database does not take the entry of the audit log, or the tag clock does not answer. You can safely send the request again.',
      ),
    },
  });
  app.put('/v1/admin/phases/:phase', async (c) => {
    const phase = phaseIn(c.req.param('phase'));
    const body = await readJson(c.req.raw, { bytesMax: BODY_BYTES_MAX, types: ['application/json'] });
    const wanted = parsed(Wanted, body);
    const ports = portsOf(c);
    const change: PhaseSwitch = { phase, ...wanted, by: principalName(holderOf(c)) };
    const before = async () => (await ports.record())[phase];
    const action = { action: 'phase.switch', target: phase, detail: wanted, before };
    const { record, token } = await gateway.audited(c, action, async () => {
      const result = await ports.change(change);
      return { result, after: result.record[phase] };
    });
    const answer = shown(record, await ports.waiting());
    return c.json(answer, 200, { 'millrace-token': formatToken(token), 'cache-control': 'no-store' });
  });
}

function phaseIn(name: string): PhaseName {
  const phase = PHASE_NAMES.find((known) => known === name);
  if (phase !== undefined) return phase;
  throw new Failure('not_found', `The phases are ${PHASE_NAMES.join(', ')}.`, { pointer: 'phase' });
}

function shown(
  { pipeline, cache, inference }: PhaseRecord,
  waiting: z.output<typeof Phases>['waiting'],
): z.output<typeof Phases> {
  const entry = ({ atMs, ...of }: PhaseRecord[PhaseName]) => ({
    ...of,
    at: atMs === null ? null : new Date(atMs).toISOString(),
  });
  return {
    effectiveWithinMs: PHASE_BOUND_MS,
    phases: { pipeline: entry(pipeline), cache: entry(cache), inference: entry(inference) },
    waiting,
  };
}
