import { evictDurableObject, runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { expect, it } from 'vitest';
import { BUCKETS_MAX, Buckets } from '../../durable-objects/rate-limiter/buckets.ts';

const RATE = { kind: 'rate', perSecond: 1, burst: 100 } as const;
const QUOTA = { kind: 'quota', units: 100, period: 'month' } as const;
const ask = (need: number) => ({ lane: 'operation', spent: 0, need, want: need }) as const;

it('grants a bucket once, whoever asks', async () => {
  const object = env.RATE_LIMITER.getByName('a');
  const answers = await Promise.all([60, 60].map((need) => object.ask('key:1', RATE, ask(need))));
  expect(answers.map(({ granted }) => granted)).toEqual([60, 0]);
  expect(answers[1]?.refusedForMs).toBeGreaterThan(15_000);
  expect((await object.ask('key:2', RATE, ask(60))).granted).toBe(60);
});

it('keeps quotas over an eviction, and gives a full bucket after one', async () => {
  const object = env.RATE_LIMITER.getByName('b');
  await object.ask('key:1', RATE, ask(100));
  await object.ask('key:1/month', QUOTA, { ...ask(0), spent: 99.5 });
  await evictDurableObject(object);
  expect((await object.ask('key:1', RATE, ask(100))).granted).toBe(100);
  const answer = await object.ask('key:1/month', QUOTA, ask(0));
  expect(answer).toMatchObject({ remaining: 0 });
  expect(answer.refusedForMs).toBeGreaterThan(0);
});

it('refuses a question that is not well-formed', async () => {
  await runInDurableObject(env.RATE_LIMITER.getByName('c'), async (object) => {
    await expect(object.ask('key:1', RATE, ask(-1))).rejects.toThrow();
    await expect(object.ask('', RATE, ask(1))).rejects.toThrow();
    await expect(object.ask('key:1', { ...RATE, burst: 0 }, ask(1))).rejects.toThrow();
  });
});

it('remembers so many buckets at most, and gives full ones up first', () => {
  const buckets = new Buckets();
  buckets.ask('used', RATE, ask(100), 0);
  for (let index = 0; index < BUCKETS_MAX + 10; index += 1) buckets.ask(`idle-${index}`, RATE, ask(0), 0);
  expect(buckets.size).toBeLessThanOrEqual(BUCKETS_MAX);
  expect(buckets.ask('used', RATE, ask(1), 0).granted).toBe(0);
});
