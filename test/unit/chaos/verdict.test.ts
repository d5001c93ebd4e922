import { describe, expect, it } from 'vitest';
import type { Answered } from '../../../scripts/chaos/judgement.ts';
import { availabilityOf, type Seen, verdictOf } from '../../../scripts/chaos/verdict.ts';
import { judgeHistory } from '../../support/coherence/judge.ts';

const EXPERIMENT = {
  fault: { peers: ['database'] },
  steadyState: { withinMs: 5_000 },
  verdict: { felt: ['refused', 'marked'] },
} as const;
/** The fault lasts from 10 s to 20 s, the load ends at 30 s. */
const timeline = { faultMs: 10_000, endOfFaultMs: 20_000, endOfLoadMs: 30_000 };
const read = (begunMs: number): Answered => ({ operation: 'strong read', begunMs, afterMs: 5, status: 200 });
const refused = (begunMs: number): Answered => ({
  ...{ ...read(begunMs), status: 503, code: 'database_unavailable', hasRetryAfter: true },
});
/** Ten answers a second; refused during the fault and two seconds after it. */
const answers = Array.from({ length: 299 }, (_, index) => {
  const begunMs = index * 100;
  return begunMs >= timeline.faultMs && begunMs < 22_000 ? refused(begunMs) : read(begunMs);
});
const events = { lost: [], doubled: [], foreign: [], miscounted: [] };
const SEEN: Seen = {
  ...{ answers, timeline, events, violations: [], acknowledgedEvents: 3, settledAfterMs: 10, unsent: 0 },
  evidence: undefined,
  slowestMs: { before: 10, during: 10, after: 10 },
};
const reasonsOf = (changed: Partial<Seen>) => verdictOf({ ...SEEN, ...changed }, EXPERIMENT).reasons;
const withAnswer = (answered: Answered) => reasonsOf({ answers: [...answers, answered] });

describe('a verdict', () => {
  it('holds, with the figures of each phase', () => {
    const { reasons, recoveredAfterMs, phases } = verdictOf(SEEN, EXPERIMENT);
    expect({ reasons, recoveredAfterMs }).toEqual({ reasons: [], recoveredAfterMs: 2_000 });
    expect(phases.before).toMatchObject({ requests: 100, outcomes: { data: 100, marked: 0, refused: 0 } });
    expect(phases.during).toMatchObject({ requests: 120, outcomes: { data: 0, marked: 0, refused: 120 } });
    expect(phases.after).toMatchObject({ requests: 79, outcomes: { data: 79, marked: 0, refused: 0 } });
    const all = availabilityOf(Object.values(phases));
    expect(all).toEqual({ stated: 1, withData: 179 / 299 });
  });

  it.each<[what: string, answered: Answered, says: RegExp]>([
    [
      'a 500',
      { ...refused(15_000), status: 500, code: 'internal' },
      /1 answers during the fault .*server error/,
    ],
    ['a hang', { ...read(15_000), status: undefined, afterMs: 30_000 }, /during the fault .*no answer/],
    ['a late answer', { ...refused(15_000), afterMs: 20_000 }, /during the fault .*late/],
    ['a refusal without Retry-After', { ...refused(15_000), hasRetryAfter: false }, /no Retry-After/],
    ['a refusal before the fault', refused(5_000), /before the fault .*status not stated/],
    ['a refusal long after the fault', refused(25_000), /steady state was reached after 6000 ms/],
    ['a late answer in the steady state', { ...read(25_000), afterMs: 2_000 }, /after the fault .*late/],
  ])('does not hold with %s', (_, answered, says) => {
    expect(withAnswer(answered)).toEqual([expect.stringMatching(says)]);
  });

  it('does not hold with a stale answer that does not say so', () => {
    const moment = (ms: number) => ({ ms, order: ms });
    const dep = 'product:1';
    const write = (version: number) => ({
      ...{ dep, version, absent: false, begun: moment(version), acknowledged: moment(version + 1) },
    });
    const stale = {
      ...{
        dep,
        level: 'strong' as const,
        shown: 1,
        begun: moment(9),
        ended: moment(10),
        boundMs: 1,
        note: 'isolate 0',
      },
    };
    const violations = (marked: boolean, level: 'strong' | 'bounded') =>
      judgeHistory(
        [write(1), write(4)].map((one, at) => ({ ...one, version: at + 1 })),
        [{ ...stale, marked, level }],
      );
    expect(reasonsOf({ violations: violations(false, 'strong') })).toEqual([
      expect.stringMatching(
        /1 answers are stale and do not say so \(strong\), such as isolate 0: shown 1, owed 2/,
      ),
    ]);
    expect(reasonsOf({ violations: violations(false, 'bounded') })).toHaveLength(1);
    expect(reasonsOf({ violations: violations(true, 'bounded') })).toEqual([]);
  });

  it.each(['lost', 'doubled', 'foreign', 'miscounted'] as const)(
    'does not hold with events that are %s',
    (what) => {
      expect(reasonsOf({ events: { ...events, [what]: ['x'] } })).toEqual([expect.stringContaining('1 ')]);
    },
  );

  it('does not hold if the events do not settle', () => {
    expect(reasonsOf({ settledAfterMs: undefined })).toEqual(['The events did not settle in time.']);
  });

  it('does not hold if half of the reads are slow during the fault', () => {
    const slow = answers.map((answered) =>
      answered.status === 503 ? { ...answered, afterMs: 1_500 } : answered,
    );
    expect(reasonsOf({ answers: slow })).toEqual([
      'Half of the reads took 1500 ms and more during the fault, instead of 1000 ms.',
    ]);
  });

  it('does not hold if the fault was not felt', () => {
    const usual = answers.map(({ begunMs }) => read(begunMs));
    expect(reasonsOf({ answers: usual })).toEqual([expect.stringContaining('The fault was not felt')]);
    expect(reasonsOf({ answers: usual, evidence: 'a statement took 2 s' })).toEqual([]);
  });

  it('does not hold if the steady state comes late, or never', () => {
    const until = (ms: number) =>
      answers.map(({ begunMs }) => (begunMs >= 10_000 && begunMs < ms ? refused(begunMs) : read(begunMs)));
    expect(reasonsOf({ answers: until(26_000) })).toEqual([
      'The steady state was reached after 6000 ms instead of 5000 ms.',
    ]);
    expect(reasonsOf({ answers: until(30_000) })).toEqual(['The steady state was not reached again.']);
  });

  it('does not hold with too few answers before the fault', () => {
    const late = answers.filter(({ begunMs }) => begunMs >= timeline.faultMs);
    expect(reasonsOf({ answers: late })).toContain(
      'There were 0 answers before the fault, which is too few to tell a difference.',
    );
  });
});
