import { type OpenAPIHono, z } from '@hono/zod-openapi';
import type { Context } from 'hono';
import { type CollectPorts, collectEvidence } from '../../operations/gates/collect.ts';
import type { InventoryFacts } from '../../operations/gates/evidence.ts';
import { gateNamesOf, judgeGates, sourcesOf } from '../../operations/gates/gates.ts';
import { GATE_NAMES, type GateVerdict, type GuardedPhase } from '../../operations/gates/verdict.ts';
import type { AppEnv, Gateway, PortsOf } from '../context.ts';
import { inventoryFacts } from '../contract/inventory.ts';
import { json, keySecurity } from '../openapi.ts';

export interface GateRoutePorts extends CollectPorts {
  readonly now: () => number;
}

const Figures = z.record(z.string(), z.union([z.number(), z.string()]).nullable());
const Holds = z.boolean().nullable();
const Gate = z
  .object({
    gate: z.enum(GATE_NAMES),
    phase: z
      .enum(['cache', 'inference'])
      .openapi({ description: 'the phase that is not switched on unless this gate holds' }),
    statement: z.string(),
    holds: Holds.openapi({ description: 'null if the evidence does not suffice; such a gate is not open' }),
    measured: Figures.openapi({ description: 'by name; null for a figure that is not known' }),
    required: Figures.openapi({ description: 'what the figures are compared with' }),
    evidence: z
      .array(z.object({ fact: z.string(), holds: Holds, detail: z.string() }))
      .openapi({ description: 'what was looked at' }),
    reason: z.string().nullable().openapi({ description: 'why it is not open; null if it is' }),
  })
  .openapi('Gate');
const Gates = z
  .object({
    at: z.iso.datetime().openapi({ description: "the worker's clock" }),
    open: z
      .object({ cache: z.boolean(), inference: z.boolean() })
      .openapi({ description: 'whether all gates of the phase hold' }),
    gates: z.array(Gate),
  })
  .openapi('Gates');

/** Measures the gates of a phase, or all of them. It ends within two seconds, whatever hangs. */
export type MeasureGates = (c: Context<AppEnv>, phase?: GuardedPhase) => Promise<GateVerdict[]>;

/** How routes measure gates. Call the result once all routes are registered: the inventory is a gate. */
export function gatesBy(
  { catalog }: Pick<Gateway, 'catalog'>,
  apps: readonly Pick<OpenAPIHono<AppEnv>, 'routes' | 'openAPIRegistry'>[],
  portsOf: PortsOf<GateRoutePorts>,
): MeasureGates {
  let inventory: InventoryFacts | undefined;
  return async (c, phase) => {
    const [app] = apps;
    if (app === undefined) throw new Error('There is no app whose routes could be listed.');
    inventory ??= inventoryFacts(apps, app.openAPIRegistry);
    const names = gateNamesOf(phase);
    const evidence = await collectEvidence(sourcesOf(names), { catalog, inventory }, portsOf(c));
    return judgeGates(names, evidence);
  };
}

/** Shows the gates between the phases, measured now. */
export function registerGates(
  app: OpenAPIHono<AppEnv>,
  gateway: Gateway,
  portsOf: PortsOf<GateRoutePorts>,
  measure: MeasureGates,
): void {
  app.openAPIRegistry.registerPath({
    method: 'get',
    path: '/v1/gates',
    operationId: 'getGates',
    summary: 'Measures the gates between the phases now, each with its evidence; answers within two seconds',
    tags: ['operations'],
    security: keySecurity,
    responses: { 200: json('The gates. A source that does not answer leaves a gate unknown.', Gates) },
  });
  app.get('/v1/gates', gateway.authorize, async (c) => {
    const at = new Date(portsOf(c).now()).toISOString();
    const gates = await measure(c);
    const isOpen = (phase: GuardedPhase) =>
      gates.every((gate) => gate.phase !== phase || gate.holds === true);
    const answer: z.output<typeof Gates> = {
      ...{ at, open: { cache: isOpen('cache'), inference: isOpen('inference') } },
      gates: gates.map(({ measured, required, evidence, ...gate }) => ({
        ...{ ...gate, measured: { ...measured }, required: { ...required } },
        evidence: evidence.map((fact) => ({ ...fact })),
      })),
    };
    return c.json(answer, 200, { 'cache-control': 'no-store' });
  });
}
