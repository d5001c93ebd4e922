import { describe, expect, it } from 'vitest';
import {
  type Answered,
  type Judged,
  judge,
  recoveredAfterMs,
  usualShare,
} from '../../../scripts/chaos/judgement.ts';
import { OPERATIONS, statedFor } from '../../../scripts/chaos/operations.ts';

const read: Answered = { operation: 'strong read', begunMs: 0, afterMs: 5, status: 200 };
const refusal: Answered = { ...read, status: 503, code: 'database_unavailable', hasRetryAfter: true };
const while_ = statedFor('strong read', ['database']);

describe('an answer', () => {
  it.each<[what: string, answered: Answered, judged: Judged]>([
    ['data', read, { outcome: 'data' }],
    ['that stands in', { ...read, mark: 'origin-unavailable' }, { outcome: 'marked' }],
    ['that is refused as stated', refusal, { outcome: 'refused' }],
    ['that never came', { ...read, status: undefined }, { broken: 'no answer' }],
    ['500', { ...refusal, status: 500, code: 'internal' }, { broken: 'server error' }],
    ['later than stated', { ...refusal, afterMs: while_.withinMs + 101 }, { broken: 'late' }],
    [
      'within the slack of the machine',
      { ...refusal, afterMs: while_.withinMs + 99 },
      { outcome: 'refused' },
    ],
    [
      '404 where there is a row',
      { ...read, status: 404, code: 'not_found' },
      { broken: 'status not stated' },
    ],
    ['503 without a code', { ...refusal, code: undefined }, { broken: 'code not stated' }],
    ['503 with a code of another status', { ...refusal, code: 'internal' }, { broken: 'code not stated' }],
    ['503 with an unknown code', { ...refusal, code: 'oops' }, { broken: 'code not stated' }],
    ['503 without Retry-After', { ...refusal, hasRetryAfter: false }, { broken: 'no Retry-After' }],
    [
      'a write that stands in',
      { ...read, operation: 'write', mark: 'stale' },
      { broken: 'status not stated' },
    ],
  ])('%s', (_, answered, judged) => {
    expect(judge(answered, while_, 100)).toEqual(judged);
  });

  it('is not refused while no peer is in trouble', () => {
    expect(judge(refusal, statedFor('strong read', []), 0)).toEqual({ broken: 'status not stated' });
  });
});

describe('what is stated', () => {
  it('is the table of docs/operations.md', () => {
    expect(while_).toEqual({ refusals: new Set([503]), withinMs: 11_000 });
    expect(statedFor('event', ['database'])).toEqual({ refusals: new Set(), withinMs: 1_000 });
    expect(statedFor('write', ['root-clock']).refusals).toEqual(new Set([503]));
  });

  it('adds the waits for several peers', () => {
    const both = statedFor('write', ['database', 'root-clock']).withinMs;
    expect(both).toBe(
      statedFor('write', ['database']).withinMs + statedFor('write', ['root-clock']).withinMs,
    );
  });

  it('allows no refusal without a fault', () => {
    for (const operation of OPERATIONS)
      expect(statedFor(operation, [])).toEqual({ refusals: new Set(), withinMs: 1_000 });
  });
});

describe('the steady state', () => {
  const at = (begunMs: number, judged: Judged): readonly [Answered, Judged] => [{ ...read, begunMs }, judged];
  /** Ten answers a second from 0 on; those before `untilMs` are refused. */
  const refusedUntil = (untilMs: number, seconds = 8) =>
    Array.from({ length: seconds * 10 }, (_, index) =>
      at(index * 100, { outcome: index * 100 < untilMs ? 'refused' : 'data' }),
    );
  const window = { fromMs: 0, untilMs: 8_000, share: 1 };

  it('is reached at the end of the last second that is not as before', () => {
    expect(recoveredAfterMs(refusedUntil(0), window)).toBe(0);
    expect(recoveredAfterMs(refusedUntil(2_500), window)).toBe(3_000);
  });

  it('is not reached while the last second is not as before, or has no answer', () => {
    expect(recoveredAfterMs(refusedUntil(8_000), window)).toBeUndefined();
    expect(recoveredAfterMs(refusedUntil(0, 7), window)).toBeUndefined();
    expect(recoveredAfterMs([], { ...window, untilMs: 500 })).toBeUndefined();
  });

  it('is not reached with a single refusal', () => {
    const once = refusedUntil(0).map((rated, index) =>
      index === 35 ? at(3_500, { outcome: 'refused' }) : rated,
    );
    expect(recoveredAfterMs(once, window)).toBe(4_000);
  });

  it('allows what there was before the fault', () => {
    const half = Array.from({ length: 800 }, (_, index) =>
      at(index * 10, { outcome: index % 2 === 0 ? 'marked' : 'data' }),
    );
    expect(recoveredAfterMs(half, { ...window, share: 0.5 })).toBe(0);
    expect(recoveredAfterMs(half, { ...window, share: 1 })).toBeUndefined();
  });

  it('counts a broken answer as unusual', () => {
    expect(
      usualShare([{ outcome: 'data' }, { broken: 'late' }, { outcome: 'marked' }, { outcome: 'data' }]),
    ).toBe(0.5);
  });
});
