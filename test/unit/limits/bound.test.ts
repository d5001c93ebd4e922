import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Allowance } from '../../../src/limits/allowance.ts';
import { Bucket } from '../../../src/limits/bucket.ts';
import { admittedMax, chargeMax, type RatePolicy } from '../../../src/limits/policy.ts';
import { ForgetfulBucket, GenerousBucket, mostWithin, run, TwiceAllowance, type World } from './world.ts';

const POLICY: RatePolicy = { kind: 'rate', perSecond: 1_000, burst: 10_000 };
const WINDOWS_MS = [1, 100, 1_000, 10_000, 60_000];

/** The windows in which more was admitted than the stated bound. */
function exceeded(world: World): number[] {
  const { admitted } = run(world);
  return WINDOWS_MS.filter(
    (windowMs) =>
      // A request counts in the window that it ends, too.
      mostWithin(admitted, windowMs) > admittedMax(world.policy, windowMs, world.isolates) + 1,
  );
}

/** Sixteen clients that send as fast as they can, at four isolates in two regions. */
const SIXTEEN: World = {
  seed: 1,
  policy: POLICY,
  isolates: 4,
  clients: 16,
  durationMs: 60_000,
  units: [1, 60, 300],
  pauseMs: 5,
  roundTripMs: (isolate) => (isolate % 2 === 0 ? 4 : 180),
};

describe('16 clients over several isolates', () => {
  it.each([
    ['hits', { units: [1], pauseMs: 1 }],
    ['fills', { units: [60] }],
    ['requests of all kinds', {}],
    ['requests of all kinds in sixteen isolates', { isolates: 16 }],
  ] as const)('%s: within 5 %% of the limit, and never above the bound', (_, more) => {
    for (const seed of [1, 2, 3]) {
      const world = { ...SIXTEEN, ...more, seed };
      const { admitted } = run(world);
      const sum = admitted.reduce((total, { units }) => total + units, 0);
      const limit = chargeMax(POLICY, 'read') + (POLICY.perSecond * world.durationMs) / 1_000;
      expect(sum / limit).toBeGreaterThan(0.95);
      expect(sum / limit).toBeLessThan(1.05);
      expect(exceeded(world)).toEqual([]);
    }
  });

  it('asks the object a few times a second, whatever the number of requests', () => {
    const { calls, requests } = run({
      ...SIXTEEN,
      policy: { kind: 'rate', perSecond: 20_000, burst: 200_000 },
      units: [1],
      pauseMs: 1,
    });
    expect(requests).toBeGreaterThan(500_000);
    expect((calls / requests) * 1_000).toBeLessThan(2);
  });
});

it('never admits more than the bound, whatever the isolates, their distance and their load', () => {
  fc.assert(
    fc.property(
      fc.record({
        seed: fc.nat(),
        perSecond: fc.integer({ min: 20, max: 5_000 }),
        burstS: fc.integer({ min: 1, max: 20 }),
        isolates: fc.integer({ min: 1, max: 8 }),
        clients: fc.integer({ min: 1, max: 16 }),
        units: fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1, maxLength: 3 }),
        pauseMs: fc.integer({ min: 1, max: 300 }),
        roundTripMs: fc.integer({ min: 1, max: 450 }),
        lane: fc.constantFrom('read', 'write', 'operation'),
      }),
      ({ perSecond, burstS, roundTripMs, ...more }) => {
        const policy = { kind: 'rate', perSecond, burst: perSecond * burstS } as const;
        const world = { ...more, policy, durationMs: 20_000, roundTripMs: () => roundTripMs };
        // A request that costs more than the budget holds is charged what it holds.
        const units = world.units.map((cost) => Math.min(cost, chargeMax(policy, world.lane)));
        expect(exceeded({ ...world, units })).toEqual([]);
      },
    ),
    { numRuns: 60 },
  );
});

describe('a planted fault is found:', () => {
  it.each([
    [
      'an isolate counts its lease twice',
      { allowance: (policy, lane) => new TwiceAllowance(policy, lane, 0) },
    ],
    [
      'the object does not charge what isolates spent on credit',
      { bucket: (policy) => new ForgetfulBucket(policy, 0) },
    ],
    ['the object does not charge what it grants', { bucket: (policy) => new GenerousBucket(policy, 0) }],
  ] as const satisfies readonly (readonly [string, Partial<World>])[])('%s', (_, fault) => {
    expect(exceeded({ ...SIXTEEN, ...fault })).not.toEqual([]);
  });
});

describe('while answers are lost', () => {
  it('each isolate limits by itself, to the limit', () => {
    const world = { ...SIXTEEN, lost: 1 };
    const { admitted } = run(world);
    const sum = admitted.reduce((total, { units }) => total + units, 0);
    const alone = POLICY.perSecond * (world.durationMs / 1_000 + 1);
    expect(sum).toBeLessThan(world.isolates * (alone + POLICY.burst / 50));
    expect(sum).toBeGreaterThan(world.isolates * alone * 0.7);
  });
});

describe('an allowance', () => {
  const question = (allowance: Allowance, units: number, nowMs: number) => {
    const asked = allowance.question(units, nowMs);
    return { asked, bucket: new Bucket(POLICY, nowMs) };
  };

  it('ignores the answer to a question that it has given up, so no grant counts twice', () => {
    const allowance = new Allowance(POLICY, 'read', 0);
    const { asked, bucket } = question(allowance, 500, 0);
    const answer = bucket.ask(asked, POLICY, 0);
    allowance.answered(asked, answer, 10);
    allowance.answered(asked, answer, 20);
    expect(allowance.spend(500, 30)).toMatch(/spent|low/);
    expect(allowance.spend(500, 30)).toBe('ask');
  });

  it('does not spend a grant after the end of its lease, which begins when it asks', () => {
    const allowance = new Allowance(POLICY, 'read', 0);
    const { asked, bucket } = question(allowance, 500, 0);
    allowance.answered(asked, bucket.ask(asked, POLICY, 0), 400);
    expect(allowance.spend(500, 1_999)).toMatch(/spent|low/);
    const late = new Allowance(POLICY, 'read', 0);
    const { asked: again } = question(late, 500, 0);
    late.answered(again, bucket.ask(again, POLICY, 0), 400);
    expect(late.spend(500, 2_000)).toBe('ask');
  });

  it('charges a request that costs more than the budget holds all that it holds', () => {
    const allowance = new Allowance(POLICY, 'write', 0);
    const { asked, bucket } = question(allowance, 1_000_000, 0);
    expect(asked.need).toBe(9_500);
    allowance.answered(asked, bucket.ask(asked, POLICY, 0), 0);
    expect(allowance.spend(1_000_000, 1)).toMatch(/spent|low/);
  });
});

it('reads leave their reserve to writes, and writes theirs to operations', () => {
  const bucket = new Bucket(POLICY, 0);
  const take = (lane: 'read' | 'write' | 'operation', need: number) =>
    bucket.ask({ lane, spent: 0, need, want: need }, POLICY, 0);
  expect(take('read', 8_000)).toMatchObject({ granted: 8_000, refusedForMs: 0 });
  expect(take('read', 1)).toMatchObject({ granted: 0, refusedForMs: 1 });
  expect(take('write', 1_500)).toMatchObject({ granted: 1_500 });
  expect(take('write', 1)).toMatchObject({ granted: 0 });
  expect(take('operation', 500)).toMatchObject({ granted: 500 });
  expect(take('operation', 1)).toMatchObject({ granted: 0, refusedForMs: 1 });
});
