import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import * as z from 'zod';
import { WRITTEN_EXAMPLES } from '../../src/gateway/contract/written-examples.ts';
import { GATE_NAMES } from '../../src/operations/gates/verdict.ts';
import type { PhaseName, PhaseState } from '../../src/platform/phases.ts';
import { PHASE_NAMES } from '../../src/platform/phases.ts';
import { differences } from '../support/gateway/agree.ts';
import { rankerBundle } from '../support/models/ranker.ts';
import { eventually, KEY, type Stack } from '../support/node/stack.ts';
import type { Client } from '../support/peers/client.ts';
import { gatesAt } from '../support/peers/gates.ts';
import { Operators } from '../support/peers/operators.ts';
import { startTroubled } from '../support/peers/troubled.ts';
import { purchaseOf } from './purchases.ts';

const STRONG = { 'millrace-consistency': 'strong' };
const PRODUCT = '/v1/products/10001A';
const SPEND = '/v1/customers/C1/expected-spend';
const RANKING = '/v1/customers/C1/recommendations?limit=2';
/** What a switch promises: requests that begin this long after its answer see it. */
const EFFECTIVE_MS = 2_000;

const Shown = z.object({
  effectiveWithinMs: z.literal(EFFECTIVE_MS),
  phases: z.record(
    z.enum(PHASE_NAMES),
    z.looseObject({
      state: z.string(),
      at: z.string().nullable(),
      by: z.string().nullable(),
      reason: z.string().nullable(),
    }),
  ),
  waiting: z.object({ queued: z.record(z.string(), z.int()).nullable(), unrelayed: z.int().nullable() }),
});

let stack: Stack;
let client: Client;
let operators: Operators;
beforeAll(async () => {
  ({ stack, client } = await startTroubled());
  operators = await Operators.of(stack);
  await client.prepare('publisher', ['PUT', '/v1/admin/models/ranker/champion', rankerBundle()]);
  await client.prepare('publisher', ['PUT', PRODUCT, { description: null, unitPrice: 1 }]);
});
afterEach(async () => {
  await client.trouble({});
  for (const phase of PHASE_NAMES) await change(phase, 'on');
});
afterAll(async () => await stack[Symbol.asyncDispose]());

async function ask(
  isolate: string,
  method: string,
  path: string,
  json?: unknown,
  headers: Readonly<Record<string, string>> = {},
) {
  const sent = { ...(json === undefined ? {} : { json }), headers: { isolate, ...headers } };
  const { status, headers: answered, json: body } = await stack.caller.ask(method, path, sent);
  const of = (name: string) => answered.get(name);
  return {
    ...{ status, body, cache: of('cache-status'), degraded: of('millrace-degraded') },
    ...{ retryAfter: of('retry-after'), code: body['code'] },
  };
}

async function change(phase: PhaseName, state: PhaseState) {
  const { status, json } = await operators.switch(phase, state);
  expect(status).toBe(200);
  return Shown.parse(json);
}

async function shown() {
  return Shown.parse((await ask('another operator', 'GET', '/v1/admin/phases')).body);
}

/** The first answer that fits, and how long after the switch its request began, in milliseconds. */
async function afterSwitch<T>(since: number, request: () => Promise<T>, fits: (answer: T) => boolean) {
  for (;;) {
    const begunMs = performance.now() - since;
    const answer = await request();
    if (fits(answer)) return { answer, begunMs };
    // A request that began within the bound may still see the state before.
    expect(begunMs).toBeLessThan(EFFECTIVE_MS);
  }
}

it('shows who switched what, when and why, and writes it into the audit log', async () => {
  expect((await shown()).phases.cache.state).toBe('on');
  const before = Date.now();
  const answer = await change('cache', 'off');
  const { state, by, reason, at } = answer.phases.cache;
  expect([state, by, reason]).toEqual(['off', 'key:bootstrap', 'a test']);
  expect(Date.parse(at ?? '')).toBeGreaterThanOrEqual(before - 1);
  expect((await shown()).phases).toEqual(answer.phases);
  expect((await change('cache', 'off')).phases).toEqual(answer.phases);
  const audit = await ask('operator', 'GET', '/v1/admin/audit?limit=10');
  expect(JSON.stringify(audit.body)).toContain('"action":"phase.switch"');
});

it('refuses a phase, a state and a body that there are not', async () => {
  const put = async (phase: string, body: unknown) => {
    const { status, code } = await ask('operator', 'PUT', `/v1/admin/phases/${phase}`, body);
    return [status, code];
  };
  expect(await put('core', { state: 'off', reason: 'r' })).toEqual([404, 'not_found']);
  for (const wrong of [{ state: 'away', reason: 'r' }, { state: 'off' }, { state: 'off', reason: ' ' }, 1])
    expect(await put('cache', wrong)).toEqual([400, 'invalid_request']);
  expect((await shown()).phases.cache.state).toBe('on');
});

it('a pipeline that is off refuses events and writes within two seconds, also where nobody reads', async () => {
  const requests = [
    () => ask('takes events', 'POST', '/v1/events', purchaseOf('C1', '10001A'), CLOUD_EVENT),
    () => ask('takes rows', 'PUT', '/v1/products/10002A', { description: null, unitPrice: 2 }),
  ];
  for (const request of requests) expect((await request()).status).toBeLessThan(300);
  await change('pipeline', 'off');
  const since = performance.now();
  const found = await Promise.all(
    requests.map((request) => afterSwitch(since, request, ({ status }) => status === 503)),
  );
  for (const { answer } of found) expect([answer.code, answer.retryAfter]).toEqual(['phase_off', '30']);
  // What is stored can be read, and a switch back lets the same event in.
  expect((await ask('takes rows', 'GET', PRODUCT)).status).toBe(200);
  expect((await ask('takes rows', 'GET', '/v1/events/types')).status).toBe(200);
  await change('pipeline', 'on');
  const back = performance.now();
  for (const request of requests) await afterSwitch(back, request, ({ status }) => status < 300);
});

const CLOUD_EVENT = { 'content-type': 'application/cloudevents+json' };

it('a degraded pipeline takes events by the queue, and makes nobody wait', async () => {
  const send = (isolate: string) =>
    ask(isolate, 'POST', '/v1/events', purchaseOf('C1', '10001A'), {
      ...CLOUD_EVENT,
      prefer: 'wait',
    });
  expect((await send('waits')).status).toBe(201);
  await change('pipeline', 'degraded');
  await afterSwitch(
    performance.now(),
    () => send('waits'),
    ({ status }) => status === 202,
  );
});

it('what was accepted before a pipeline is switched off is stored, and the answers show what is left', async () => {
  const events = Array.from({ length: 40 }, () => purchaseOf('C2', '10001A'));
  const ids = events.map(({ id }) => id);
  const sent = await Promise.all(
    events.map((event) => ask('drains', 'POST', '/v1/events', event, CLOUD_EVENT)),
  );
  expect(sent.map(({ status }) => status)).toEqual(ids.map(() => 202));
  await change('pipeline', 'off');
  const stored = async () => {
    const rows = await stack.sql('select count(*)::int as n from millrace.events where id = any($1)', [ids]);
    return rows[0]?.['n'];
  };
  expect(await eventually(stored, (n) => n === ids.length)).toBe(ids.length);
  await eventually(shown, ({ waiting }) => waiting.unrelayed === 0);
});

it('a cache that is off is gone around, and serves nothing stale when it is on again', async () => {
  const read = (isolate: string) => ask(isolate, 'GET', PRODUCT, undefined, {});
  const write = (unitPrice: number) =>
    client.prepare('writer', ['PUT', PRODUCT, { description: null, unitPrice }]);
  await write(1);
  for (const isolate of ['a', 'b']) await ask(isolate, 'GET', PRODUCT, undefined, STRONG);
  expect((await read('a')).cache).toContain('hit');
  await change('cache', 'off');
  const since = performance.now();
  for (const isolate of ['a', 'b', 'cold'])
    await afterSwitch(
      since,
      () => read(isolate),
      ({ cache }) => cache === 'millrace; fwd=bypass; detail=phase-off',
    );
  await write(2);
  expect((await read('a')).body['unitPrice']).toBe(2);
  await change('cache', 'on');
  const back = performance.now();
  for (const isolate of ['a', 'b', 'cold']) {
    const { answer } = await afterSwitch(
      back,
      () => read(isolate),
      ({ cache }) => cache?.includes('bypass') === false,
    );
    expect(answer.body['unitPrice']).toBe(2);
  }
});

it('inference that is off answers without models, and not at all where only a model can', async () => {
  const spend = (isolate: string) => ask(isolate, 'GET', SPEND);
  const ranking = (isolate: string) => ask(isolate, 'GET', RANKING);
  const warm = await eventually(
    () => ask('a', 'GET', SPEND, undefined, STRONG),
    ({ degraded }) => degraded === null,
  );
  expect(warm.body['source']).toBe('model');
  await change('inference', 'off');
  const since = performance.now();
  const byFallback = await afterSwitch(
    since,
    () => ranking('a'),
    ({ degraded }) => degraded !== null,
  );
  expect(byFallback.answer.degraded).toMatch(/^(popularity|fallback); reason=phase_off$/);
  expect(byFallback.answer.cache).not.toContain('stored');
  // This model declares no fallback, and the other one does.
  const without = await spend('a');
  expect([without.status, without.code]).toEqual([503, 'phase_off']);
  const mood = await ask('a', 'POST', '/v1/predictions/mood', { key: 'C1', request: { hour: 1 } });
  expect([mood.status, mood.degraded]).toEqual([200, 'fallback; reason=phase_off']);
  for (const [method, path, body] of [
    ['POST', '/v1/features/read', { entity: 'customer', keys: ['C1'] }],
    ['POST', '/v1/predictions/expected-spend', { inputs: [] }],
    ['POST', '/v1/training', { model: 'expected-spend' }],
  ] as const) {
    const { status, code } = await ask('a', method, path, body);
    expect([path, status, code]).toEqual([path, 503, 'phase_off']);
  }
  const infer = await stack.fetch('/v2/models/expected-spend/infer', {
    method: 'POST',
    headers: { isolate: 'a', authorization: `Bearer ${KEY}` },
    body: '{}',
  });
  expect([infer.status, await infer.text()]).toEqual([503, expect.stringContaining('switched off')]);
  // A sender without a key does not learn what is switched off.
  for (const [path, status] of [
    ['/v2/models/expected-spend/infer', 401],
    ['/v2/models/expected-spend/versions/1/infer', 401],
    ['/v1/features/read', 401],
    ['/v1/training', 401],
  ] as const) {
    const stranger = await stack.fetch(path, { method: 'POST', headers: { isolate: 'a' }, body: '{}' });
    expect([path, stranger.status]).toEqual([path, status]);
  }
  await change('inference', 'on');
  await afterSwitch(
    performance.now(),
    () => spend('a'),
    ({ degraded, body }) => degraded === null && body['source'] === 'model',
  );
});

it('a switch is kept while the clock does not answer, and the switch itself fails then', async () => {
  await change('cache', 'off');
  await afterSwitch(
    performance.now(),
    () => ask('a', 'GET', PRODUCT),
    ({ cache }) => cache?.includes('phase-off') === true,
  );
  await client.trouble({ 'root-clock': 'fail', 'regional-clock': 'fail' });
  const put = await ask('operator', 'PUT', '/v1/admin/phases/cache', { state: 'on', reason: 'r' });
  expect([put.status, put.code]).toEqual([503, 'clock_unavailable']);
  const { status, cache } = await ask('a', 'GET', PRODUCT);
  expect([status, cache?.includes('hit')]).toEqual([200, false]);
});

it('nobody switches a phase with another key', async () => {
  const stranger = stack.caller.as('another-key');
  const json = { state: 'off', reason: 'r' };
  expect((await stranger.ask('PUT', '/v1/admin/phases/cache', { json })).status).toBe(401);
  expect((await shown()).phases.cache.state).toBe('on');
});

const put = (phase: PhaseName, json: object) => ask('operator', 'PUT', `/v1/admin/phases/${phase}`, json);

it('every gate is measured, and has a reason where it does not hold', async () => {
  // The first statements of a stack are slow, and what is late is not known.
  const { by, json } = await eventually(
    () => gatesAt(stack),
    (of) => of.by.get('history')?.holds === false,
  );
  expect([...by.keys()]).toEqual([...GATE_NAMES]);
  for (const { gate, holds, reason: why } of by.values())
    expect([gate, why === null]).toEqual([gate, holds === true]);
  expect(by.get('history')).toMatchObject({ phase: 'inference', holds: false, measured: { days: 0 } });
  expect(by.get('hit_ratio')).toMatchObject({ holds: null });
  expect(by.get('api_inventory')).toMatchObject({ holds: true, measured: { undocumented: 0 } });
  expect(differences(WRITTEN_EXAMPLES['getGates']?.['200'], json)).toEqual([]);
});

it('a gate that does not hold refuses to switch its phase on, and nothing else', async () => {
  expect((await put('inference', { state: 'degraded', reason: 'a test' })).status).toBe(200);
  const refused = await put('inference', { state: 'on', reason: 'a test' });
  expect([refused.status, refused.code]).toEqual([409, 'phase_gates_closed']);
  expect(refused.body['detail']).toMatch(/do not hold: .*hit_ratio \(.*history \(/);
  expect((await put('inference', { state: 'off', reason: 'a test' })).status).toBe(200);
  for (const state of ['off', 'degraded', 'on'])
    expect([state, (await put('pipeline', { state, reason: 'a test' })).status]).toEqual([state, 200]);
});

it('a second principal overrides what the gates say, and only a second one', async () => {
  await change('inference', 'off');
  const asked = await put('inference', { state: 'on', reason: 'a test', override: true });
  expect(asked.status).toBe(202);
  expect(Shown.parse(asked.body).phases.inference).toMatchObject({
    ...{ state: 'off', approvedBy: null },
    asked: { by: 'key:bootstrap', reason: 'a test', gates: expect.arrayContaining(['history', 'hit_ratio']) },
  });
  const own = await ask('operator', 'POST', '/v1/admin/phases/inference/approve');
  expect([own.status, own.code]).toEqual([409, 'phase_approval_refused']);
  const approved = await operators.approve('inference');
  expect(approved.status).toBe(200);
  expect(Shown.parse(approved.json).phases.inference).toMatchObject({
    ...{ state: 'on', by: 'key:bootstrap', approvedBy: expect.stringMatching(/^key:/), asked: null },
  });
  expect(differences(WRITTEN_EXAMPLES['approvePhase']?.['200'], approved.json)).toEqual([]);
  // A phase that is on stays on without a question.
  expect((await put('inference', { state: 'on', reason: 'a test' })).status).toBe(200);
  expect((await operators.approve('inference')).status).toBe(409);
});
