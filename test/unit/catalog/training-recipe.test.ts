import { describe, expect, it } from 'vitest';
import { model } from '../../../src/define/model.ts';
import { fromFeature } from '../../../src/define/model-input.ts';
import { customer } from '../../support/catalog/entities.ts';
import { purchases } from '../../support/catalog/features.ts';
import { mistakeOf } from '../../support/catalog-mistakes.ts';

const COMMON = {
  name: 'm',
  description: 'A model.',
  entity: customer,
  inputs: { features: { columns: { c: fromFeature(purchases.window(30), { default: 0 }) } } },
};
const classification = <const Label extends string>(classes: readonly Label[]) =>
  model.classification({
    ...COMMON,
    classes,
    outputs: { probabilities: 'value' },
    training: { kind: 'network', hidden: [4] },
  });

describe('the recipe that a model declares', () => {
  it('has the task of the model, and defaults', () => {
    const { training } = model.regression({
      ...COMMON,
      outputs: { value: 'value' },
      training: { kind: 'trees', trees: 50 },
    });
    expect(training).toMatchObject({ kind: 'trees', task: 'regression', trees: 50, leaves: 31 });
    expect(classification(['a', 'b']).training).toMatchObject({ task: 'binary', hidden: [4], epochs: 20 });
    expect(model.regression({ ...COMMON, outputs: { value: 'value' } }).training).toBeUndefined();
  });

  it('is a mistake if a setting is out of its range, or if there are not two classes', () => {
    const deep = model.regression({
      ...COMMON,
      outputs: { value: 'value' },
      training: { kind: 'trees', depth: 90 },
    });
    expect(mistakeOf(deep)).toMatch(/"depth" of `training`/);
    expect(mistakeOf(classification(['a', 'b', 'c']))).toMatch(/3 classes, and a recipe learns two/);
  });
});
