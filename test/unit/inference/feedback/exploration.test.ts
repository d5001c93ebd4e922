import { describe, expect, it } from 'vitest';
import type { Candidates } from '../../../../src/define/candidates.ts';
import { feedback } from '../../../../src/define/feedback.ts';
import { model } from '../../../../src/define/model.ts';
import type { Manifest } from '../../../../src/inference/bundle.ts';
import type { ServedDraft } from '../../../../src/inference/feedback/record.ts';
import type { LoadedModel } from '../../../../src/inference/loaded-models.ts';
import {
  type RecommendPorts,
  type RecommendRequest,
  recommend,
} from '../../../../src/inference/recommend.ts';
import { DeadlinePassed } from '../../../../src/platform/deadline.ts';
import { customer, product } from '../../../support/catalog/entities.ts';
import { purchase } from '../../../support/catalog/events.ts';
import { purchases } from '../../../support/catalog/features.ts';
import { mistakeOf } from '../../../support/catalog-mistakes.ts';

const ITEMS = Array.from({ length: 12 }, (_, at) => `i${String(at).padStart(2, '0')}`);
const CANDIDATES: Candidates = {
  has: () => true,
  groupOf: (item) => item.slice(0, 2),
  popular: (limit) => ITEMS.map((item) => ({ item, score: 1 })).slice(0, limit),
  // The first item has the greatest score.
  assemble: (_, items = ITEMS) => ({ items, rows: Float32Array.from(items, (_item, at) => -at) }),
};
const MANIFEST: Manifest = {
  ...{ name: 'm', version: 'champion', model: { sha256: '0'.repeat(64), bytes: 1 } },
  inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 1] }],
  outputs: [{ name: 'v', datatype: 'FP32', shape: [-1, 1] }],
  ...{ metrics: {}, baseline: {}, trainedFrom: {} },
};
const declared = {
  name: 'm',
  description: 'A model.',
  entity: customer,
  path: '/v1/c/{id}/r',
  itemEntity: product,
  columns: ['x'],
  features: { bought: purchases.window(30) },
  parseCandidates: () => CANDIDATES,
} as const;
const exploration = { share: 0.5, pool: 8 };
const ranking = model.ranking({
  ...declared,
  exploration,
  diversity: { max: 7 },
  feedback: feedback.ofItems({
    ...{ entity: customer, event: purchase, within: '1d' },
    key: ({ customerId }) => customerId,
    item: ({ sku }) => sku,
  }),
});
const GRAPH: LoadedModel = {
  ...{ manifest: MANIFEST, candidates: CANDIDATES },
  graph: {
    ...{ inputs: MANIFEST.inputs, outputs: MANIFEST.outputs },
    run: async ({ x }) => {
      if (x === undefined) throw new Error('The graph has no input.');
      return { v: x };
    },
  },
};

interface World extends Partial<RecommendRequest> {
  readonly id: string;
  readonly isCurrent?: boolean;
  readonly isLate?: boolean;
  readonly fails?: boolean;
}

async function asked({ id, isCurrent = true, isLate = false, fails = false, ...request }: World) {
  const drafts: ServedDraft[] = [];
  const broken = {
    ...GRAPH,
    graph: { ...GRAPH.graph, run: async () => Promise.reject(new Error('broken')) },
  };
  const loaded = fails ? broken : GRAPH;
  const ports: RecommendPorts = {
    champion: async () => ({ manifest: MANIFEST, previous: null, isCurrent }),
    ...{ load: async () => loaded, loaded: () => loaded },
    features: async () => [{}],
    ...{ newId: () => id, predicted: () => undefined, keepAlive: () => undefined },
    deadline: {
      within: async (work) => {
        if (!isLate) return await work;
        await work;
        throw new DeadlinePassed();
      },
    },
    drafted: (draft) => void drafts.push(draft),
  };
  const of = { key: 'ada', items: undefined, limit: 5, now: 1, include: [], explores: true, ...request };
  const { value, storable } = await recommend(ranking, of, ports);
  const answer = value as { items: { item: string }[]; explored?: true; degraded?: string };
  return { answer, items: answer.items.map(({ item }) => item), storable, draft: drafts[0] };
}

const IDS = Array.from({ length: 60 }, (_, at) => `prediction-${at}`);

describe('a ranking that explores', () => {
  it('answers a share with items of the pool in another order, the same for the same id', async () => {
    const answers = await Promise.all(IDS.map((id) => asked({ id })));
    const explored = answers.filter(({ answer }) => answer.explored === true);
    expect(explored.length).toBeGreaterThan(15);
    expect(explored.length).toBeLessThan(45);
    for (const { answer, items, draft, storable } of answers) {
      expect(items).toHaveLength(5);
      // Kept like any other answer.
      expect(storable).toBe(true);
      expect(draft?.explored).toEqual(answer.explored === true ? { pool: 8 } : null);
      expect(draft?.items?.map(({ item }) => item)).toEqual(items);
      if (answer.explored !== true) expect(items).toEqual(ITEMS.slice(0, 5));
      // Diversity admits seven of the first ten.
      expect(items.every((item) => [...ITEMS.slice(0, 7), 'i10'].includes(item))).toBe(true);
    }
    expect(new Set(explored.map(({ items }) => items.join())).size).toBeGreaterThan(10);
    const again = await Promise.all(IDS.map((id) => asked({ id })));
    expect(again.map(({ items }) => items)).toEqual(answers.map(({ items }) => items));
  });

  it.each([
    ['degraded answer, of popularity', { fails: true }],
    ['version that may not be the champion', { isCurrent: false }],
    ['answer that is late', { isLate: true }],
    ['request that names its items', { items: ITEMS, explores: false }],
  ])('has no %s in random order', async (_, world) => {
    for (const id of IDS) {
      const { answer, items, draft } = await asked({ id, ...world });
      expect(answer.explored).toBeUndefined();
      expect(draft?.explored).toBeNull();
      expect(items).toEqual(ITEMS.slice(0, 5));
    }
  });

  it('needs events that say what came of it', () => {
    expect(mistakeOf(model.ranking({ ...declared, exploration }))).toMatch(/no event says/);
  });
});
