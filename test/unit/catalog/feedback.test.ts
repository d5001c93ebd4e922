import { describe, expect, it } from 'vitest';
import { defineCatalog } from '../../../src/define/define-catalog.ts';
import { type DeclaredFeedback, feedback } from '../../../src/define/feedback.ts';
import { type ModelDefinition, model } from '../../../src/define/model.ts';
import { fromFeature } from '../../../src/define/model-input.ts';
import * as entities from '../../support/catalog/entities.ts';
import * as events from '../../support/catalog/events.ts';
import * as features from '../../support/catalog/features.ts';
import { catalog } from '../../support/catalog/index.ts';
import { mistakeOf } from '../../support/catalog-mistakes.ts';

const { customer, product } = entities;
const { purchase } = events;
const of = {
  entity: customer,
  event: purchase,
  key: ({ customerId }: { customerId: string | null }) => customerId,
};
const answers = feedback.ofAnswers({
  ...of,
  within: '7d',
  value: ({ quantity }) => quantity,
  hits: (quantity, { value }) => quantity === value,
});
const items = feedback.ofItems({ ...of, within: '7d', item: ({ sku }) => sku });

const MONTHS = { withinSeconds: 5_184_000 };

/** A regression with feedback that its type may not admit. */
const regression = (declared: DeclaredFeedback | undefined, labels = 0, times: object = MONTHS) =>
  model.regression({
    ...{ name: 'm', description: 'A model.', entity: customer, outputs: { value: 'y' } },
    inputs: { x: { columns: { n: fromFeature(features.purchases.window(30), { default: 0 }) } } },
    rollout: { canary: { labels }, ...times },
    ...(declared === undefined ? {} : { feedback: declared as never }),
  });

describe('feedback', () => {
  it('has its settings, and defaults for those that are left out', () => {
    expect(regression(answers).feedback).toMatchObject({
      ...{ of: 'answers', withinMs: 7 * 86_400_000, lateMs: 3_600_000, share: 1 },
    });
  });

  it.each([
    [{ share: 0 }, 'share'],
    [{ share: 1.1 }, 'share'],
    [{ lateMinutes: -1 }, 'lateMinutes'],
    [{ within: '0s' as const }, 'within "0s"'],
    [{ within: 'soon' as '1d' }, 'within "soon"'],
    [{ within: '1y' as const }, 'within "1y"'],
  ])('with %j is refused', (wrong, said) => {
    const declared = feedback.ofItems({ ...of, within: '7d', item: ({ sku }) => sku, ...wrong });
    expect(mistakeOf(regression(declared))).toContain(said);
  });

  const problemsOf = (definition: ModelDefinition) => {
    try {
      defineCatalog({ entities, events, features, models: { definition } });
      return '';
    } catch (error) {
      return String(error);
    }
  };

  it('brings labels within the time of a rollout that waits for them, or the catalog does not load', () => {
    const within = (within: '11s' | '7d') =>
      feedback.ofAnswers({
        ...{ ...of, within, lateMinutes: 0 },
        value: ({ quantity }) => quantity,
        hits: () => true,
      });
    // Answers live for an hour, and in the first hour of a step no trial begins.
    const step = { stepWithinSeconds: 600 };
    expect(problemsOf(regression(within('11s'), 10, step))).toMatch(/after 3611 s at the earliest/);
    expect(problemsOf(regression(within('11s'), 0, step))).not.toMatch(/at the earliest/);
    expect(problemsOf(regression(within('11s'), 10, { stepWithinSeconds: 3_612 }))).not.toMatch(/earliest/);
    // Four shares of a week each.
    expect(problemsOf(regression(within('7d'), 10, { withinSeconds: 2_000_000 }))).toMatch(/at the earliest/);
  });

  it('fits the model, or the catalog does not load', () => {
    expect(problemsOf(regression(answers, 10))).not.toMatch(/feedback/);
    expect(problemsOf(regression(items))).toMatch(/compared with items/);
    expect(problemsOf(regression(undefined, 10))).toMatch(/waits for labels/);
    expect(problemsOf(regression(undefined, 0, { canary: { excludes: {} } }))).toMatch(/waits for labels/);
    const ofProduct = feedback.ofAnswers({
      ...{ entity: product, event: purchase, within: '7d' },
      key: ({ sku }) => sku,
      value: ({ quantity }) => quantity,
      hits: () => true,
    });
    expect(problemsOf(regression(ofProduct))).toMatch(/Its events are of "product"/);
    expect(catalog.models.filter((of) => of.feedback !== undefined).map(({ name }) => name)).toEqual([
      'ranker',
    ]);
  });
});
