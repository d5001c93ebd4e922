import fc from 'fast-check';
import { expect, it } from 'vitest';
import {
  APPROVAL_MS,
  approved,
  asked,
  NEVER_SWITCHED,
  type PhaseRecord,
  parseRecord,
  statesOf,
  switched,
} from '../../../../src/operations/phases/record.ts';
import {
  PHASE_NAMES,
  PHASE_STATES,
  type PhaseName,
  phaseCode,
  statesOfCode,
} from '../../../../src/platform/phases.ts';

const change = fc.record({
  phase: fc.constantFrom(...PHASE_NAMES),
  state: fc.constantFrom(...PHASE_STATES),
  by: fc.string(),
  reason: fc.string(),
});

it('each phase is in the state of its last switch, and says who made it', () => {
  fc.assert(
    fc.property(fc.array(change, { maxLength: 20 }), (changes) => {
      let record = NEVER_SWITCHED;
      const expected = new Map<PhaseName, unknown>();
      for (const [index, one] of changes.entries()) {
        const { phase, ...of } = one;
        const before = record;
        record = switched(record, one, index);
        if (before[phase].state === of.state) expect(record).toBe(before);
        else expected.set(phase, { ...of, atMs: index, approvedBy: null, asked: null });
      }
      for (const phase of PHASE_NAMES)
        expect(record[phase]).toEqual(expected.get(phase) ?? NEVER_SWITCHED[phase]);
      expect(parseRecord(JSON.stringify(record))).toEqual(record);
    }),
  );
});

it('refuses a phase and a state that there is not', () => {
  const one = { phase: 'cache', state: 'off', by: 'a', reason: 'r' } as const;
  expect(() => switched(NEVER_SWITCHED, { ...one, phase: 'core' as 'cache' }, 0)).toThrow(RangeError);
  expect(() => switched(NEVER_SWITCHED, { ...one, state: 'away' as 'off' }, 0)).toThrow(RangeError);
});

it('each combination of states has a number of its own, and 0 is all on', () => {
  const codes = Array.from({ length: 27 }, (_, code) => code);
  expect(codes.map((code) => phaseCode(statesOfCode(code)))).toEqual(codes);
  expect(statesOfCode(0)).toEqual(statesOf(NEVER_SWITCHED));
  for (const wrong of [-1, 27, 0.5]) expect(() => statesOfCode(wrong)).toThrow(RangeError);
});

const OFF = switched(NEVER_SWITCHED, { phase: 'cache', state: 'off', by: 'key:a', reason: 'r' }, 1);
const ASK = { phase: 'cache', by: 'key:a', reason: 'mended', gates: ['history'] } as const;

function recordOf(of: ReturnType<typeof approved>): PhaseRecord {
  if (typeof of === 'string') throw new Error(of);
  return of;
}

it('a switch that waits changes no state, and a second principal makes it', () => {
  const waiting = asked(OFF, ASK, 10);
  expect(statesOf(waiting)).toEqual(statesOf(OFF));
  expect(waiting.cache.asked).toEqual({ atMs: 10, by: 'key:a', reason: 'mended', gates: ['history'] });
  const after = recordOf(approved(waiting, { phase: 'cache', by: 'key:b' }, 20));
  expect(after.cache).toEqual({
    ...{ state: 'on', atMs: 20, by: 'key:a', reason: 'mended', approvedBy: 'key:b', asked: null },
  });
  expect(parseRecord(JSON.stringify(after))).toEqual(after);
});

it.each([
  ['key:a', 10, 'same_principal'],
  ['key:b', 10 + APPROVAL_MS, undefined],
  ['key:b', 11 + APPROVAL_MS, 'too_late'],
])('%s at %d is refused as %s', (by, atMs, refusal) => {
  const found = approved(asked(OFF, ASK, 10), { phase: 'cache', by }, atMs);
  expect(typeof found === 'string' ? found : undefined).toBe(refusal);
});

it('nothing waits for a phase that nobody asked for, that is on, or that was switched since', () => {
  const approval = { phase: 'cache', by: 'key:b' } as const;
  expect(approved(OFF, approval, 0)).toBe('nothing_asked');
  expect(asked(NEVER_SWITCHED, ASK, 0)).toBe(NEVER_SWITCHED);
  const since = switched(asked(OFF, ASK, 10), { ...ASK, state: 'degraded' }, 11);
  expect(approved(since, approval, 12)).toBe('nothing_asked');
  expect(approved(asked(OFF, ASK, 10), { ...approval, phase: 'inference' }, 12)).toBe('nothing_asked');
});

it('a record of an earlier release has neither approvals nor asks', () => {
  const entry = { state: 'off', atMs: 1, by: 'key:a', reason: 'r' };
  const record = parseRecord(JSON.stringify({ pipeline: entry, cache: entry, inference: entry }));
  expect(record.cache).toEqual({ ...entry, approvedBy: null, asked: null });
});
