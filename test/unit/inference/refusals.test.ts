import fc from 'fast-check';
import onnxProto, { type onnx as Onnx } from 'onnx-proto';
import { describe, expect, it } from 'vitest';
import { assertServable } from '../../../src/inference/onnx-file/refusals.ts';
import { Failure } from '../../../src/platform/failure.ts';
import { classifierGraph, regressionGraph, treeGraph } from '../../support/onnx/graph.ts';

const { onnx } = onnxProto;
const { DataType } = onnx.TensorProto;
const { AttributeType } = onnx.AttributeProto;

const integer = (name: string, i: number) => ({ name, type: AttributeType.INT, i });
const text = (name: string, s: string) => ({
  name,
  type: AttributeType.STRING,
  s: new TextEncoder().encode(s),
});
const int64 = (name: string, value: number) => ({
  name,
  dims: [],
  dataType: DataType.INT64,
  rawData: new Uint8Array(BigInt64Array.of(BigInt(value)).buffer),
});
const floats = (name: string, ...values: number[]) => ({
  name,
  dims: [values.length],
  dataType: DataType.FLOAT,
  floatData: values,
});
const bool = (name: string, value: boolean) => ({
  name,
  dims: [],
  dataType: DataType.BOOL,
  int32Data: [Number(value)],
});

function fileOf(
  node: Onnx.INodeProto | readonly Onnx.INodeProto[],
  graph: Onnx.IGraphProto = {},
): Uint8Array {
  return onnx.ModelProto.encode({
    irVersion: 10,
    opsetImport: [{ domain: '', version: 20 }],
    graph: { name: 'g', node: [node].flat(), ...graph },
  }).finish();
}

function loop(count: string, body: readonly Onnx.INodeProto[]): Onnx.INodeProto {
  const attribute = [{ name: 'body', type: AttributeType.GRAPH, g: { name: 'b', node: [...body] } }];
  return { opType: 'Loop', input: [count, '', 'x'], output: ['y'], attribute };
}

describe('a graph is refused by the name of its operator', () => {
  const dropout = (training: string) => ({ opType: 'Dropout', input: ['x', '', training], output: ['y'] });
  const resize = (scales: string) => ({
    opType: 'Resize',
    input: ['x', '', scales],
    output: ['y'],
    attribute: [text('coordinate_transformation_mode', 'align_corners')],
  });
  const lstm = (layout: number) => ({ opType: 'LSTM', attribute: [integer('layout', layout)] });
  const attention = (causal: number) => ({
    opType: 'Attention',
    input: ['q', 'k', 'v'],
    output: ['y', '', '', 'qk'],
    attribute: [integer('is_causal', causal)],
  });
  const constant = (output: string, value: Onnx.ITensorProto) => ({
    opType: 'Constant',
    output: [output],
    attribute: [{ name: 'value', type: AttributeType.TENSOR, t: value }],
  });
  const input = [{ name: 'x', type: { tensorType: { elemType: DataType.BOOL } } }];

  it.each<[string, Uint8Array, Uint8Array | undefined]>([
    ['RandomNormal', fileOf({ opType: 'RandomNormal' }), undefined],
    ['Dropout', fileOf(dropout('t')), fileOf(dropout('t'), { initializer: [bool('t', false)] })],
    ['Dropout', fileOf(dropout('t'), { initializer: [bool('t', true)] }), fileOf(dropout(''))],
    ['LSTM', fileOf(lstm(1)), fileOf(lstm(0))],
    ['Attention', fileOf(attention(1)), fileOf(attention(0))],
    [
      'Resize',
      fileOf(resize('s'), { initializer: [floats('s', 1, 0.6)] }),
      fileOf([constant('s', floats('', 1, 2)), resize('s')]),
    ],
    ['Resize', fileOf(resize('s')), fileOf(resize(''))],
    [
      'ReduceMax',
      fileOf({ opType: 'ReduceMax', input: ['x'] }, { input }),
      fileOf({ opType: 'ReduceMax', input: ['z'] }, { input }),
    ],
    ['Loop', fileOf(loop('n', [])), fileOf(loop('n', []), { initializer: [int64('n', 10_000)] })],
    // A hundred times a hundred, and a hundred times a hundred and one.
    [
      'Loop',
      fileOf(loop('n', [constant('m', int64('', 101)), loop('m', [])]), { initializer: [int64('n', 100)] }),
      fileOf(loop('n', [constant('m', int64('', 100)), loop('m', [])]), { initializer: [int64('n', 100)] }),
    ],
    [
      'RandomUniform',
      fileOf(loop('n', [{ opType: 'RandomUniform' }]), { initializer: [int64('n', 1)] }),
      undefined,
    ],
  ])('%s', (operator, refused, served) => {
    expect(() => assertServable(refused)).toThrow(`The operator ${operator} is refused: `);
    if (served !== undefined) assertServable(served);
  });

  it('which an operator of another domain may share', () => {
    assertServable(fileOf({ opType: 'RandomNormal', domain: 'com.example' }));
  });
});

it('a file is refused that is newer than the runtime, or that has its weights elsewhere', () => {
  const model = (more: Onnx.IModelProto) => onnx.ModelProto.encode({ irVersion: 10, ...more }).finish();
  expect(() => assertServable(model({ opsetImport: [{ domain: 'ai.onnx', version: 27 }] }))).toThrow(
    /opset 27/,
  );
  expect(() => assertServable(model({ irVersion: 14 }))).toThrow(/IR version 14/);
  const external = { name: 'w', dims: [1], dataType: DataType.FLOAT, dataLocation: 1 };
  expect(() => assertServable(fileOf([], { initializer: [external] }))).toThrow(/"w" are in another file/);
});

it('the graphs of other tools are served', () => {
  for (const bytes of [classifierGraph(), regressionGraph(), treeGraph(2)]) assertServable(bytes);
});

it('any other bytes are refused, or read as a file without operators', () => {
  const whole = regressionGraph();
  const damaged = fc
    .tuple(fc.nat(whole.length - 1), fc.nat(255))
    .map(([at, byte]) => Uint8Array.from(whole, (old, index) => (index === at ? byte : old)));
  const truncated = fc.nat(whole.length - 1).map((length) => whole.subarray(0, length));
  fc.assert(
    fc.property(fc.oneof(damaged, truncated, fc.uint8Array()), (bytes) => {
      try {
        assertServable(bytes);
      } catch (error) {
        expect(error).toBeInstanceOf(Failure);
        expect(error).toMatchObject({ code: 'invalid_model', pointer: '/model' });
      }
    }),
    { numRuns: 2_000 },
  );
});

it('a constant whose bytes do not fit its type, and graphs nested without end, are refused', () => {
  const odd = { name: 'n', dims: [], dataType: DataType.INT64, rawData: Uint8Array.of(1) };
  expect(() => assertServable(fileOf(loop('n', []), { initializer: [odd] }))).toThrow(Failure);
  let node: Onnx.INodeProto = { opType: 'Add' };
  for (let depth = 0; depth < 500; depth += 1) node = loop('', [node]);
  expect(() => assertServable(fileOf(node))).toThrow(Failure);
});
