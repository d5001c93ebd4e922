import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { CachedAnswer } from '../../../src/cache/cached-answer.ts';
import { AnswerCounts, type AnswerLabels, labelsOf } from '../../../src/operations/observation.ts';

const entry = { body: '{}', etag: '"e"', tagHashes: [], epoch: 'e', stamp: 0, filledAt: 0 };
function answerOf(source: CachedAnswer['source'], unverified?: CachedAnswer['unverified']): CachedAnswer {
  const freshness = { ageS: 0, ttlS: 0, maxAgeS: 0, judgedSeq: 0, mirrorAgeMs: 0, token: undefined };
  return { entry, source, unverified, ...freshness };
}
const hit = (tier: 'memory' | 'colo' | 'kv', stale = false) => ({ hit: true, tier, stale }) as const;
const miss = (forward: 'uri-miss' | 'stale' | 'bypass', collapsed = false) =>
  ({ hit: false, forward, stored: !collapsed, collapsed }) as const;

describe('the labels of an answer', () => {
  it.each<[string, CachedAnswer, AnswerLabels]>([
    ['a hit', answerOf(hit('colo')), { outcome: 'hit', tier: 'colo', reason: '' }],
    ['a stale hit', answerOf(hit('kv', true)), { outcome: 'stale', tier: 'kv', reason: '' }],
    [
      'a hit without the clock',
      answerOf(hit('memory'), 'clock-unavailable'),
      { outcome: 'hit', tier: 'memory', reason: 'clock-unavailable' },
    ],
    ['a miss', answerOf(miss('uri-miss')), { outcome: 'miss', tier: '', reason: 'uri-miss' }],
    ['a collapsed miss', answerOf(miss('stale', true)), { outcome: 'collapsed', tier: '', reason: 'stale' }],
    [
      'a miss because of a source',
      answerOf({ ...miss('stale'), because: 'source-behind' }),
      { outcome: 'miss', tier: '', reason: 'source-behind' },
    ],
    [
      'a read around the cache',
      answerOf(miss('bypass'), 'clock-unavailable'),
      { outcome: 'miss', tier: '', reason: 'clock-unavailable' },
    ],
    [
      'an entry in place of the origin',
      answerOf(miss('stale'), 'origin-unavailable'),
      { outcome: 'stand_in', tier: '', reason: 'origin-unavailable' },
    ],
  ])('%s', (_, answer, labels) => {
    expect(labelsOf(answer)).toEqual(labels);
  });
});

describe('the counts of an isolate', () => {
  const tier = fc.constantFrom('memory' as const, 'colo' as const, 'kv' as const);
  const doubt = fc.constantFrom(undefined, 'clock-unavailable' as const, 'source-behind' as const);
  // As reads give them: what is stale is known to be, and a read around the cache has its reason.
  const answer = fc.oneof(
    fc.tuple(tier, doubt).map(([name, unverified]) => answerOf(hit(name), unverified)),
    tier.map((name) => answerOf(hit(name, true))),
    fc
      .tuple(fc.constantFrom('uri-miss' as const, 'stale' as const), fc.boolean(), fc.boolean())
      .map(([forward, collapsed, behind]) =>
        answerOf({ ...miss(forward, collapsed), because: behind ? 'source-behind' : undefined }),
      ),
    fc.constant(answerOf(miss('bypass'), 'clock-unavailable')),
    fc.constant(answerOf(miss('stale'), 'origin-unavailable')),
  );

  it('follow the labels of each answer, and are drained once', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.constantFrom('v', 'w'), answer), { maxLength: 60 }), (answers) => {
        const counts = new AnswerCounts();
        const expected: Record<string, number> = {};
        for (const [view, given] of answers) {
          counts.record(view, given);
          const series = JSON.stringify([view, labelsOf(given)]);
          expected[series] = (expected[series] ?? 0) + 1;
        }
        const drained: Record<string, number> = {};
        counts.drain((view, labels, count) => {
          const series = JSON.stringify([view, labels]);
          drained[series] = (drained[series] ?? 0) + count;
        });
        expect(drained).toEqual(expected);
        counts.drain(() => expect.unreachable());
      }),
    );
  });
});
