import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DATATYPES, type Datatype } from '../../../src/define/datatype.ts';
import { metadataOf, writeAnswer } from '../../../src/inference/open-inference/answer.ts';
import { fromBinary, toBinary } from '../../../src/inference/open-inference/binary.ts';
import { readInference } from '../../../src/inference/open-inference/request.ts';
import { ARRAYS, type TensorData, type Tensors } from '../../../src/inference/tensors.ts';
import { Failure } from '../../../src/platform/failure.ts';
import { parseJson } from '../../../src/platform/json.ts';

const SIGNATURES = {
  inputs: [
    { name: 'a', datatype: 'FP32', shape: [-1, 2] },
    { name: 'b', datatype: 'INT64', shape: [-1] },
  ],
  outputs: [
    { name: 'x', datatype: 'FP32', shape: [-1] },
    { name: 'y', datatype: 'INT64', shape: [-1] },
  ],
} as const;
const NONE = new Uint8Array();
const a = { name: 'a', datatype: 'FP32', shape: [1, 2], data: [1, 2] };
const b = { name: 'b', datatype: 'INT64', shape: [1], data: [3] };

const read = (json: unknown, binary: Uint8Array = NONE) => readInference(json, binary, SIGNATURES);
const answering = { model: 'm', version: 'v', id: undefined, parameters: {} };

describe('binary elements', () => {
  const bytesOf = (data: TensorData) => Uint8Array.from(toBinary(data));

  it('are the same bytes again, for every type but BOOL and BYTES, NaN with its bits included', () => {
    const types = DATATYPES.filter((type) => type !== 'BOOL' && type !== 'BYTES');
    fc.assert(
      fc.property(
        fc.constantFrom(...types),
        fc.nat(5),
        fc.infiniteStream(fc.nat(255)),
        (type, count, stream) => {
          const size = count * (ARRAYS[type]?.BYTES_PER_ELEMENT ?? 0);
          // At an odd place of the body, which no array of wider elements allows.
          const body = Uint8Array.from([0, ...Array.from({ length: size }, () => stream.next().value)]);
          expect(bytesOf(fromBinary(type, body.subarray(1), count, ''))).toEqual(body.slice(1));
        },
      ),
    );
  });

  it('of BYTES are texts with their lengths, byte order marks included', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'binary' }).filter((text) => !text.includes('\0'))), (texts) => {
        expect(fromBinary('BYTES', bytesOf(texts), texts.length, '')).toEqual(texts);
      }),
    );
    expect(fromBinary('BYTES', bytesOf(['\ufeffx']), 1, '')).toEqual(['\ufeffx']);
  });

  it.each<[string, Datatype, number[], number]>([
    ['too few bytes', 'FP32', [0, 0, 0], 1],
    ['a BOOL of 2', 'BOOL', [2], 1],
    ['a truncated text', 'BYTES', [4, 0, 0, 0, 97], 1],
    ['a truncated length', 'BYTES', [4, 0], 1],
    ['too few texts', 'BYTES', [0, 0, 0, 0], 2],
    ['a text that is not UTF-8', 'BYTES', [1, 0, 0, 0, 255], 1],
    ['a text with NUL', 'BYTES', [1, 0, 0, 0, 0], 1],
  ])('are refused: %s', (_, datatype, bytes, count) => {
    expect(() => fromBinary(datatype, Uint8Array.from(bytes), count, '/inputs/0')).toThrow(Failure);
  });
});

describe('a request', () => {
  it('has every 64-bit integer exactly, and writes it exactly', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), (value) => {
        const text = JSON.stringify({ inputs: [a, { ...b, data: [0] }] }).replace('[0]', `[${value}]`);
        const { tensors, outputs } = read(parseJson(text));
        expect(tensors['b']?.data).toEqual(BigInt64Array.of(value));
        const y = { datatype: 'INT64', shape: [1], data: BigInt64Array.of(value) } as const;
        const { body } = writeAnswer(answering, outputs, { y });
        expect(new TextDecoder().decode(body)).toContain(`"data":[${value}]`);
      }),
    );
    const beyond = parseJson(JSON.stringify({ inputs: [a, b] }).replace('[3]', '[9223372036854775808]'));
    expect(() => read(beyond)).toThrow(/not a value of INT64/);
  });

  it('reads inputs in JSON and binary beside each other, in the order of the request', () => {
    const size = (bytes: number) => ({ parameters: { binary_data_size: bytes } });
    const { data: _, ...bare } = a;
    const bytes = toBinary(Float32Array.of(Number.NaN, Number.NEGATIVE_INFINITY));
    const { tensors, id } = read({ id: 'i', inputs: [b, { ...bare, ...size(8) }] }, bytes);
    expect(tensors).toEqual({
      a: { datatype: 'FP32', shape: [1, 2], data: Float32Array.of(Number.NaN, Number.NEGATIVE_INFINITY) },
      b: { datatype: 'INT64', shape: [1], data: BigInt64Array.of(3n) },
    });
    expect(id).toBe('i');
  });

  it('names the outputs that it wants, and each in JSON or binary', () => {
    const inputs = [a, b];
    const both = (isBinary: boolean) => [
      { name: 'x', isBinary },
      { name: 'y', isBinary },
    ];
    expect(read({ inputs }).outputs).toEqual(both(false));
    expect(read({ inputs, parameters: { binary_data_output: true } }).outputs).toEqual(both(true));
    const outputs = [{ name: 'y', parameters: { binary_data: true } }, { name: 'x' }];
    expect(read({ inputs, outputs }).outputs).toEqual([
      { name: 'y', isBinary: true },
      { name: 'x', isBinary: false },
    ]);
  });

  it.each([
    ['no inputs', {}, 'invalid_request', '/inputs'],
    ['NaN as a text', { inputs: [{ ...a, data: [1, 'NaN'] }, b] }, 'tensor_mismatch', '/inputs/0/data'],
    ['an input without data', { inputs: [{ ...a, data: undefined }, b] }, 'invalid_request', '/inputs/0'],
    ['an unknown output', { inputs: [a, b], outputs: [{ name: 'z' }] }, 'tensor_mismatch', '/outputs/0/name'],
    [
      'an output twice',
      { inputs: [a, b], outputs: [{ name: 'x' }, { name: 'x' }] },
      'tensor_mismatch',
      '/outputs/1/name',
    ],
    [
      'a sequence',
      { inputs: [a, b], parameters: { sequence_id: 7 } },
      'invalid_request',
      '/parameters/sequence_id',
    ],
    [
      'shared memory',
      { inputs: [{ ...a, parameters: { shared_memory_region: 'r' } }, b] },
      'invalid_request',
      '/inputs/0/parameters/shared_memory_region',
    ],
    [
      'more binary data than there are',
      { inputs: [{ ...a, data: undefined, parameters: { binary_data_size: 8 } }, b] },
      'invalid_request',
      '/inputs/0/parameters/binary_data_size',
    ],
    [
      'more values than JSON may have',
      { inputs: [{ ...a, shape: [131_073, 2], data: [] }, b] },
      'tensor_mismatch',
      '/inputs/0/shape',
    ],
    [
      'nine dimensions',
      { inputs: [{ ...a, shape: [1, 1, 1, 1, 1, 1, 1, 1, 2] }, b] },
      'invalid_request',
      '/inputs/0/shape',
    ],
  ])('is refused with a pointer: %s', (_, json, code, pointer) => {
    const refused = (): unknown => {
      try {
        return read(json);
      } catch (error) {
        return error;
      }
    };
    expect(refused()).toMatchObject({ code, pointer });
  });

  it('is refused if binary data are left over', () => {
    expect(() => read({ inputs: [a, b] }, Uint8Array.of(1))).toThrow(/follow 1 bytes/);
  });
});

describe('an answer', () => {
  const outputs: Tensors = {
    x: { datatype: 'FP32', shape: [3], data: Float32Array.of(-0, 0.1, Number.NaN) },
    y: { datatype: 'INT64', shape: [1], data: BigInt64Array.of(2n ** 62n) },
  };

  it('has values that are not finite as binary data, and refuses them in JSON', () => {
    const { body, jsonBytes = 0 } = writeAnswer(
      { ...answering, id: 'i' },
      [
        { name: 'x', isBinary: true },
        { name: 'y', isBinary: false },
      ],
      outputs,
    );
    expect(JSON.parse(new TextDecoder().decode(body.subarray(0, jsonBytes)))).toMatchObject({
      model_name: 'm',
      model_version: 'v',
      id: 'i',
      outputs: [{ name: 'x', shape: [3], parameters: { binary_data_size: 12 } }, { name: 'y' }],
    });
    expect(fromBinary('FP32', body.subarray(jsonBytes), 3, '')).toEqual(outputs['x']?.data);
    expect(() => writeAnswer(answering, [{ name: 'x', isBinary: false }], outputs)).toThrow(
      /NaN at position 2/,
    );
  });

  it('keeps the sign of zero and the digits of a float', () => {
    const x = { datatype: 'FP32', shape: [2], data: Float32Array.of(-0, 0.1) } as const;
    const { body } = writeAnswer(answering, [{ name: 'x', isBinary: false }], { x });
    expect(JSON.parse(new TextDecoder().decode(body)).outputs[0].data).toEqual([-0, Math.fround(0.1)]);
  });
});

it('the metadata of a model have -1 for free dimensions', () => {
  expect(metadataOf('m', { version: 'v', ...SIGNATURES })).toEqual({
    name: 'm',
    versions: ['v'],
    platform: 'onnx_onnxv1',
    ...SIGNATURES,
  });
});
