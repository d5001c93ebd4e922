import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { SyncAnswer } from '../../../src/cache/clock/mirror.ts';
import { decodeAnswer, encodeAnswer } from '../../../src/cache/clock/wire.ts';
import { statesOfCode } from '../../../src/platform/phases.ts';

const wholeMs = fc.oneof(
  fc.nat(10_000),
  fc
    .maxSafeNat()
    .map((ms) => ms - 1)
    .filter((ms) => ms >= 0),
);
const age = fc.oneof(wholeMs, fc.constant(Number.POSITIVE_INFINITY));
const epoch = fc.oneof(fc.uuid(), fc.constant(''), fc.stringMatching(/^[0-9a-f-]{64}$/));
const numbers = fc.tuple(fc.maxSafeNat(), fc.maxSafeNat(), fc.maxSafeNat()).map((three) => {
  const [floorSeq = 0, sinceSeq = 0, seq = 0] = three.sort((a, b) => a - b);
  return { floorSeq, sinceSeq, seq };
});
const rest = fc.record({
  epoch,
  ageMs: age,
  askAgainMs: fc.nat(10_000),
  sources: fc.dictionary(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 12 }), age, { maxKeys: 5 }),
  changes: fc.uint8Array({ maxLength: 300 }),
});
const answer: fc.Arbitrary<SyncAnswer> = fc
  .tuple(rest, numbers)
  .map(([one, other]) => ({ ...one, ...other }));

/** What `run` ends with: undefined where it ends well. */
function errorOf(run: () => unknown): unknown {
  try {
    run();
    return undefined;
  } catch (error) {
    return error;
  }
}

describe('an answer to a sync in bytes', () => {
  it('is decoded to what was encoded, for every requested epoch', () => {
    fc.assert(
      fc.property(answer, epoch, fc.boolean(), (sent, other, same) => {
        const asked = same ? sent.epoch : other;
        expect(decodeAnswer(encodeAnswer(sent, asked), asked)).toEqual(sent);
      }),
    );
  });

  it('has the states of the phases for who takes them', () => {
    fc.assert(
      fc.property(answer, fc.nat(26), fc.double({ min: 0, max: 1, noNaN: true }), (sent, code, share) => {
        const phases = { states: statesOfCode(code), seq: Math.floor(sent.seq * share) };
        const switched = { ...sent, phases };
        expect(decodeAnswer(encodeAnswer(switched, '', true), '')).toEqual(switched);
        expect(encodeAnswer(switched, '')).toEqual(encodeAnswer(sent, ''));
      }),
    );
  });

  it('rounds ages and the pause up to whole milliseconds', () => {
    const ms = fc.double({ min: 0, max: 1e9, noNaN: true });
    fc.assert(
      fc.property(answer, ms, ms, (sent, ageMs, askAgainMs) => {
        const precise = { ...sent, ageMs, askAgainMs, sources: { outbox: ageMs } };
        const got = decodeAnswer(encodeAnswer(precise, ''), '');
        const whole = Math.ceil(ageMs);
        expect(got).toMatchObject({
          ageMs: whole,
          askAgainMs: Math.ceil(askAgainMs),
          sources: { outbox: whole },
        });
      }),
    );
  });

  it('without changes takes at most 32 bytes with one source', () => {
    const idle = {
      epoch: '0b8f62c4-8f0e-4a57-9a53-1e1f3a6f7d11',
      seq: Number.MAX_SAFE_INTEGER,
      sinceSeq: Number.MAX_SAFE_INTEGER,
      floorSeq: Number.MAX_SAFE_INTEGER - 200_000,
      ageMs: 1_999,
      askAgainMs: 1_000,
      sources: { outbox: 4_321 },
      changes: new Uint8Array(0),
    };
    expect(encodeAnswer(idle, idle.epoch).byteLength).toBeLessThanOrEqual(32);
    expect(encodeAnswer(idle, '').byteLength).toBe(encodeAnswer(idle, idle.epoch).byteLength + 37);
  });

  it('is refused with a RangeError if its head is truncated', () => {
    fc.assert(
      fc.property(answer, fc.nat(), (sent, cut) => {
        const head = encodeAnswer({ ...sent, changes: new Uint8Array(0) }, '');
        const part = head.subarray(0, cut % head.length);
        expect(errorOf(() => decodeAnswer(part, ''))).toBeInstanceOf(RangeError);
      }),
    );
  });

  it('of arbitrary bytes is decoded, or refused with a RangeError', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 120 }), (bytes) => {
        const error = errorOf(() => decodeAnswer(bytes, 'e'));
        expect(error === undefined || error instanceof RangeError).toBe(true);
      }),
      { numRuns: 2_000 },
    );
  });

  it.each([
    ['unknown flags', [6]],
    ['the format of an earlier version', [0, 1, 1, 1, 0]],
    ['a floor below 0', [2, 1, 1, 1, 1, 1, 0]],
    ['an epoch that is too long', [3, 65, ...new Array(65).fill(48), 1, 0, 0, 1, 1, 0]],
    ['a text that is not UTF-8', [3, 1, 0xff, 1, 0, 0, 1, 1, 0]],
    ['a number beyond 2^53', [2, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]],
    ['more sources than a clock has', [2, 1, 0, 0, 1, 1, 65]],
    ['a source named twice', [2, 1, 0, 0, 1, 1, 2, 1, 97, 1, 1, 97, 1]],
  ])('refuses %s', (_, bytes) => {
    expect(() => decodeAnswer(Uint8Array.from(bytes), 'e')).toThrow(RangeError);
  });

  it('is not encoded from values that no clock has', () => {
    const sent: SyncAnswer = {
      epoch: 'e',
      sinceSeq: 0,
      floorSeq: 0,
      seq: 1,
      ageMs: 0,
      askAgainMs: 50,
      sources: {},
      changes: new Uint8Array(0),
    };
    for (const wrong of [
      { seq: -1 },
      { seq: 0.5 },
      { ageMs: -2 },
      { ageMs: Number.NaN },
      { askAgainMs: Number.POSITIVE_INFINITY },
      { epoch: 'e'.repeat(65) },
      { sources: { outbox: Number.NEGATIVE_INFINITY } },
    ])
      expect(() => encodeAnswer({ ...sent, ...wrong }, '')).toThrow(RangeError);
  });
});
