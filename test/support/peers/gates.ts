import * as z from 'zod';
import { GATE_NAMES } from '../../../src/operations/gates/verdict.ts';
import type { Stack } from '../node/stack.ts';

const Gates = z.object({
  open: z.object({ cache: z.boolean(), inference: z.boolean() }),
  gates: z.array(
    z.object({
      gate: z.enum(GATE_NAMES),
      phase: z.string(),
      holds: z.boolean().nullable(),
      measured: z.record(z.string(), z.unknown()),
      reason: z.string().nullable(),
    }),
  ),
});

/** The gates of a stack, measured now, by name. */
export async function gatesAt({ caller }: Pick<Stack, 'caller'>) {
  const { status, json } = await caller.ask('GET', '/v1/gates', { headers: { isolate: 'operator' } });
  if (status !== 200) throw new Error(`GET /v1/gates answered ${status}.`);
  const { open, gates } = Gates.parse(json);
  return { open, json, by: new Map(gates.map((gate) => [gate.gate, gate])) };
}
