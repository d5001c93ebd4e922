import { describe, expect, it } from 'vitest';
import {
  addBatch,
  type Batch,
  type Evidences,
  evidenceOf,
  noEvidence,
  passingBound,
  rateInterval,
  type Sides,
} from '../../../../src/inference/rollout/comparison.ts';
import { type Random, seededRandom } from '../../../../src/platform/random.ts';
import { runsOf } from '../../../support/node/part.ts';

function drawn(requests: number, rate: number, random: Random): number {
  let events = 0;
  for (let request = 0; request < requests; request += 1) if (random() < rate) events += 1;
  return events;
}

/** The first batch after which the evidence passes 1 / error; undefined if none does. */
function alarm(
  { batches, error = 0.05, tolerated = 1, sides = 'more' as Sides }: Partial<Looks>,
  batch: (at: number) => Batch,
): number | undefined {
  let evidences: Evidences = noEvidence(sides);
  for (let at = 0; at < (batches ?? 100); at += 1) {
    evidences = addBatch(evidences, batch(at), tolerated);
    if (evidenceOf(evidences) >= -Math.log(error)) return at;
  }
  return undefined;
}
interface Looks {
  readonly batches: number;
  readonly error: number;
  readonly tolerated: number;
  readonly sides: Sides;
}

function choose(n: number, k: number): number {
  let product = 1;
  for (let at = 1; at <= k; at += 1) product = (product * (n - k + at)) / at;
  return product;
}

describe('the evidence of a batch', () => {
  it.each([1, 2])('has the mean 1 for the tolerated odds ratio %d, whatever the batch', (tolerated) => {
    for (const [requests, newRequests, events] of [
      [10, 10, 4],
      [200, 3, 5],
      [5, 40, 12],
    ] as const) {
      let [sum, mass] = [0, 0];
      for (let k = Math.max(0, events - requests); k <= Math.min(events, newRequests); k += 1) {
        const weight = choose(newRequests, k) * choose(requests, events - k) * tolerated ** k;
        const evidences = addBatch(noEvidence('more'), [requests, events - k, newRequests, k], tolerated);
        sum += weight * Math.exp(evidenceOf(evidences));
        mass += weight;
      }
      expect(sum / mass).toBeCloseTo(1, 9);
    }
  });

  it.each<Batch>([
    [0, 0, 10, 10],
    [10, 10, 0, 0],
    [10, 0, 10, 0],
    [10, 10, 10, 10],
  ])('is none for %j', (...batch) => {
    expect(evidenceOf(addBatch(noEvidence('both'), batch, 1))).toBeCloseTo(0, 12);
  });
});

/** Streams of batches without a difference. */
const STREAMS = runsOf(400);

describe('looks after every batch', () => {
  // Rates that change, shares that change, and batches of a few requests: none of it may raise the false alarms.
  it('raise no more false alarms than stated', () => {
    const random = seededRandom(17);
    for (const [rate, share] of [
      [0.02, 0.05],
      [0.3, 0.5],
    ] as const) {
      let alarms = 0;
      for (let stream = 0; stream < STREAMS; stream += 1) {
        const found = alarm({ batches: 150, sides: 'both' }, (at) => {
          const now = rate * (1 + 0.8 * Math.sin(at / 10));
          const canary = Math.max(1, Math.round(40 * share * (at < 75 ? 1 : 1.5)));
          return [40, drawn(40, now, random), canary, drawn(canary, now, random)];
        });
        if (found !== undefined) alarms += 1;
      }
      expect(alarms / STREAMS).toBeLessThanOrEqual(0.05);
    }
  });

  it('raise fewer still for a version that is worse within the tolerance', () => {
    const random = seededRandom(3);
    let alarms = 0;
    for (let stream = 0; stream < 200; stream += 1) {
      const odds = (0.1 / 0.9) * 2;
      const found = alarm({ batches: 150, tolerated: 2 }, () => [
        40,
        drawn(40, 0.1, random),
        10,
        drawn(10, odds / (1 + odds), random),
      ]);
      if (found !== undefined) alarms += 1;
    }
    expect(alarms / 200).toBeLessThanOrEqual(0.05);
  });

  it.each([
    // A version that always fails, at 1 % of 100 requests a batch: the third failure is enough.
    { rate: 0.001, bad: 1, requests: 99, canary: 1, within: 4 },
    { rate: 0.01, bad: 0.3, requests: 95, canary: 5, within: 8 },
    { rate: 0.05, bad: 0.2, requests: 50, canary: 50, within: 5 },
  ])(
    'find a rise from $rate to $bad within $within batches, on average',
    ({ rate, bad, requests, canary, within }) => {
      const random = seededRandom(5);
      let total = 0;
      for (let stream = 0; stream < 60; stream += 1) {
        const found = alarm({ error: 0.01 / 3 }, () => [
          requests,
          drawn(requests, rate, random),
          canary,
          drawn(canary, bad, random),
        ]);
        total += (found ?? 100) + 1;
      }
      expect(total / 60).toBeLessThanOrEqual(within);
    },
  );

  it('find fewer events too, where both sides count', () => {
    const random = seededRandom(9);
    const fewer = (): Batch => [50, drawn(50, 0.2, random), 50, 0];
    expect(alarm({ sides: 'both' }, fewer)).toBeLessThan(10);
    expect(alarm({ sides: 'more' }, fewer)).toBeUndefined();
  });
});

describe('the bound on passing', () => {
  /** The lowest bound that a stream comes to. */
  const lowest = (odds: number, share: number, missed: number, random: Random): number => {
    const worse = (odds * missed) / (1 - missed + odds * missed);
    let evidences = noEvidence('more');
    let least = 1;
    for (let at = 0; at < 40; at += 1) {
      const batch = [20, drawn(20, missed, random), share, drawn(share, worse, random)];
      evidences = addBatch(evidences, batch, 1.2);
      least = Math.min(least, passingBound(evidences, 5));
    }
    return least;
  };

  it.each([0.1, 0.5, 0.86])(
    'is passed by bad versions as seldom as stated, of a champion that misses %d',
    (missed) => {
      const random = seededRandom(31);
      for (const [odds, share] of [
        [6, 5],
        [6, 20],
        [20, 20],
      ] as const) {
        let passed = 0;
        for (let stream = 0; stream < STREAMS; stream += 1)
          if (lowest(odds, share, missed, random) <= 0.05) passed += 1;
        expect(passed / STREAMS).toBeLessThanOrEqual(0.05);
      }
    },
  );

  it('is reached by a version that is no worse', () => {
    const random = seededRandom(33);
    let reached = 0;
    for (let stream = 0; stream < 100; stream += 1) if (lowest(1, 20, 0.5, random) <= 0.05) reached += 1;
    expect(reached).toBeGreaterThan(97);
  });
});

describe('the interval of a rate', () => {
  it('holds the rate at all times at once with the stated probability', () => {
    const random = seededRandom(21);
    let missed = 0;
    for (let stream = 0; stream < 200; stream += 1) {
      let events = 0;
      for (let requests = 1; requests <= 300; requests += 1) {
        if (random() < 0.15) events += 1;
        if (requests % 10 !== 0) continue;
        const { low, high } = rateInterval(requests, events, 0.05);
        if (low <= 0.15 && 0.15 <= high) continue;
        missed += 1;
        break;
      }
    }
    expect(missed / 200).toBeLessThanOrEqual(0.05);
  });

  it('is everything without requests, and narrows', () => {
    expect(rateInterval(0, 0, 0.05)).toEqual({ rate: 0, low: 0, high: 1 });
    const { low, high } = rateInterval(10_000, 1_000, 0.05);
    expect(low).toBeGreaterThan(0.085);
    expect(high).toBeLessThan(0.116);
    expect(rateInterval(100, 0, 0.05).low).toBe(0);
    expect(rateInterval(100, 100, 0.05).high).toBe(1);
  });
});
