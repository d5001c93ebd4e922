import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../../../src/platform/random.ts';
import { formatTraceparent, parseTraceparent } from '../../../../src/platform/tracing/context.ts';
import { newSpanId, Sampler, traceIdOf } from '../../../../src/platform/tracing/sampler.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const SPAN = '00f067aa0ba902b7';

describe('traceparent', () => {
  it('is read and written as it was', () => {
    const hex = (length: number) =>
      fc
        .string({ unit: fc.constantFrom(...'0123456789abcdef'), minLength: length, maxLength: length })
        .filter((text) => !/^0+$/.test(text));
    fc.assert(
      fc.property(hex(32), hex(16), fc.boolean(), (traceId, spanId, isSampled) => {
        const context = { traceId, spanId, isSampled };
        expect(parseTraceparent(formatTraceparent(context))).toEqual(context);
      }),
    );
  });

  it.each([
    ['of a later version', `cc-${TRACE}-${SPAN}-01`, true],
    ['of a later version with more members', `cc-${TRACE}-${SPAN}-01-what-the-future`, true],
    ['with other flags', `00-${TRACE}-${SPAN}-09`, true],
    ['that is not sampled', `00-${TRACE}-${SPAN}-02`, true],
    ['of version ff', `ff-${TRACE}-${SPAN}-01`, false],
    ['of version 0 with more members', `00-${TRACE}-${SPAN}-01-more`, false],
    ['with a later version and no separator', `cc-${TRACE}-${SPAN}-01.what`, false],
    ['in upper case', `00-${TRACE.toUpperCase()}-${SPAN}-01`, false],
    ['without a trace', `00-${'0'.repeat(32)}-${SPAN}-01`, false],
    ['without a span', `00-${TRACE}-${'0'.repeat(16)}-01`, false],
    ['that is too short', `00-${TRACE}-${SPAN}`, false],
    ['that is too long', `cc-${TRACE}-${SPAN}-01-${'a'.repeat(300)}`, false],
    ['that is empty', '', false],
    ['with two values', `00-${TRACE}-${SPAN}-01,00-${TRACE}-${SPAN}-01`, false],
  ])('%s is valid or begins a new trace', (_, text, isValid) => {
    expect(parseTraceparent(text) !== undefined).toBe(isValid);
  });
});

describe('the sampler', () => {
  const random = seededRandom(7);

  it('keeps its share of new traces, and decides about an id as about the draw that made it', () => {
    const sampler = new Sampler('traceidratio', 0.1);
    let kept = 0;
    for (let trace = 0; trace < 10_000; trace += 1) {
      const draw = random();
      const id = traceIdOf(draw, random);
      expect(id).toMatch(/^(?!0{32})[\da-f]{32}$/);
      expect(sampler.ofParent(id, false)).toBe(sampler.ofDraw(draw));
      if (sampler.ofDraw(draw)) kept += 1;
    }
    expect(kept).toBeGreaterThan(900);
    expect(kept).toBeLessThan(1_100);
  });

  it('follows the caller only where it is based on the parent', () => {
    const id = traceIdOf(0.5, random);
    expect(new Sampler('parentbased_traceidratio', 0).ofParent(id, true)).toBe(true);
    expect(new Sampler('parentbased_always_on', 0).ofParent(id, false)).toBe(false);
    expect(new Sampler('always_off', 1).ofParent(id, true)).toBe(false);
    expect(new Sampler('always_on', 0).ofParent(id, false)).toBe(true);
    expect(new Sampler('always_on', 0).readsParent).toBe(false);
  });

  it('makes ids of spans that are valid', () => {
    for (let span = 0; span < 1_000; span += 1) expect(newSpanId(random)).toMatch(/^(?!0{16})[\da-f]{16}$/);
    expect(newSpanId(() => 0)).toMatch(/^1/);
  });
});
