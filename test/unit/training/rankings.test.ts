import { describe, expect, it } from 'vitest';
import type { Candidates } from '../../../src/define/candidates.ts';
import {
  ANSWERERS_BY_DEFAULT,
  type Segment,
  type SegmentAnswerers,
} from '../../../src/inference/segments.ts';
import { rankingEvaluation } from '../../../src/training/rankings/evaluation.ts';
import { ItemHistory } from '../../../src/training/rankings/item-history.ts';
import { JudgedLists, ShownRows } from '../../../src/training/rankings/judged.ts';
import { modelList, repeatList } from '../../../src/training/rankings/lists.ts';
import { rankingFrom, rankingMoments } from '../../../src/training/rankings/moments.ts';
import { sampledItems } from '../../../src/training/rankings/rows.ts';
import { answerersOf } from '../../../src/training/runs/evaluation.ts';

const DAY_MS = 86_400_000;

function candidatesOf(items: readonly string[]): Candidates {
  return {
    has: (item) => items.includes(item),
    popular: (limit) => items.slice(0, limit).map((item) => ({ item, score: 1 })),
    assemble: ({ isNew }, asked = items) =>
      isNew === true ? null : { items: asked, rows: Float32Array.from(asked, (item) => items.indexOf(item)) },
  };
}

describe('the history of items', () => {
  const history = new ItemHistory();
  const touch = (key: string, value: string | null, at: number, knownAt = at) =>
    history.add({ key, value, at, knownAt });
  touch('b', 'x', 20);
  touch('b', 'y', 10);
  touch('a', 'z', 10);
  touch('a', 'y', 10);
  touch('a', null, 11);
  touch('a', 'late', 12, 30);

  it('has what was known before a moment, by key, time and item', () => {
    const known = (moment: number) =>
      [...history.before(moment)].map(({ key, events }) => [key, events.map(({ item }) => item).join()]);
    expect(known(10)).toEqual([]);
    expect(known(11)).toEqual([
      ['a', 'y,z'],
      ['b', 'y'],
    ]);
    expect(known(30)).toEqual([
      ['a', 'y,z'],
      ['b', 'y,x'],
    ]);
    expect(known(31)[0]).toEqual(['a', 'y,z,late']);
  });

  it('grows beyond its first arrays', () => {
    const large = new ItemHistory();
    for (let at = 0; at < 10_000; at += 1)
      large.add({ key: String(at % 3), value: `i${at}`, at, knownAt: at });
    const all = [...large.before(10_000)];
    expect([large.size, all.map(({ events }) => events.length)]).toEqual([10_000, [3_334, 3_333, 3_333]]);
  });
});

describe('the rows of a query', () => {
  const items = Array.from({ length: 200 }, (_, at) => `i${at}`);
  const query = {
    key: 'k',
    at: 5,
    features: {},
    taken: new Set(['i3', 'gone']),
    candidates: candidatesOf(items),
  };
  const plan = { seed: 1, negatives: 20, share: 1 };

  it('are what was taken of the candidates, and a sample that stands for the others', () => {
    const { items: kept, labels, weight } = sampledItems(query, plan);
    expect(labels[kept.indexOf('i3')]).toBe(1);
    expect(labels.filter((label) => label === 1)).toHaveLength(1);
    expect(weight).toBe(10);
    expect(Math.abs(kept.length - 21)).toBeLessThan(12);
    expect(
      sampledItems({ ...query, taken: new Set(['i4']) }, plan).items.filter((item) => item !== 'i4'),
    ).toEqual(kept.filter((item) => item !== 'i3'));
    expect(sampledItems(query, { ...plan, seed: 2 }).items).not.toEqual(kept);
  });

  it('are none for an entity that the model has nothing to rank by, or that is not in the sample', () => {
    expect(sampledItems({ ...query, features: { isNew: true } }, plan).items).toEqual([]);
    const inSample = Array.from({ length: 400 }, (_, key) => ({ ...query, key: String(key) })).filter(
      (one) => sampledItems(one, { ...plan, share: 0.25 }).items.length > 0,
    );
    expect(Math.abs(inSample.length - 100)).toBeLessThan(40);
  });
});

describe('the lists of a query', () => {
  const candidates = candidatesOf(['a', 'b', 'c']);

  it('are the best scores first, equal ones by item; popularity answers without rows', () => {
    const list = modelList({ at: 1, features: {} }, candidates, () => Float32Array.of(0.5, 0.9, 0.5));
    expect(list.items).toEqual(['b', 'a', 'c']);
    expect(list.first?.score).toBeCloseTo(0.9);
    expect([...(list.first?.values ?? [])]).toEqual([1]);
    const none = modelList({ at: 1, features: { isNew: true } }, candidates, () => Float32Array.of());
    expect(none).toEqual({ items: ['a', 'b', 'c'], first: undefined });
  });

  it('begin with what was taken before', () => {
    expect(repeatList(['c', 'x'], candidates)).toEqual(['c', 'x', 'a', 'b']);
  });
});

it('makes rows of no moments that it would not look at', () => {
  const split = { validationDays: 10, testDays: 10 };
  const dataset = { split, horizonDays: 2, everyDays: 1, warmUpDays: 5 } as never;
  const history = { from: 0, to: 100 * DAY_MS };
  const from = (to: number, task: 'ranking' | 'regression' = 'ranking') =>
    rankingFrom({ task, dataset }, { ...history, to }, 100 * DAY_MS);
  expect(from(100 * DAY_MS)).toBe((100 - 41) * DAY_MS);
  expect(from(200 * DAY_MS)).toBe((100 - 41) * DAY_MS);
  expect([from(41 * DAY_MS), from(100 * DAY_MS, 'regression')]).toEqual([null, null]);
});

it('looks at the newest moments of each part', () => {
  const at = (day: number) => day * DAY_MS;
  const bounds = { from: at(0), validation: at(30), test: at(40), to: at(50) };
  const moments = rankingMoments({ horizonDays: 2, everyDays: 1 } as never, bounds);
  const days = (of: string) =>
    moments.filter(({ split }) => split === of).map((moment) => moment.at / DAY_MS);
  expect(days('train')).toEqual([17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28]);
  expect(days('validation')).toEqual([31, 32, 33, 34, 35, 36, 37, 38]);
  expect(days('test')).toEqual([41, 42, 43, 44, 45, 46, 47, 48]);
});

describe('the figures of segments', () => {
  const lists = (ndcgs: readonly number[], segments: readonly Segment[], item: string): JudgedLists => {
    const judged = new JudgedLists();
    for (const [query, ndcg] of ndcgs.entries()) {
      judged.figures.push({ ndcg, hit: ndcg > 0 ? 1 : 0, reciprocalRank: 0, recall: 0 });
      judged.items[segments[query] ?? 'new'].add(`${item} ${segments[query]}`);
    }
    return judged;
  };
  const evaluated = (segments: readonly Segment[], model: readonly number[], popularity = 0.5) => {
    const test = {
      model: lists(model, segments, 'model'),
      popularity: lists(
        model.map(() => popularity),
        segments,
        'popular',
      ),
      repeats: lists(
        model.map(() => 0),
        segments,
        'own',
      ),
      ...{ champion: new JudgedLists(), units: model.map((_, query) => query), segments, withoutRows: 0 },
      ...{ offered: model.map(() => 1), items: 4, shown: new ShownRows(1) },
    };
    const described = { dataset: { id: 'd', digest: 'e' }, from: '', to: '', seed: 1, champion: null };
    const steps = rankingEvaluation({ ...described, test });
    for (;;) {
      const step = steps.next();
      if (step.done === true) return step.value;
    }
  };
  // 40 queries of new entities, 80 of returning ones.
  const segments = Array.from({ length: 120 }, (_, at): Segment => (at % 3 === 0 ? 'new' : 'returning'));
  const ndcgs = (ofNew: number, ofReturning: number) =>
    segments.map((of, at) => (of === 'new' ? ofNew : ofReturning) + (at % 2) / 100);

  it('are of the queries of the segment alone, each with an interval', () => {
    const found = evaluated(segments, ndcgs(0.3, 0.8)).ranking?.segments;
    expect(found?.new?.queries).toBe(40);
    expect(found?.new?.model['ndcg_at_10']?.value).toBeCloseTo(0.305, 9);
    expect(found?.returning?.model['ndcg_at_10']?.value).toBeCloseTo(0.805, 9);
    // Worse than popularity for the new ones, better for the others.
    expect(found?.new?.gain?.high).toBeLessThan(0);
    expect(found?.returning?.gain?.low).toBeGreaterThan(0);
  });

  it('are none of a segment without queries', () => {
    expect(evaluated(['new', 'new'], [0.2, 0.4]).ranking?.segments).toMatchObject({
      new: { queries: 2 },
      returning: null,
    });
  });

  it.each([
    ['popularity answers new entities', 0.3, 0.8, { new: 'popularity', returning: 'model' }],
    ['the model answers all', 0.7, 0.8, { new: 'model', returning: 'model' }],
    ['popularity answers returning entities', 0.7, 0.4, { new: 'model', returning: 'popularity' }],
  ] as const)('decide who answers, and the lists that serve are judged: %s', (_, ofNew, ofReturning, by) => {
    const evaluation = evaluated(segments, ndcgs(ofNew, ofReturning));
    expect(answerersOf(evaluation)).toEqual(by);
    const served = (40 * Math.max(ofNew, 0.5) + 80 * Math.max(ofReturning, 0.5)) / 120;
    expect(evaluation.model['ndcg_at_10']?.value).toBeCloseTo(
      served + (0.005 * ((by.new === 'model' ? 40 : 0) + (by.returning === 'model' ? 80 : 0))) / 120,
      9,
    );
    expect(evaluation.ranking?.coverage).toEqual({ model: 0.5, popularity: 0.5, repeats: 0.5 });
    expect(evaluation.verdict).toBe('better');
  });

  it('are not better if popularity answers all', () => {
    const evaluation = evaluated(segments, ndcgs(0.3, 0.4));
    expect([answerersOf(evaluation), evaluation.verdict]).toEqual([
      { new: 'popularity', returning: 'popularity' },
      'not_better',
    ]);
    expect(evaluation.gains.baseline).toEqual({ value: 0, low: 0, high: 0 });
  });

  it('leave the defaults where they do not decide, or an earlier release made them', () => {
    expect(answerersOf(evaluated(['new', 'returning'], [0.9, 0.1]))).toEqual(ANSWERERS_BY_DEFAULT);
    expect(answerersOf({})).toEqual(ANSWERERS_BY_DEFAULT);
  });
});

it('shows the rows of segments that the model answers, because the watch of drift sees no others', () => {
  const rows = new ShownRows(1);
  rows.add({ values: Float32Array.of(1), score: 0.1 }, 'new');
  rows.add({ values: Float32Array.of(2), score: 0.2 }, 'returning');
  const of = (answerers: SegmentAnswerers) => [
    ...(rows.finish(Uint8Array.of(), answerers).set.columns[0] ?? []),
  ];
  expect(of({ new: 'popularity', returning: 'model' })).toEqual([2]);
  expect(of({ new: 'model', returning: 'popularity' })).toEqual([1]);
  expect(of({ new: 'model', returning: 'model' })).toEqual([1, 2]);
  expect(of({ new: 'popularity', returning: 'popularity' })).toEqual([1, 2]);
});
