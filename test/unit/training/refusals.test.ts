import { describe, expect, it } from 'vitest';
import { CELLS_MAX, COLUMNS_MAX, ROWS_MAX, type TrainingColumns } from '../../../src/training/columns.ts';
import { startTrees } from '../../../src/training/trees/boost.ts';
import { madeUpSet } from '../../support/training/sets.ts';

const set = madeUpSet({ rows: 100, columns: 3, task: 'binary' });
const recipe = { kind: 'trees', task: 'binary' } as const;
const [first = new Float32Array()] = set.columns;
/** The same array for each column: a set that is too large takes no memory here. */
const wide = (columns: number, rows: number): TrainingColumns => {
  const column = new Float32Array(rows);
  return {
    names: Array.from({ length: columns }, (_, at) => `c${at}`),
    columns: Array.from({ length: columns }, () => column),
    labels: column,
    trainingRows: rows,
  };
};

describe('a training is refused', () => {
  it.each<[string, TrainingColumns]>([
    ['too_many_rows', wide(1, ROWS_MAX + 1)],
    ['too_many_columns', wide(COLUMNS_MAX + 1, 10)],
    ['too_many_cells', wide(100, CELLS_MAX / 100 + 1)],
    ['too_few_rows', { ...set, trainingRows: 10 }],
    ['too_few_rows', { ...set, trainingRows: 101 }],
    ['invalid_columns', { ...set, names: ['c0', 'c1'] }],
    ['invalid_columns', { ...set, names: ['c0', 'c1', 'c1'] }],
    ['invalid_columns', { ...set, columns: [first, first, first.subarray(1)] }],
    ['invalid_columns', { ...set, columns: [first, first, first.with(5, Number.NEGATIVE_INFINITY)] }],
    ['invalid_columns', { ...set, weights: first }],
    ['invalid_labels', { ...set, labels: set.labels.with(3, Number.NaN) }],
    ['invalid_labels', { ...set, labels: set.labels.with(3, 1.5) }],
    ['invalid_labels', { ...set, labels: set.labels.map(() => 1) }],
  ])('with the code %s', (code, of) => {
    expect(() => startTrees(recipe, of, 1)).toThrow(expect.objectContaining({ code }));
  });

  it.each([
    [{ trees: 0 }, 'invalid_recipe', /trees/],
    [{ trees: 1_000, leaves: 200 }, 'invalid_recipe', /399000 nodes/],
    [{ learningRat: 1 }, 'invalid_recipe', /learningRat/],
    [{ task: 'ranking' }, 'invalid_recipe', /task/],
  ])('for the recipe %o', (part, code, message) => {
    expect(() => startTrees({ ...recipe, ...part }, set, 1)).toThrow(
      expect.objectContaining({ code, message: expect.stringMatching(message) }),
    );
  });

  it('if its histograms would take too much memory', () => {
    const random = madeUpSet({ rows: 3_000, columns: 120, task: 'binary' });
    expect(() => startTrees({ ...recipe, trees: 10, leaves: 255 }, random, 1)).toThrow(
      expect.objectContaining({ code: 'training_too_large' }),
    );
  });
});
