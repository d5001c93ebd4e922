import { afterAll, beforeAll, expect, it } from 'vitest';
import * as z from 'zod';
import { rankerBundle } from '../support/models/ranker.ts';
import { KEY, type Stack } from '../support/node/stack.ts';
import type { Client } from '../support/peers/client.ts';
import { besideSamples, judged, type Measured } from '../support/peers/standstill.ts';
import { startTroubled } from '../support/peers/troubled.ts';

/** The deadline of the deployment, in milliseconds. */
const DEADLINE_MS = 100;
/** What an answer may take beside the deadline on a quiet machine, in milliseconds: HTTP, the key, and timers. */
const WORK_MS = 50;
const REQUESTS = 25;
/** The share of the requests that are within the bound: all of them, at this number. */
const PERCENTILE = 0.99;

const Answer = z.object({
  label: z.string(),
  source: z.enum(['model', 'fallback']),
  degraded: z.string().optional(),
});

let stack: Stack;
let client: Client;
let isolates = 0;
beforeAll(async () => {
  ({ stack, client } = await startTroubled({ DEADLINE_MS: String(DEADLINE_MS) }));
});
afterAll(async () => await stack[Symbol.asyncDispose]());

interface Condition {
  readonly troubles: Parameters<Client['trouble']>[0];
  /** Whether the isolate has loaded the model before. */
  readonly isWarm: boolean;
  /** Whether the model can answer at all. */
  readonly canAnswer: boolean;
  /** Whether each request is for a customer whose features the isolate has not read before. */
  readonly isOfStrangers?: boolean;
}

async function predict(isolate: string, hour: number, key = 'C1') {
  const begun = performance.now();
  const response = await stack.fetch('/v1/predictions/mood', {
    method: 'POST',
    headers: { isolate, authorization: `Bearer ${KEY}`, 'content-type': 'application/json' },
    body: JSON.stringify({ key, request: { hour } }),
  });
  const body: unknown = await response.json();
  return { status: response.status, afterMs: performance.now() - begun, answer: Answer.safeParse(body).data };
}

async function live(isolate: string): Promise<void> {
  await (await stack.fetch('/health/live', { headers: { isolate } })).body?.cancel();
}

/** Asks for predictions, one after the other. @returns the time of each, how many the model gave, and what was wrong. */
async function predictions(isolate: string, { canAnswer, isOfStrangers = false }: Condition) {
  const wrong: string[] = [];
  const times: number[] = [];
  let byModel = 0;
  for (let hour = 0; hour < REQUESTS; hour += 1) {
    const { status, afterMs, answer } = await predict(
      isolate,
      hour % 24,
      isOfStrangers ? `S${hour}` : undefined,
    );
    times.push(afterMs);
    if (answer?.source === 'model') byModel += 1;
    if (status !== 200 || answer === undefined) wrong.push(`request ${hour}: ${status}`);
    else if ((answer.source === 'fallback') !== (answer.degraded !== undefined))
      wrong.push(`request ${hour}: ${answer.source} is marked ${answer.degraded}`);
    else if (answer.source === 'model' && !canAnswer) wrong.push(`request ${hour} is marked as the model's`);
  }
  return { wrong, times, byModel };
}

async function measure(condition: Condition): Promise<Measured> {
  const { troubles, isWarm, canAnswer } = condition;
  isolates += 1;
  const isolate = `deadline ${isolates}`;
  await live(isolate);
  if (isWarm) {
    // The answers before the runtime has the model may be those of the fallback.
    for (let asked = 0; asked < 10; asked += 1) await predict(isolate, 1);
  }
  await client.trouble(troubles);
  try {
    const [{ wrong, times, byModel }, slowestMs] = await besideSamples(
      () => live(isolate),
      () => predictions(isolate, condition),
    );
    if (canAnswer && byModel === 0) wrong.push('the model has not answered');
    const sorted = times.toSorted((a, b) => a - b);
    const p99 = sorted[Math.ceil(sorted.length * PERCENTILE) - 1] ?? 0;
    const boundMs = DEADLINE_MS + WORK_MS + 3 * slowestMs;
    if (p99 > boundMs) wrong.push(`p99 is ${Math.round(p99)} ms instead of ${Math.round(boundMs)} ms`);
    return { wrong, slowestMs };
  } finally {
    await client.trouble({});
  }
}

const VERBS = { late: 'are late', hang: 'hang', fail: 'fail' };
const CONDITIONS: readonly (readonly [string, Condition])[] = [
  ['no peer is in trouble', { troubles: {}, isWarm: true, canAnswer: true }],
  ...(['late', 'hang', 'fail'] as const).flatMap((how): (readonly [string, Condition])[] => {
    const condition = { troubles: { 'feature-shard': how }, isWarm: true };
    return [
      [
        `the features of a new customer ${VERBS[how]}`,
        { ...condition, canAnswer: false, isOfStrangers: true },
      ],
      [`features ${VERBS[how]} that the isolate has in memory`, { ...condition, canAnswer: true }],
    ];
  }),
  ['R2 hangs before a load', { troubles: { artifacts: 'hang' }, isWarm: false, canAnswer: false }],
  ['R2 fails before a load', { troubles: { artifacts: 'fail' }, isWarm: false, canAnswer: false }],
  ['R2 hangs after a load', { troubles: { artifacts: 'hang' }, isWarm: true, canAnswer: true }],
  ['the database hangs', { troubles: { database: 'hang' }, isWarm: true, canAnswer: true }],
  [
    'the clocks hang',
    { troubles: { 'root-clock': 'hang', 'regional-clock': 'hang' }, isWarm: true, canAnswer: true },
  ],
];

it.each(CONDITIONS)(
  'a model with a fallback answers each request within its deadline while %s',
  { timeout: 300_000 },
  async (_, condition) => {
    const { wrong } = await judged(() => measure(condition));
    expect(wrong).toEqual([]);
  },
);

const TENSORS = {
  inputs: [
    { name: 'features', datatype: 'FP32', shape: [1, 2], data: [1, 1] },
    { name: 'count', datatype: 'INT64', shape: [1, 1], data: ['5'] },
  ],
};
const NAMED = { 'millrace-deadline-ms': String(DEADLINE_MS) };

it.each([
  ['a ranking has no items', 200, ['GET', '/v1/customers/C1/recommendations']],
  [
    'a ranking of items has them as they came',
    200,
    ['POST', '/v1/predictions/ranker', { key: 'C1', items: ['10001A'] }],
  ],
  ['tensors fail', 503, ['POST', '/v1/predictions/expected-spend', TENSORS, NAMED]],
  ['tensors of the protocol fail', 503, ['POST', '/v2/models/expected-spend/infer', TENSORS, NAMED]],
] as const)(
  'while a model cannot be loaded and nothing is at hand, %s within the deadline',
  async (_, status, asked) => {
    await client.prepare('publisher', ['PUT', '/v1/admin/models/ranker/champion', rankerBundle()]);
    const { wrong } = await judged(async () => {
      isolates += 1;
      const isolate = `deadline ${isolates}`;
      await live(isolate);
      await client.trouble({ artifacts: 'hang' });
      try {
        const [answered, slowestMs] = await besideSamples(
          () => live(isolate),
          () => client.timed(isolate, asked),
        );
        const boundMs = DEADLINE_MS + WORK_MS + 3 * slowestMs;
        const isRight = answered.status === status && answered.afterMs <= boundMs;
        return { wrong: isRight ? [] : [JSON.stringify({ ...answered, boundMs })], slowestMs };
      } finally {
        await client.trouble({});
      }
    });
    expect(wrong).toEqual([]);
  },
);

it.each(['4', '10001', '1.5', 'soon', ''])('refuses the deadline "%s"', async (deadline) => {
  const response = await stack.fetch('/v1/predictions/mood', {
    method: 'POST',
    headers: {
      authorization: `Bearer ${KEY}`,
      'content-type': 'application/json',
      'millrace-deadline-ms': deadline,
    },
    body: JSON.stringify({ key: 'C1', request: { hour: 1 } }),
  });
  expect([response.status, await response.json()]).toEqual([
    400,
    expect.objectContaining({ code: 'invalid_request', pointer: 'Millrace-Deadline-Ms' }),
  ]);
});
