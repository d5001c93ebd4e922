import fc from 'fast-check';
import { expect, it } from 'vitest';
import { NEVER_SWITCHED, parseRecord, statesOf, switched } from '../../../../src/operations/phases/record.ts';
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
        else expected.set(phase, { ...of, atMs: index });
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
