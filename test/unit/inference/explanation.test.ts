import { describe, expect, it } from 'vitest';
import { model, type PredictionModel } from '../../../src/define/model.ts';
import { fromFeature } from '../../../src/define/model-input.ts';
import { explain } from '../../../src/inference/explain/explanation.ts';
import type { Tensor, Tensors } from '../../../src/inference/tensors.ts';
import { customer } from '../../support/catalog/entities.ts';
import { purchases } from '../../support/catalog/features.ts';
import { shapleyByOrders } from '../../support/explain/permutations.ts';

const column = fromFeature(purchases.window(30), { default: 0 });
const columns = (count: number) =>
  Object.fromEntries(Array.from({ length: count }, (_, at) => [`c${at}`, column]));
const described = { name: 'm', description: 'A model.', entity: customer };
const regression = (count: number) =>
  model.regression({ ...described, inputs: { x: { columns: columns(count) } }, outputs: { value: 'v' } });
const row = (values: readonly number[]): Tensors => ({
  x: { datatype: 'FP32', shape: [1, values.length], data: Float32Array.from(values) },
});

interface World {
  readonly definition?: PredictionModel;
  readonly actual: readonly number[];
  readonly baseline?: readonly number[];
  /** What the graph computes of a row; several numbers for several classes. */
  readonly of: (row: readonly number[]) => number | readonly number[];
  readonly answer?: Readonly<Record<string, unknown>>;
  readonly shape?: readonly number[];
  readonly isWanted?: () => boolean;
}

async function explained({ actual, baseline = actual.map(() => 0), of, ...world }: World) {
  const width = actual.length;
  const noted = { rows: [] as number[], charged: [] as number[], pauses: 0 };
  const run = async ({ x }: Tensors): Promise<Tensors> => {
    const data = Array.from(x?.data ?? [], Number);
    const rows = data.length / width;
    noted.rows.push(rows);
    const outputs = Array.from({ length: rows }, (_, at) => of(data.slice(at * width, (at + 1) * width)));
    const made: Tensor = {
      datatype: 'FP64',
      shape: [rows, outputs.flat().length / rows],
      data: Float64Array.from(outputs.flat()),
    };
    return { v: made };
  };
  const graph = {
    inputs: [{ name: 'x', datatype: 'FP32', shape: world.shape ?? [-1, width] } as const],
    outputs: [],
    run,
  };
  const definition = world.definition ?? regression(width);
  const answer = world.answer ?? { value: of(actual) };
  const asked = { definition, graph, answer, actual: row(actual), baseline: row(baseline) };
  const charge = async (rows: number) => {
    noted.charged.push(rows);
  };
  const pause = async () => {
    noted.pauses += 1;
  };
  return { ...(await explain(asked, { charge, pause }, world.isWanted ?? (() => true))), ...noted };
}

const product = (values: readonly number[]) => values.reduce((made, value) => made * (1 + value), 1);

describe('an explanation', () => {
  it('has the exact contributions of a model that is no sum, and they add up to the answer', async () => {
    const actual = [2, -0.5, 0, 4, 1];
    const { contributions, baseline, score, ...noted } = await explained({ actual, of: product });
    const differing = [0, 1, 3, 4];
    const wanted = shapleyByOrders(differing.length, (set) =>
      product(actual.map((value, at) => (set.has(differing.indexOf(at)) ? value : 0))),
    );
    expect([baseline, score]).toEqual([1, product(actual)]);
    // A column that has its default is not listed.
    expect(contributions.map((one) => one.column).sort()).toEqual(['c0', 'c1', 'c3', 'c4']);
    for (const { column: name, contribution, value } of contributions) {
      const at = Number(name.slice(1));
      expect(value).toBe(actual[at]);
      expect(contribution).toBeCloseTo(wanted[differing.indexOf(at)] ?? Number.NaN, 10);
    }
    const total = contributions.reduce((sum, one) => sum + one.contribution, baseline);
    expect(total).toBeCloseTo(score, 10);
    expect(contributions.map((one) => Math.abs(one.contribution))).toEqual(
      contributions.map((one) => Math.abs(one.contribution)).toSorted((a, b) => b - a),
    );
    // One batch, which the request is charged for.
    expect(noted).toMatchObject({
      rows: [16],
      charged: [16],
      pauses: 0,
      method: 'enumeration',
      output: 'value',
    });
  });

  it('has no contributions for an entity that has all defaults', async () => {
    const made = await explained({ actual: [0, 3], baseline: [0, 3], of: product });
    expect(made).toMatchObject({ baseline: 4, score: 4, contributions: [], charged: [1] });
  });

  it('takes "missing" as a default like any other', async () => {
    const of = ([a = 0, b = 0]: readonly number[]) => (Number.isNaN(a) ? 5 : a) + b;
    const made = await explained({
      actual: [2, 1],
      baseline: [Number.NaN, Number.NaN],
      of: ([a = 0, b = 0]) => of([a, Number.isNaN(b) ? 0 : b]),
    });
    expect(made.contributions).toEqual([
      { input: 'x', column: 'c0', feature: 'purchases_30d', value: 2, baseline: null, contribution: -3 },
      { input: 'x', column: 'c1', feature: 'purchases_30d', value: 1, baseline: null, contribution: 1 },
    ]);
    const missing = await explained({ actual: [Number.NaN, 1], baseline: [Number.NaN, 0], of });
    expect(missing.contributions.map((one) => one.column)).toEqual(['c1']);
  });

  it('computes at most 4,096 rows, in runs between which other work gets its turn', async () => {
    const made = await explained({ actual: new Array<number>(12).fill(0.5), of: product });
    expect(made.rows).toEqual(new Array(16).fill(256));
    expect([made.pauses, made.charged]).toEqual([15, [4_096]]);
  });

  it('of a graph that takes a single row has a run for each coalition', async () => {
    const made = await explained({ actual: [1, 2, 3], of: product, shape: [1, 3] });
    expect(made.rows).toEqual(new Array(8).fill(1));
  });

  it('is of the probability of the answered class', async () => {
    const definition = model.classification({
      ...described,
      inputs: { x: { columns: columns(2) } },
      classes: ['no', 'yes'],
      outputs: { label: 'label', probabilities: 'v' },
    });
    const answer = { label: 'no', probabilities: { no: 0.25, yes: 0.75 } };
    const both = await explained({
      definition,
      answer,
      actual: [0.5, 0.25],
      of: ([a = 0, b = 0]) => [1 - a - b, a + b],
    });
    expect(both).toMatchObject({ output: 'probabilities', class: 'no', score: 0.25, baseline: 1 });
    // A binary classifier may output the probability of the second class alone.
    const second = await explained({
      definition,
      answer,
      actual: [0.5, 0.25],
      of: ([a = 0, b = 0]) => a + b,
    });
    expect(second.contributions).toEqual(both.contributions);
    expect(second.contributions.map((one) => one.contribution)).toEqual([-0.5, -0.25]);
  });
});

describe('no explanation is made up', () => {
  it.each([
    ['more columns than can be enumerated', { actual: new Array<number>(13).fill(1), of: product }],
    [
      'too many columns for a graph of one row',
      { actual: new Array<number>(7).fill(1), of: product, shape: [1, 7] },
    ],
    ['a graph whose rows depend on each other', { actual: [1, 2], of: product, answer: { value: 6.001 } }],
    [
      'a graph that has no number at the defaults',
      { actual: [1, 2], of: ([a = 0]: readonly number[]) => 1 / a },
    ],
    ['several numbers for a row', { actual: [1, 2], of: () => [1, 2], answer: { value: 1 } }],
  ])('for %s', async (_, world) => {
    await expect(explained(world)).rejects.toMatchObject({ code: 'not_explainable', pointer: 'include' });
  });

  it('for a label', async () => {
    const definition = model.classification({
      ...described,
      inputs: { x: { columns: columns(1) } },
      classes: ['no', 'yes'],
      outputs: { label: 'label' },
    });
    await expect(
      explained({ definition, answer: { label: 'no' }, actual: [1], of: product }),
    ).rejects.toMatchObject({ code: 'not_explainable' });
  });

  it('and no further run is made when nobody waits any more', async () => {
    let runs = 0;
    const of = (values: readonly number[]) => product(values);
    const isWanted = () => {
      runs += 1;
      return runs <= 2;
    };
    await expect(explained({ actual: new Array<number>(12).fill(1), of, isWanted })).rejects.toThrow();
    expect(runs).toBe(3);
  });
});
