import { afterAll, beforeAll, expect, it } from 'vitest';
import * as z from 'zod';
import { WRITTEN_EXAMPLES } from '../../src/gateway/contract/written-examples.ts';
import { GATE_NAMES } from '../../src/operations/gates/verdict.ts';
import { differences } from '../support/gateway/agree.ts';
import { IS_PART } from '../support/node/part.ts';
import { eventually, type Stack, startStack } from '../support/node/stack.ts';
import { Operators } from '../support/peers/operators.ts';
import { purchaseOf } from './purchases.ts';

const Gates = z.object({
  open: z.object({ cache: z.boolean(), inference: z.boolean() }),
  gates: z.array(
    z.object({
      gate: z.enum(GATE_NAMES),
      phase: z.string(),
      holds: z.boolean().nullable(),
      measured: z.record(z.string(), z.unknown()),
      evidence: z.array(z.object({ fact: z.string(), holds: z.boolean().nullable(), detail: z.string() })),
      reason: z.string().nullable(),
    }),
  ),
});
const Phases = z.object({
  phases: z.record(z.string(), z.looseObject({ state: z.string(), approvedBy: z.string().nullable() })),
});

let stack: Stack;
let operators: Operators;
beforeAll(async () => {
  // A minute of the objectives takes a second, so that they have been measured soon.
  stack = await startStack({ ALERTS_MINUTE_MS: '1000' }, { capture: true });
  operators = await Operators.of(stack);
});
afterAll(async () => await stack[Symbol.asyncDispose]());

async function gates() {
  const { status, json } = await stack.caller.ask('GET', '/v1/gates');
  expect(status).toBe(200);
  const { open, gates: all } = Gates.parse(json);
  return { open, json, by: new Map(all.map((gate) => [gate.gate, gate])) };
}
const put = async (phase: string, json: object) => {
  const answer = await stack.caller.ask('PUT', `/v1/admin/phases/${phase}`, { json });
  return { ...answer, phase: () => Phases.parse(answer.json).phases[phase] };
};
const reason = 'a test';

it('every gate is measured, and has a reason where it does not hold', async () => {
  // The first statements of a stack are slow, and what is late is not known.
  const { by, json } = await eventually(gates, (of) => of.by.get('history')?.holds === false);
  expect([...by.keys()]).toEqual([...GATE_NAMES]);
  for (const { gate, holds, reason: why } of by.values())
    expect([gate, why === null]).toEqual([gate, holds === true]);
  expect(by.get('history')).toMatchObject({ phase: 'inference', holds: false, measured: { days: 0 } });
  expect(by.get('hit_ratio')).toMatchObject({ holds: null });
  expect(by.get('api_inventory')).toMatchObject({ holds: true, measured: { undocumented: 0 } });
  expect(differences(WRITTEN_EXAMPLES['getGates']?.['200'], json)).toEqual([]);
});

it('a gate that does not hold refuses to switch its phase on, and nothing else', async () => {
  expect((await put('inference', { state: 'degraded', reason })).status).toBe(200);
  const refused = await put('inference', { state: 'on', reason });
  expect([refused.status, refused.json['code']]).toEqual([409, 'phase_gates_closed']);
  expect(refused.json['detail']).toMatch(/do not hold: .*hit_ratio \(.*history \(/);
  expect((await put('inference', { state: 'off', reason })).status).toBe(200);
  for (const state of ['off', 'degraded', 'on'])
    expect([state, (await put('pipeline', { state, reason })).status]).toEqual([state, 200]);
});

it('a second principal overrides what the gates say, and only a second one', async () => {
  const asked = await put('inference', { state: 'on', reason, override: true });
  expect(asked.status).toBe(202);
  expect(asked.phase()).toMatchObject({
    ...{ state: 'off', approvedBy: null },
    asked: { by: 'key:bootstrap', reason, gates: expect.arrayContaining(['history', 'hit_ratio']) },
  });
  const own = await stack.caller.ask('POST', '/v1/admin/phases/inference/approve');
  expect([own.status, own.json['code']]).toEqual([409, 'phase_approval_refused']);
  const approved = await operators.approve('inference');
  expect(approved.status).toBe(200);
  expect(Phases.parse(approved.json).phases['inference']).toMatchObject({
    ...{ state: 'on', by: 'key:bootstrap', approvedBy: expect.stringMatching(/^key:/), asked: null },
  });
  expect(differences(WRITTEN_EXAMPLES['approvePhase']?.['200'], approved.json)).toEqual([]);
  // A phase that is on stays on without a question.
  expect((await put('inference', { state: 'on', reason })).status).toBe(200);
  expect((await operators.approve('inference')).status).toBe(409);
});

it.skipIf(IS_PART)('a phase whose gates hold is switched on by one principal', async () => {
  const headers = { 'content-type': 'application/cloudevents-batch+json' };
  const batch = Array.from({ length: 100 }, (_, at) => purchaseOf(`C${at}`, '10001A'));
  await stack.caller.ask('POST', '/v1/events', { json: batch, headers });
  await Promise.all(Array.from({ length: 120 }, () => stack.fetch('/health/live')));
  // The work of each minute, as the platform has it done.
  await stack.scheduled();
  expect((await put('cache', { state: 'off', reason })).status).toBe(200);
  const { by } = await eventually(gates, ({ open }) => open.cache, 60_000);
  expect(by.get('baselines')?.holds).toBe(true);
  expect(by.get('event_schemas')?.measured).toMatchObject({ refused: 0 });
  const switched = await put('cache', { state: 'on', reason });
  expect(switched.status).toBe(200);
  expect(switched.phase()).toMatchObject({ state: 'on', approvedBy: null });
});
