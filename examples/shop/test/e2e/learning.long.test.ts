import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as z from 'zod';
import { EvidenceRecord, missingOf, verdictOf } from '../../../../src/inference/rollout/evidence.ts';
import { IS_PART } from '../../../../test/support/node/part.ts';
import { eventually, type Stack, startStack } from '../../../../test/support/node/stack.ts';
import { catalog } from '../../bench/learning/catalog.ts';
import { fastRanker } from '../../bench/learning/fast-clock.ts';
import { Shop } from '../../bench/learning/shop.ts';
import { sketchedBundle } from '../../bench/learning/sketched-model.ts';
import { World } from '../../bench/learning/world.ts';

const ADMIN = '/v1/admin/models/ranker';
/** The purchases that candidates and features have when the shop opens, of so many milliseconds. */
const HISTORY_MS = 60_000;
const SEED = 3;
/** The bound is a minute on free cores. A loaded machine gives a stack a part of its time. */
const WITHIN_MS = 280_000;
const CRON_EVERY_MS = 3_000;

const Steps = z.array(
  z.object({ stage: z.string(), version: z.string(), reason: z.string(), evidence: EvidenceRecord }),
);

/** It waits for trials to end: whole by `npm run test:all`, since CI has 35 minutes for everything. */
describe.skipIf(IS_PART)('a rollout that later purchases judge', () => {
  let stack: Stack;
  let shop: Shop;
  let cron: NodeJS.Timeout;
  let good: string;

  beforeAll(async () => {
    stack = await startStack(
      { FEEDBACK_SETTLE_MS: '1000', LIMITS: 'off' },
      {
        served: {
          ...{ catalog, main: 'examples/shop/test/worker/fast-clock.ts', cachedPath: '/v1/products/NONE' },
          migrationsDir: join(import.meta.dirname, '../../migrations'),
        },
      },
    );
    const from = Date.now() - HISTORY_MS;
    shop = new Shop(stack, new World(SEED));
    await shop.history(HISTORY_MS);
    good = await register(false, candidatesOf(from));
    expect((await ask('PUT', `${ADMIN}/aliases/champion`, { version: good })).status).toBe(200);
    shop.open();
    shop.recommend();
    cron = setInterval(() => void stack.scheduled().catch(() => undefined), CRON_EVERY_MS);
  });
  afterAll(async () => {
    clearInterval(cron);
    await shop?.close();
    await stack?.[Symbol.asyncDispose]();
  });

  const ask = (method: string, path: string, json?: object) =>
    stack.caller.ask(method, path, json === undefined ? {} : { json });

  /** The candidates of what the same seed has made the customers buy. */
  function candidatesOf(from: number): Uint8Array {
    const to = from + HISTORY_MS;
    const byKey = Map.groupBy(new World(SEED).purchases(from, to, 25, 'old'), ({ customer }) => customer);
    const history = [...byKey].map(([key, own]) => ({
      key,
      events: own.map(({ sku: item, at }) => ({ item, at })),
    }));
    return new TextEncoder().encode(JSON.stringify(fastRanker.makeCandidates?.(history, to)));
  }

  async function register(isBad: boolean, bytes: Uint8Array, seed = 1): Promise<string> {
    const candidates = { sha256: createHash('sha256').update(bytes).digest('hex'), bytes: bytes.length };
    const bundle = await sketchedBundle({ candidates, bytes, isBad, seed });
    const { status, json, text } = await ask('POST', `${ADMIN}/versions`, bundle);
    expect(status, text).toBe(201);
    return z.string().parse(json['version']);
  }

  /** Waits until the rollout of a version is over. @returns its steps, the newest first. */
  async function rolledOut(version: string): Promise<z.output<typeof Steps>> {
    const begunAt = Date.now();
    for (;;) {
      const { json } = await ask('GET', `${ADMIN}/rollout`);
      // A busy stack may refuse a question.
      const own = Steps.catch([])
        .parse(json['steps'])
        .filter((step) => step.version === version);
      const [last] = own;
      if (last?.stage === 'champion' || last?.stage === 'rolled_back') return own;
      if (Date.now() - begunAt > WITHIN_MS)
        throw new Error(`The rollout has not ended: ${JSON.stringify(json['waitsFor'])}`);
      await sleep(500);
    }
  }

  const challenge = async (version: string) =>
    expect((await ask('PUT', `${ADMIN}/aliases/challenger`, { version })).status).toBe(200);

  it('ends a version whose answers miss, and customers have the champion again', async () => {
    // A rollout that is under way gives way to what a person pushes, although its step may last minutes.
    const underWay = await register(false, candidatesOf(Date.now() - HISTORY_MS), 5);
    const bad = await register(true, candidatesOf(Date.now() - HISTORY_MS));
    await challenge(underWay);
    await eventually(
      async () => JSON.stringify((await ask('GET', `${ADMIN}/rollout`)).json['steps']),
      (shown) => shown?.includes(underWay) === true,
    );
    await challenge(bad);
    const steps = await rolledOut(bad);
    expect((await rolledOut(underWay))[0]).toMatchObject({ stage: 'rolled_back', reason: 'overtaken' });
    const [end] = steps;
    expect(end).toMatchObject({ stage: 'rolled_back', reason: 'misses' });
    expect(
      steps
        .map(({ stage }) => stage)
        .reverse()
        .slice(0, 2),
    ).toEqual(['shadow', 'canary']);
    // The labels came from events behind the queue, by the log and the join: both versions have some.
    expect(end?.evidence.labelled?.champion).toBeGreaterThan(0);
    expect(end?.evidence.labelled?.canary).toBeGreaterThan(0);
    expect(end && verdictOf(end.evidence)).toMatchObject({ action: 'roll_back', reason: 'misses' });
    expect(shop.reads.some(({ version }) => version === bad)).toBe(true);
    const outAt = Date.now();
    await sleep(3_000);
    const after = shop.reads.filter(({ at }) => at > outAt + 1_000);
    expect(new Set(after.map(({ version }) => version))).toEqual(new Set([good]));
  });

  it('goes on with one that is no worse, once each share has its labels', async () => {
    const other = await register(false, candidatesOf(Date.now() - HISTORY_MS), 2);
    await challenge(other);
    const steps = await rolledOut(other);
    expect(steps.map(({ stage, reason }) => [stage, reason])).toEqual([
      ['champion', 'enough_seen'],
      ['canary', 'enough_seen'],
      ['canary', 'enough_seen'],
      ['shadow', 'started'],
    ]);
    for (const { evidence } of steps.slice(0, 2)) {
      expect(evidence.labelled?.canary).toBeGreaterThanOrEqual(evidence.plan.canary.labels);
      expect(missingOf(evidence)?.exclusion).toBeNull();
    }
    expect(steps[0]?.evidence.plan.canary.excludes).toEqual({ odds: 5, passes: 0.05, grows: 0.5 });
  });
});
