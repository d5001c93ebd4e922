import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DATATYPES, type Datatype, holds, integerRange } from '../../../src/define/datatype.ts';
import { fromJson, type JsonElement, toJson } from '../../../src/inference/json-elements.ts';
import { inputTensors } from '../../../src/inference/tensor-request.ts';
import { Failure } from '../../../src/platform/failure.ts';

const FLOATS: readonly Datatype[] = ['FP16', 'FP32', 'FP64'];

function backAndForth(datatype: Datatype, values: readonly JsonElement[]): JsonElement[] | undefined {
  const read = fromJson(datatype, values);
  return read.ok ? toJson({ datatype, shape: [values.length], data: read.data }) : undefined;
}

describe('elements', () => {
  it('are returned as they were sent: every integer of every type', () => {
    for (const datatype of DATATYPES) {
      const range = integerRange(datatype);
      if (range === undefined) continue;
      const [min, max] = range;
      fc.assert(
        fc.property(fc.bigInt({ min, max }), (value) => {
          const isSafe = Number.isSafeInteger(Number(value));
          const element = isSafe ? Number(value) : String(value);
          expect(backAndForth(datatype, [element])).toEqual([element]);
        }),
      );
      for (const outside of [min - 1n, max + 1n])
        expect(
          backAndForth(datatype, [Number.isSafeInteger(Number(outside)) ? Number(outside) : String(outside)]),
        ).toBeUndefined();
    }
  });

  it('of floats are returned within their precision, and NaN and the infinities as text', () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
        expect(backAndForth('FP64', [value])).toEqual([value]);
      }),
    );
    expect(backAndForth('FP32', [0.1])).toEqual([Math.fround(0.1)]);
    for (const datatype of FLOATS)
      expect(backAndForth(datatype, ['NaN', 'Infinity', '-Infinity'])).toEqual([
        'NaN',
        'Infinity',
        '-Infinity',
      ]);
    expect(backAndForth('FP32', [1e39])).toBeUndefined();
    expect(backAndForth('FP16', [0.1, 65_504, -2e-8])).toEqual([Math.f16round(0.1), 65_504, -0]);
    expect(backAndForth('FP16', [65_520])).toBeUndefined();
  });

  it.each([
    ['INT32', 1.5],
    ['INT32', '1'],
    ['INT64', 2 ** 53],
    ['INT64', '1e3'],
    ['BOOL', 1],
    ['BYTES', 7],
    ['BYTES', '\ud800'],
    ['BYTES', 'a\0b'],
    ['FP32', true],
    ['FP32', '1.5'],
  ] as const)('%s rejects %j', (datatype, value) => {
    expect(fromJson(datatype, [value])).toEqual({ ok: false, wrong: 0 });
  });

  it('holds() agrees with the numbers that a tensor accepts', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...DATATYPES),
        fc.oneof(fc.integer(), fc.double({ noNaN: true })),
        (datatype, value) => {
          if (!Number.isFinite(value)) return;
          expect(holds(datatype, value)).toBe(fromJson(datatype, [value]).ok);
        },
      ),
    );
  });
});

describe('inputs of a request', () => {
  const signatures = [
    { name: 'a', datatype: 'FP32', shape: [-1, 2] },
    { name: 'b', datatype: 'BYTES', shape: [-1] },
  ] as const;
  const a = { name: 'a', datatype: 'FP32', shape: [1, 2], data: [1, 2] };
  const b = { name: 'b', datatype: 'BYTES', shape: [1], data: ['x'] };

  it('are read by name, in any order', () => {
    expect(inputTensors({ inputs: [b, a] }, signatures)).toMatchObject({
      a: { shape: [1, 2] },
      b: { data: ['x'] },
    });
  });

  it('are read flat, or nested in the form of the shape', () => {
    const dimensions = fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(dimensions, (shape) => {
        const flat = Array.from({ length: shape.reduce((size, one) => size * one, 1) }, (_, at) => at);
        const nested = shape
          .slice(1)
          .toReversed()
          .reduce<unknown[]>(
            (rows, length) =>
              Array.from({ length: rows.length / length }, (_, at) =>
                rows.slice(at * length, (at + 1) * length),
              ),
            flat,
          );
        const signature = [{ name: 'n', datatype: 'INT32', shape: shape.map(() => -1) }] as const;
        const read = (data: unknown) =>
          inputTensors({ inputs: [{ name: 'n', datatype: 'INT32', shape, data }] }, signature);
        expect(read(nested)).toEqual(read(flat));
      }),
    );
  });

  it.each([
    ['no list', { inputs: 7 }, '/inputs'],
    ['an unknown type', { inputs: [{ ...a, datatype: 'FP8' }, b] }, '/inputs/0/datatype'],
    ['one twice', { inputs: [a, a] }, '/inputs/1/name'],
    ['one missing', { inputs: [a] }, '/inputs'],
    ['another name', { inputs: [a, { ...b, name: 'c' }] }, '/inputs/1/name'],
    ['another rank', { inputs: [{ ...a, shape: [2] }, b] }, '/inputs/0/shape'],
    ['another dimension', { inputs: [{ ...a, shape: [1, 3], data: [1, 2, 3] }, b] }, '/inputs/0/shape'],
    ['too few values', { inputs: [{ ...a, data: [1] }, b] }, '/inputs/0/data'],
    ['uneven rows', { inputs: [{ ...a, data: [[1, 2, 3]] }, b] }, '/inputs/0/data'],
    ['rows beside values', { inputs: [{ ...a, data: [[1], 2] }, b] }, '/inputs/0/data'],
    ['a nested value of another type', { inputs: [{ ...a, data: [[1, 'x']] }, b] }, '/inputs/0/data/0/1'],
    ['1e39 as FP32', { inputs: [{ ...a, data: [1, 1e39] }, b] }, '/inputs/0/data/1'],
    ['a value of another type', { inputs: [a, { ...b, data: [1] }] }, '/inputs/1/data/0'],
  ])('are refused with a pointer: %s', (_, body, pointer) => {
    const refused = (): unknown => {
      try {
        return inputTensors(body, signatures);
      } catch (error) {
        return error;
      }
    };
    expect(refused()).toBeInstanceOf(Failure);
    expect(refused()).toMatchObject({ code: 'tensor_mismatch', pointer });
  });
});

describe('a tensor without rows or without dimensions', () => {
  const read = (shape: number[], data: unknown[]) =>
    inputTensors({ inputs: [{ name: 'n', datatype: 'INT32', shape, data }] }, [
      { name: 'n', datatype: 'INT32', shape: shape.map(() => -1) },
    ])['n'];

  it('is read as it is, flat and nested', () => {
    expect(read([], [7])).toMatchObject({ shape: [], data: Int32Array.of(7) });
    expect(read([0, 3], [])).toMatchObject({ shape: [0, 3], data: Int32Array.of() });
    expect(read([2, 0], [[], []])).toMatchObject({ shape: [2, 0], data: Int32Array.of() });
  });

  it('has to have the elements of its shape', () => {
    expect(() => read([], [])).toThrow(/needs 1 values/);
    expect(() => read([0], [1])).toThrow(/needs 0 values/);
  });
});
