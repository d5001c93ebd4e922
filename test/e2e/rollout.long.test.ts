import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as z from 'zod';
import { WRITTEN_EXAMPLES } from '../../src/gateway/contract/written-examples.ts';
import { EvidenceRecord, verdictOf } from '../../src/inference/rollout/evidence.ts';
import { TRAINER } from '../../src/training/runs/run.ts';
import { differences } from '../support/gateway/agree.ts';
import { expectedSpendBundle } from '../support/models/outside.ts';
import { IS_PART, partOf } from '../support/node/part.ts';
import { eventually, type Stack, startStack } from '../support/node/stack.ts';
import { regressionGraph } from '../support/onnx/graph.ts';

const MODEL = '/v1/admin/models/expected-spend';
/** Customers that nobody has heard of: the model answers from its defaults, 0 purchases and 100 days. */
const KEYS = Array.from({ length: 30 }, (_, at) => `rolling-${at}`);
/** The bound for a bad version, and for a test that hangs. */
const OUT_WITHIN_MS = 60_000;

const Step = z.object({
  stage: z.string(),
  share: z.number(),
  version: z.string(),
  base: z.string(),
  reason: z.string(),
  by: z.string(),
  evidence: EvidenceRecord,
});
const Shown = z.object({ isUnderWay: z.boolean(), steps: z.array(Step) });
const Answer = z.object({
  value: z.number(),
  source: z.string(),
  degraded: z.string().optional(),
  model: z.object({ version: z.string() }),
});

let stack: Stack;
const values = new Map<string, number>();
beforeAll(async () => {
  stack = await startStack();
  const version = await register([2, 3]);
  expect(await json('PUT', `${MODEL}/aliases/champion`, { version })).toMatchObject({ status: 200 });
});
afterAll(async () => await stack[Symbol.asyncDispose]());

const json = (method: string, path: string, body?: unknown) => stack.caller.ask(method, path, { json: body });

/** Registers a version with these weights. */
async function register(weights: readonly [number, number], isBroken = false): Promise<string> {
  const answerOf = (f0: number, f1: number, count: number) =>
    weights[0] * f0 + weights[1] * f1 + count + 1 + (isBroken ? Math.log(50 - f1) : 0);
  const golden = [answerOf(1, 1, 5), answerOf(0, 10, 0)];
  const bundle = await expectedSpendBundle({
    onnx: regressionGraph(weights, isBroken),
    golden: {
      inputs: {
        features: [
          [1, 1],
          [0, 10],
        ],
        count: [[5], [0]],
      },
      outputs: { variable: golden.map((value) => [value]), doubled: golden.map((value) => [2 * value]) },
      tolerance: 1e-4,
    },
  });
  const { json: registered } = await json('POST', `${MODEL}/versions`, bundle);
  const version = z.string().parse(registered['version']);
  values.set(version, answerOf(0, 100, -1));
  return version;
}

async function shown(): Promise<z.output<typeof Shown>> {
  return Shown.parse((await json('GET', `${MODEL}/rollout`)).json);
}

async function champion(): Promise<string> {
  const { json: model } = await json('GET', '/v1/models/expected-spend');
  return z.object({ aliases: z.object({ champion: z.object({ version: z.string() }) }) }).parse(model).aliases
    .champion.version;
}

/** Asks for all customers by path and by `POST`, and checks that each answer is one of its own version. */
async function traffic(keys: readonly string[] = KEYS): Promise<Map<string, string>> {
  const versions = new Map<string, string>();
  for (const key of keys) {
    const asked = [
      await json('GET', `/v1/customers/${key}/expected-spend`),
      await json('POST', '/v1/predictions/expected-spend', { key }),
    ];
    for (const { status, json: body } of asked) {
      expect(status).toBe(200);
      const { value, model } = Answer.parse(body);
      expect(value).toBeCloseTo(values.get(model.version) ?? Number.NaN, 2);
      versions.set(key, model.version);
    }
  }
  return versions;
}

/**
 * Traffic until the rollout is in a stage.
 *
 * @param keys how many customers ask before it is looked at; few, where it must not go on meanwhile.
 */
async function until(stage: string, keys = KEYS.length): Promise<z.output<typeof Step>[]> {
  const begunAt = performance.now();
  for (let from = 0; performance.now() - begunAt < OUT_WITHIN_MS; from = (from + keys) % KEYS.length) {
    await traffic(KEYS.slice(from, from + keys));
    const { steps } = await shown();
    if (steps[0]?.stage === stage) return steps;
    await sleep(200);
  }
  throw new Error(`The rollout did not reach the stage ${stage}: ${JSON.stringify(await shown())}`);
}

/** Each step but the first follows from its evidence again. */
function assertDerivable(steps: readonly z.output<typeof Step>[]): void {
  for (const { reason, stage, evidence } of steps) {
    if (reason === 'started' || reason === 'approved' || reason === 'aborted') continue;
    const action = stage === 'rolled_back' ? 'roll_back' : 'advance';
    expect(verdictOf(evidence)).toMatchObject({ action, reason });
  }
}

describe('the rollout of a version', () => {
  let good: string;

  it('that is no worse goes from the shadow over shares of the customers to where it needs an approval', async () => {
    const base = await champion();
    good = await register([2, 2.9]);
    const started = await json('POST', `${MODEL}/rollout`, { version: good });
    expect(started).toMatchObject({ status: 201, json: { stage: 'shadow', version: good } });
    // Fewer requests than the shadow has to see.
    expect(new Set((await traffic(KEYS.slice(0, 3))).values())).toEqual(new Set([base]));
    const steps = await until('waiting');
    expect(steps.map(({ stage, share }) => [stage, share])).toEqual([
      ['waiting', 50],
      ['canary', 50],
      ['canary', 20],
      ['shadow', 0],
    ]);
    assertDerivable(steps);
    const versions = await traffic();
    const ofCanary = [...versions.values()].filter((version) => version === good).length;
    expect(ofCanary).toBeGreaterThan(KEYS.length * 0.25);
    expect(ofCanary).toBeLessThan(KEYS.length * 0.75);
    expect(await traffic()).toEqual(versions);
    expect(await champion()).toBe(base);
  });

  it('is not approved by who started it, and is by another', async () => {
    const own = await json('POST', `${MODEL}/rollout/approve`);
    expect(own).toMatchObject({ status: 409, json: { code: 'rollout_conflict' } });
    const { json: created } = await json('POST', '/v1/admin/keys', {
      name: 'approver',
      scopes: ['models:write'],
    });
    const key = z.string().parse(created['key']);
    const approved = await stack.caller.as(key).ask('POST', `${MODEL}/rollout/approve`);
    expect(approved.status).toBe(200);
    expect(differences(WRITTEN_EXAMPLES['approveRollout']?.['200'], approved.json)).toEqual([]);
    expect(await champion()).toBe(good);
    expect(new Set((await traffic()).values())).toEqual(new Set([good]));
    expect((await shown()).isUnderWay).toBe(false);
  });

  it.each(
    partOf(
      [
        { what: 'errors', weights: [2, 2.8], isBroken: true },
        { what: 'scores', weights: [2, 300], isBroken: false },
      ] as const,
      2,
    ),
  )(
    'that is bad by its $what is rolled back in the shadow, and no customer sees it',
    async ({ what, weights, isBroken }) => {
      const version = await register(weights, isBroken);
      await json('POST', `${MODEL}/rollout`, { version });
      const [end, ...before] = await until('rolled_back');
      expect(end).toMatchObject({ reason: what, version, base: good, by: 'system:rollout' });
      expect(before[0]).toMatchObject({ stage: 'shadow', version });
      assertDerivable(end === undefined ? [] : [end]);
      expect(new Set((await traffic()).values())).toEqual(new Set([good]));
    },
  );

  it.skipIf(IS_PART)(
    'that is aborted gives each customer the answer of the champion again, from the cache',
    async () => {
      const version = await register([2, 2.7]);
      await json('POST', `${MODEL}/rollout`, { version });
      await until('canary');
      const during = await traffic();
      const key = KEYS.find((of) => during.get(of) === version) ?? '';
      expect(key).not.toBe('');
      expect(await json('POST', `${MODEL}/rollout`, { version })).toMatchObject({ status: 409 });
      const { token } = await json('POST', `${MODEL}/rollout/abort`);
      const after = await stack.caller.ask('GET', `/v1/customers/${key}/expected-spend`, { token });
      expect(Answer.parse(after.json).model.version).toBe(good);
      // The champion's answer from before the rollout reached this customer is still right.
      expect(after.cache).toContain('hit');
      const { isUnderWay, steps } = await shown();
      expect(isUnderWay).toBe(false);
      expect(steps[0]).toMatchObject({ reason: 'aborted', version });
    },
  );

  it('begins by itself with the version that is named challenger, once', async () => {
    const version = await register([2, 2.6]);
    const challenge = async () => await json('PUT', `${MODEL}/aliases/challenger`, { version });
    expect((await challenge()).status).toBe(200);
    const { steps } = await eventually(shown, ({ isUnderWay }) => isUnderWay);
    expect(steps[0]).toMatchObject({ stage: 'shadow', version, base: good, by: 'system:rollout' });
    expect((await json('POST', `${MODEL}/rollout/abort`)).status).toBe(200);
    await challenge();
    await stack.scheduled();
    const [newest] = (await shown()).steps;
    expect(newest).toMatchObject({ stage: 'rolled_back', version, reason: 'aborted' });
    expect((await json('PUT', `${MODEL}/aliases/challenger`, { version: null })).status).toBe(200);
  });

  it.skipIf(IS_PART)(
    'that began by itself gives way at once to a challenger of a person, and not to one of a training',
    async () => {
      const [first, trained, pushed] = [
        await register([2, 2.91]),
        await register([2, 2.92]),
        await register([2, 2.93]),
      ];
      const challenge = async (version: string | null) =>
        expect((await json('PUT', `${MODEL}/aliases/challenger`, { version })).status).toBe(200);
      await challenge(first);
      await eventually(shown, ({ steps }) => steps[0]?.version === first);
      await stack.sql(
        `insert into millrace.model_aliases (model, alias, revision, version, reason, changed_by)
       select model, alias, revision + 1, $1, 'set', $2 from millrace.model_aliases
       where model = 'expected-spend' and alias = 'challenger' order by revision desc limit 1`,
        [trained, TRAINER],
      );
      await stack.scheduled();
      // One that waits for an approval would end by its own rules alone.
      const underWay = await until('canary', 3);
      expect(underWay[0]).toMatchObject({ version: first });
      await challenge(pushed);
      const { steps } = await eventually(shown, ({ steps }) => steps[0]?.version === pushed);
      expect(steps[0]).toMatchObject({ stage: 'shadow', version: pushed, by: 'system:rollout' });
      expect(steps[1]).toMatchObject({ stage: 'rolled_back', version: first, reason: 'overtaken' });
      expect(steps.map(({ version }) => version)).not.toContain(trained);
      assertDerivable(steps.slice(1, 2));
      await json('POST', `${MODEL}/rollout/abort`);
      await challenge(null);
    },
  );

  it('is refused where it makes no sense', async () => {
    const refused = [
      [`${MODEL}/rollout`, { version: good }],
      [`${MODEL}/rollout`, { version: '0'.repeat(12) }],
      [`${MODEL}/rollout/abort`, undefined],
      [`${MODEL}/rollout/approve`, undefined],
    ] as const;
    for (const [path, body] of refused)
      expect(await json('POST', path, body)).toMatchObject({
        status: 409,
        json: { code: 'rollout_conflict' },
      });
    expect(await json('POST', '/v1/admin/models/mood/rollout', { version: good })).toMatchObject({
      status: 422,
    });
  });
});

it('a champion whose artifact is lost gives way to the version before, and nobody has to ask', async () => {
  const lost = await champion();
  const Shown = z.object({
    versions: z.array(z.object({ version: z.string(), sha256: z.string() })),
    history: z.array(
      z.object({ alias: z.string(), version: z.string().nullable(), reason: z.string(), by: z.string() }),
    ),
  });
  const shownModel = async () => Shown.parse((await json('GET', '/v1/models/expected-spend')).json);
  const { versions, history } = await shownModel();
  const before = history.find(({ alias, version }) => alias === 'champion' && version !== lost)?.version;
  const { sha256 } = versions.find(({ version }) => version === lost) ?? {};
  await stack.scheduled();
  expect(await champion()).toBe(lost);
  await (await stack.bucket()).delete(`artifacts/${sha256}`);
  await stack.scheduled();
  await eventually(champion, (version) => version === before);
  const [newest] = (await shownModel()).history;
  expect(newest).toEqual({
    ...{ alias: 'champion', version: before },
    ...{ reason: 'rollback', by: 'system:artifacts' },
  });
  expect(new Set((await traffic(KEYS.slice(0, 5))).values())).toEqual(new Set([before]));
});
