import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Candidates } from '../../../src/define/candidates.ts';
import { model } from '../../../src/define/model.ts';
import type { Recommending } from '../../../src/define/recommending.ts';
import type { FeatureRow } from '../../../src/features/shards.ts';
import type { Manifest } from '../../../src/inference/bundle.ts';
import { REASONED_ITEMS_MAX, reasonRows, reasonsOf } from '../../../src/inference/explain/reasons.ts';
import { popularityRanking, rank } from '../../../src/inference/rank.ts';
import { selected } from '../../../src/inference/selection.ts';
import type { Tensors } from '../../../src/inference/tensors.ts';
import { customer, product } from '../../support/catalog/entities.ts';
import { items as itemsBought } from '../../support/catalog/features.ts';
import { shapleyByOrders } from '../../support/explain/permutations.ts';

const DAY_MS = 86_400_000;
const NOW = Date.UTC(2026, 10, 29);
const ITEMS = ['a1', 'a2', 'a3', 'b1', 'b2', 'c1'];
const COLUMNS = ['x', 'y', 'z'] as const;

const CANDIDATES: Candidates = {
  has: () => true,
  groupOf: (item) => (item === 'c1' ? undefined : item[0]),
  popular: (limit) => ITEMS.map((item, at) => ({ item, score: 10 - at })).slice(0, limit),
  // The first item has the best row.
  assemble: (_, items) => {
    const ranked = items ?? ITEMS;
    return { items: ranked, rows: Float32Array.from(ranked.flatMap((_item, at) => [10 - at, 1, at % 2])) };
  },
};
const declared = (more: Recommending<typeof customer, (typeof COLUMNS)[number]>) =>
  model.ranking({
    ...{ name: 'm', description: 'A model.', entity: customer, path: '/v1/c/{id}/r', itemEntity: product },
    ...{ columns: COLUMNS, features: { items: itemsBought.newest() }, parseCandidates: () => CANDIDATES },
    ...more,
  });
const MANIFEST: Manifest = {
  ...{ name: 'm', version: '0123456789ab', model: { sha256: '0'.repeat(64), bytes: 1 } },
  inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 3] }],
  outputs: [{ name: 'v', datatype: 'FP32', shape: [-1] }],
  ...{ metrics: {}, baseline: {}, trainedFrom: {} },
};
const score = ([x = 0, y = 0, z = 0]: readonly number[]) => x * (1 + y) - 3 * z;

function loaded(noted: number[] = []) {
  const run = async ({ x }: Tensors): Promise<Tensors> => {
    const data = Array.from(x?.data ?? [], Number);
    const rows = data.length / 3;
    noted.push(rows);
    const scores = Array.from({ length: rows }, (_, row) => score(data.slice(row * 3, row * 3 + 3)));
    return { v: { datatype: 'FP32', shape: [rows], data: Float32Array.from(scores) } };
  };
  const graph = { inputs: MANIFEST.inputs, outputs: MANIFEST.outputs, run };
  return { manifest: MANIFEST, graph, candidates: CANDIDATES };
}
/** What the customer has bought, and how many days ago. */
const bought = (items: Readonly<Record<string, number>>): FeatureRow => ({
  [itemsBought.newest().readName]: {
    value: Object.entries(items).map(([item, days]) => ({ item, count: 1, lastAt: NOW - days * DAY_MS })),
    status: 'PRESENT',
    eventAt: NOW,
  },
});
const asked = { items: undefined, limit: 10, features: {}, now: NOW };
const itemsOf = ({ items }: { items: readonly { item: string }[] }) => items.map(({ item }) => item);

describe('a ranking leaves out', () => {
  const exclude = { items: itemsBought.newest(), withinDays: 7 };

  it('what the customer has bought within the declared time', async () => {
    const features = bought({ a1: 1, b1: 7, c1: 8 });
    const made = await rank(declared({ exclude }), loaded(), { ...asked, features }, true);
    expect(itemsOf(made)).toEqual(['a3', 'a2', 'b2', 'c1']);
    const popular = popularityRanking(
      declared({ exclude }),
      loaded(),
      { ...asked, features, limit: 3 },
      'model_failed',
    );
    expect(itemsOf(popular)).toEqual(['a2', 'a3', 'b2']);
  });

  it('nothing of the items that a request names', async () => {
    const features = bought({ a1: 1 });
    const all = declared({ exclude, diversity: { max: 1 } });
    const made = await rank(all, loaded(), { ...asked, features, items: ['a1', 'a2'] }, true);
    expect(itemsOf(made)).toEqual(['a1', 'a2']);
  });

  it('the lower items of a group that has enough, and fills the answer with others', async () => {
    const made = await rank(declared({ diversity: { max: 1 } }), loaded(), { ...asked, limit: 3 }, true);
    expect(itemsOf(made)).toEqual(['a1', 'b2', 'c1']);
    const popular = popularityRanking(declared({ diversity: { max: 2 } }), loaded(), asked, undefined);
    expect(itemsOf(popular)).toEqual(['a1', 'a2', 'b1', 'b2', 'c1']);
  });

  it('as few items as the declaration allows, whatever the items are', () => {
    const item = fc.record({ item: fc.string({ minLength: 1, maxLength: 3 }) });
    fc.assert(
      fc.property(
        fc.uniqueArray(item, { selector: (one) => one.item, maxLength: 30 }),
        fc.integer({ min: 1, max: 4 }),
        fc.integer({ min: 0, max: 12 }),
        (ranked, ofGroupMax, limit) => {
          const excluded = new Set(ranked.filter((_, at) => at % 5 === 0).map((one) => one.item));
          const groupOf = (one: string) => (one.startsWith('a') ? undefined : one[0]);
          const taken = selected(ranked, { excluded, groupOf, ofGroupMax }, limit);
          expect(taken.length).toBeLessThanOrEqual(limit);
          expect(taken).toEqual(ranked.filter((one) => taken.includes(one)));
          const counts = Map.groupBy(taken, (one) => groupOf(one.item));
          for (const [group, ofGroup] of counts)
            if (group !== undefined) expect(ofGroup.length).toBeLessThanOrEqual(ofGroupMax);
          // An item that is not taken is excluded, or its group or the answer is full.
          for (const one of ranked) {
            if (taken.includes(one) || excluded.has(one.item) || taken.length === limit) continue;
            expect(counts.get(groupOf(one.item))).toHaveLength(ofGroupMax);
          }
        },
      ),
    );
  });
});

describe('the reasons of an item', () => {
  const reasons = {
    groups: {
      strong: { columns: ['x', 'y'], text: 'It is strong' },
      odd: { columns: ['z'], text: 'It is odd' },
    },
    baseline: { x: 1 },
  } as const;

  it('are the declared groups that raise its score, by their exact contributions, in one more run', async () => {
    const runs: number[] = [];
    const made = await rank(declared({ reasons }), loaded(runs), { ...asked, limit: 2 }, true);
    expect(made.items).toEqual([
      // 10·(1 + 1) − 1·(1 + 0); the second item is odd, which lowers its score.
      { item: 'a1', score: 20, reasons: [{ reason: 'strong', text: 'It is strong', contribution: 19 }] },
      { item: 'a3', score: 16, reasons: [{ reason: 'strong', text: 'It is strong', contribution: 15 }] },
    ]);
    expect(runs).toEqual([6, 8]);
  });

  it('are left out where the champion does not answer', async () => {
    const runs: number[] = [];
    const made = await rank(declared({ reasons }), loaded(runs), { ...asked, limit: 2 }, false);
    expect(made.items).toEqual([
      { item: 'a1', score: 20 },
      { item: 'a3', score: 16 },
    ]);
    expect(runs).toEqual([6]);
    expect(popularityRanking(declared({ reasons }), loaded(), asked, undefined).items[0]).toEqual({
      item: 'a1',
      score: 10,
    });
  });

  it('and an answer without them stands if they fail', async () => {
    const runs: number[] = [];
    const { graph, ...rest } = loaded(runs);
    const run = async (inputs: Tensors) => {
      if (runs.length > 0) throw new Error('inside of the graph');
      return await graph.run(inputs);
    };
    const made = await rank(
      declared({ reasons }),
      { ...rest, graph: { ...graph, run } },
      { ...asked, limit: 1 },
      true,
    );
    expect(made).toEqual({ items: [{ item: 'a1', score: 20 }], source: 'model', degraded: undefined });
  });

  it('are of the first twenty items, and the rows are counted', async () => {
    const width = 3;
    const data = Float32Array.from({ length: 30 * width }, (_, at) => at);
    const rows: number[] = [];
    const made = await reasonsOf(
      reasons,
      COLUMNS,
      { data, width },
      [...Array.from({ length: 30 }).keys()],
      async ([count = 0]) => {
        rows.push(count);
        return new Array<number>(count).fill(1);
      },
    );
    expect([made.length, rows]).toEqual([REASONED_ITEMS_MAX, [REASONED_ITEMS_MAX * 4]]);
    // What a request is charged for.
    expect([30, 5].map((items) => reasonRows({ reasons }, items))).toEqual([80, 20]);
    expect(reasonRows({}, 30)).toBe(0);
  });

  it('are the Shapley values of the groups, by their definition', async () => {
    const value = fc.integer({ min: -9, max: 9 });
    await fc.assert(
      fc.asyncProperty(fc.tuple(value, value, value), fc.tuple(value, value, value), async (actual, base) => {
        const of = ([x = 0, y = 0, z = 0]: readonly number[]) => x * y + 2 * z + x * z;
        const groups = Object.fromEntries(
          COLUMNS.map((column) => [column, { columns: [column], text: column }]),
        );
        const baseline = Object.fromEntries(COLUMNS.map((column, at) => [column, base[at]]));
        const [made = []] = await reasonsOf(
          { groups, baseline, max: 3 },
          COLUMNS,
          { data: Float32Array.from(actual), width: 3 },
          [0],
          async ([rows = 0], data) =>
            Array.from({ length: rows }, (_, row) => of([...data.slice(row * 3, row * 3 + 3)])),
        );
        const wanted = shapleyByOrders(3, (set) =>
          of(actual.map((one, at) => (set.has(at) ? one : (base[at] ?? 0)))),
        );
        const given = new Map(made.map((one) => [one.reason, one.contribution]));
        for (const [at, column] of COLUMNS.entries())
          expect(given.get(column) ?? 0).toBeCloseTo(Math.max(0, wanted[at] ?? 0), 9);
      }),
    );
  });
});
