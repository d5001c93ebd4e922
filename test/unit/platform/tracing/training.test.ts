import { expect, it } from 'vitest';
import { traceTraining } from '../../../../src/composition/traced-training.ts';
import { namingTraining } from '../../../../src/gateway/traced-predictions.ts';
import { seededRandom } from '../../../../src/platform/random.ts';
import { contextOfRun } from '../../../../src/platform/tracing/run-trace.ts';
import { Sampler } from '../../../../src/platform/tracing/sampler.ts';
import type { FinishedSpan } from '../../../../src/platform/tracing/trace.ts';
import { Tracing } from '../../../../src/platform/tracing/tracing.ts';

const RUN = '0b7f3a52-91c4-4d0e-8a63-5f2e9c1d4b70';
const LEARNED = `00-${'1'.repeat(32)}-${'2'.repeat(16)}-01`;

function setUp() {
  const exported: FinishedSpan[] = [];
  const tracing = new Tracing({
    ...{ now: () => 9_000, random: seededRandom(1), sampler: new Sampler('always_off', 0), slowMs: 500 },
    queue: { add: (spans) => void exported.push(...spans) },
    lost: () => undefined,
  });
  return { tracing, exported };
}

it('a training names the events that it learned from, and a prediction the training of its version', async () => {
  const { tracing, exported } = setUp();
  const db = { execute: async () => ({ rows: [{ trace: LEARNED }] }) } as never;
  const run = {
    id: RUN,
    model: 'ranker',
    reason: 'events',
    begunMs: 1_000,
    lastSeq: 7,
    state: 'done',
  } as never;
  await traceTraining(tracing, db, run, { version: 'abc' } as never, () => undefined);
  const [training] = exported;
  expect(training).toMatchObject({ name: 'train ranker', startMs: 1_000, endMs: 9_000, isFailed: false });
  expect(training?.links.map(({ traceId }) => traceId)).toEqual(['1'.repeat(32)]);
  expect(contextOfRun(RUN)).toMatchObject({ traceId: training?.traceId, spanId: training?.spanId });

  const trace = tracing.trace('3'.repeat(32), true, () => undefined);
  trace.decide(true);
  const span = trace.begin({ name: 'predict ranker' }, undefined);
  const champion = async () => ({ manifest: { trainedFrom: { run: RUN } } }) as never;
  await namingTraining({ champion }, span).champion();
  span.end();
  expect(exported[1]?.links.map(({ traceId }) => traceId)).toEqual([training?.traceId]);
});

it('a training that fails is a failed span, also if its events cannot be read', async () => {
  const { tracing, exported } = setUp();
  const run = {
    id: RUN,
    model: 'ranker',
    begunMs: 1,
    lastSeq: 7,
    state: 'failed',
    failure: { code: 'loss' },
  };
  await traceTraining(
    tracing,
    { execute: async () => ({ rows: [] }) } as never,
    run as never,
    undefined,
    () => undefined,
  );
  expect(exported[0]).toMatchObject({ isFailed: true, attributes: { 'error.type': 'loss' } });
  const away = { execute: () => Promise.reject(new Error('away')) } as never;
  await traceTraining(tracing, away, run as never, undefined, () => undefined);
  expect(contextOfRun('not a run')).toBeUndefined();
});
