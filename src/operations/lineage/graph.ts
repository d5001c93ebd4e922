/** The walk along lineage: what something was made of, and what was made of it. */

export const NODE_KINDS = [
  'source',
  'event',
  'dataset',
  'run',
  'feature',
  'training-set',
  'model',
  'prediction',
] as const;
export type NodeKind = (typeof NODE_KINDS)[number];

/** How a thing is called: `event:17`, `feature:station:101`, `model:0a1b2c3d4e5f`. */
export type NodeId = `${NodeKind}:${string}`;

export interface LineageNode {
  readonly id: NodeId;
  readonly kind: NodeKind;
  /** What OpenLineage calls it, where it has a name there. */
  readonly openLineage?:
    | { readonly namespace: string; readonly name: string }
    | { readonly runId: string; readonly job: { readonly namespace: string; readonly name: string } };
  readonly attributes: Readonly<Record<string, unknown>>;
}

/** `from` is what `to` was made of. */
export interface LineageEdge {
  readonly from: NodeId;
  readonly to: NodeId;
  readonly relation: string;
}

/** That more leads on from a node than is shown. */
export interface Truncation {
  readonly node: NodeId;
  readonly direction: Direction;
  /** What is left out: nodes of this kind, or everything behind the node. */
  readonly kind: NodeKind | 'all';
  readonly shown: number;
  /** How many there are; with `atLeast`, those that were counted. Null where nobody looked. */
  readonly total: number | null;
  readonly atLeast?: boolean;
}

export type Direction = 'up' | 'down';

/** What the way to a node says about it: going up, what was known by a moment; going down, what came after one. */
export interface Bound {
  /** RFC 3339. */
  readonly at?: string | undefined;
}

/** A node next to the one that was asked about. */
export interface Neighbour {
  readonly node: LineageNode;
  readonly relation: string;
  readonly bound?: Bound;
  /** Nothing is asked about what is behind it: that would be more than what the first node is about. */
  readonly isLeaf?: boolean;
}

export interface Neighbours {
  readonly found: readonly Neighbour[];
  readonly truncated?: readonly Omit<Truncation, 'node' | 'direction'>[];
}

/** Asks what is next to a node. `isRoot` tells whether it is the one that the whole walk is about. */
export type Expand = (
  node: LineageNode,
  direction: Direction,
  context: { readonly bound: Bound; readonly isRoot: boolean },
) => Promise<Neighbours>;

export interface Graph {
  readonly root: NodeId;
  readonly nodes: readonly LineageNode[];
  readonly edges: readonly LineageEdge[];
  readonly truncated: readonly Truncation[];
}

/** Nodes of an answer: more than anybody reads, and few enough for one answer. */
export const NODES_MAX = 400;
/** Nodes that a walk asks the database about: each takes a round trip or two, and a request has 1,000. */
export const EXPANSIONS_MAX = 60;

/** Walks breadth first from a node, so that what is nearest is shown first. */
export async function walk(
  root: LineageNode,
  directions: readonly Direction[],
  depth: number,
  expand: Expand,
): Promise<Graph> {
  const nodes = new Map<NodeId, LineageNode>([[root.id, root]]);
  const edges = new Map<string, LineageEdge>();
  const truncated: Truncation[] = [];
  let expansions = 0;
  for (const direction of directions) {
    const seen = new Set<NodeId>([root.id]);
    let level: { node: LineageNode; bound: Bound }[] = [{ node: root, bound: {} }];
    for (let step = 0; step < depth && level.length > 0; step += 1) {
      const asked = level.slice(0, Math.max(0, EXPANSIONS_MAX - expansions));
      expansions += asked.length;
      for (const { node } of level.slice(asked.length))
        truncated.push({ node: node.id, direction, kind: 'all', shown: 0, total: null });
      const expanded = await Promise.all(
        asked.map(async ({ node, bound }) => ({
          node,
          ...(await expand(node, direction, { bound, isRoot: node.id === root.id })),
        })),
      );
      level = [];
      for (const { node, found, truncated: cut = [] } of expanded) {
        truncated.push(...cut.map((one) => ({ node: node.id, direction, ...one })));
        for (const neighbour of found) {
          const next = neighbour.node;
          if (!nodes.has(next.id) && nodes.size >= NODES_MAX) {
            truncated.push({ node: node.id, direction, kind: next.kind, shown: 0, total: null });
            break;
          }
          nodes.set(next.id, nodes.get(next.id) ?? next);
          const [from, to] = direction === 'up' ? [next.id, node.id] : [node.id, next.id];
          const edge: LineageEdge = { from, to, relation: neighbour.relation };
          edges.set(JSON.stringify(edge), edge);
          if (seen.has(next.id)) continue;
          seen.add(next.id);
          if (neighbour.isLeaf !== true) level.push({ node: next, bound: neighbour.bound ?? {} });
        }
      }
    }
  }
  return { root: root.id, nodes: [...nodes.values()], edges: [...edges.values()], truncated };
}
