import fc from 'fast-check';
import { expect, it } from 'vitest';
import {
  EXPANSIONS_MAX,
  type Expand,
  type LineageNode,
  NODES_MAX,
  walk,
} from '../../../src/operations/lineage/graph.ts';

const node = (index: number): LineageNode => ({ id: `event:${index}`, kind: 'event', attributes: {} });
const numberOf = ({ id }: LineageNode) => Number(id.slice('event:'.length));

/** The neighbours in a graph that is given by its edges, from what was to what was made of it. */
function along(edges: readonly (readonly [number, number])[]): Expand {
  return async (of, direction) => {
    const self = numberOf(of);
    const next = edges.flatMap(([from, to]) => {
      if (direction === 'down') return from === self ? [to] : [];
      return to === self ? [from] : [];
    });
    return { found: next.map((index) => ({ node: node(index), relation: 'next' })) };
  };
}

it('finds every node and edge within its depth once, also in circles', async () => {
  const edge = fc.tuple(fc.nat(12), fc.nat(12));
  await fc.assert(
    fc.asyncProperty(
      fc.array(edge, { maxLength: 30 }),
      fc.integer({ min: 1, max: 6 }),
      async (edges, depth) => {
        const { nodes, edges: found } = await walk(node(0), ['down'], depth, along(edges));
        let reached = new Set([0]);
        const all = new Set([0]);
        for (let step = 0; step < depth; step += 1) {
          reached = new Set(edges.flatMap(([from, to]) => (reached.has(from) && !all.has(to) ? [to] : [])));
          for (const index of reached) all.add(index);
        }
        expect(nodes.map(numberOf).sort((a, b) => a - b)).toEqual([...all].sort((a, b) => a - b));
        expect(new Set(found.map((one) => JSON.stringify(one))).size).toBe(found.length);
        for (const { from, to } of found) {
          expect(edges).toContainEqual([Number(from.slice(6)), Number(to.slice(6))]);
        }
      },
    ),
  );
});

it('changes its direction only at the root', async () => {
  // 1 → 0 → 2; 3 was made of 1, and 4 went into 2: neither has to do with 0.
  const edges = [
    [1, 0],
    [0, 2],
    [1, 3],
    [4, 2],
  ] as const;
  const { nodes } = await walk(node(0), ['up', 'down'], 5, along(edges));
  expect(nodes.map(numberOf).sort()).toEqual([0, 1, 2]);
});

it('ends at its limits, and reports what it left out', async () => {
  let asked = 0;
  const endless: Expand = async (of) => {
    asked += 1;
    const found = [1, 2, 3].map((index) => ({ node: node(numberOf(of) * 3 + index), relation: 'next' }));
    return { found };
  };
  const { nodes, truncated } = await walk(node(0), ['down'], 8, endless);
  expect(asked).toBe(EXPANSIONS_MAX);
  expect(truncated.length).toBeGreaterThan(0);
  const wide: Expand = async () => ({
    found: Array.from({ length: NODES_MAX * 2 }, (_, index) => ({ node: node(index + 1), relation: 'next' })),
  });
  const all = await walk(node(0), ['down'], 1, wide);
  expect(nodes.length).toBeLessThanOrEqual(NODES_MAX);
  expect(all.nodes).toHaveLength(NODES_MAX);
  expect(all.truncated).toHaveLength(1);
});

it('does not expand leaves, and passes the time bound on', async () => {
  const asked: [string, string | undefined][] = [];
  const expand: Expand = async (of, _, { bound }) => {
    asked.push([of.id, bound.at]);
    if (of.id !== 'event:0') return { found: [] };
    return {
      found: [
        { node: node(1), relation: 'next', isLeaf: true },
        { node: node(2), relation: 'next', bound: { at: 'then' } },
      ],
    };
  };
  await walk(node(0), ['up'], 3, expand);
  expect(asked).toEqual([
    ['event:0', undefined],
    ['event:2', 'then'],
  ]);
});
