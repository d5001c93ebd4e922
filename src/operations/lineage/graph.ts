/**
 * The kinds of nodes of the lineage graph. A walk goes up to the inputs of a node, or down to what was derived from it.
 */

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

/** The id of a node: `event:17`, `feature:station:101`, `model:0a1b2c3d4e5f`. */
export type NodeId = `${NodeKind}:${string}`;

export interface LineageNode {
  readonly id: NodeId;
  readonly kind: NodeKind;
  /** The node's name in OpenLineage, if it has one. */
  readonly openLineage?:
    | { readonly namespace: string; readonly name: string }
    | { readonly runId: string; readonly job: { readonly namespace: string; readonly name: string } };
  readonly attributes: Readonly<Record<string, unknown>>;
}

/** `to` was derived from `from`. */
export interface LineageEdge {
  readonly from: NodeId;
  readonly to: NodeId;
  readonly relation: string;
}

/** A node has more neighbours than the answer shows. */
export interface Truncation {
  readonly node: NodeId;
  readonly direction: Direction;
  /** The neighbours that are left out: those of this kind, or all of them. */
  readonly kind: NodeKind | 'all';
  readonly shown: number;
  /** The number of neighbours; with `atLeast`, a lower bound. Null if they were not counted. */
  readonly total: number | null;
  readonly atLeast?: boolean;
}

export type Direction = 'up' | 'down';

/**
 * The moment that limits the neighbours of a node. Going up, only what was known by that moment counts; going down,
 * only what came after it.
 */
export interface Bound {
  /** RFC 3339. */
  readonly at?: string | undefined;
}

/** A node next to the node that was expanded. */
export interface Neighbour {
  readonly node: LineageNode;
  readonly relation: string;
  readonly bound?: Bound;
  /** The walk does not expand this node: its neighbours are mostly unrelated to the root. */
  readonly isLeaf?: boolean;
}

export interface Neighbours {
  readonly found: readonly Neighbour[];
  readonly truncated?: readonly Omit<Truncation, 'node' | 'direction'>[];
}

/** Reads the neighbours of a node. `isRoot` is true for the node at which the walk began. */
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

/** The most nodes of an answer: more than a reader can use, and few enough for one response. */
export const NODES_MAX = 400;
/** The most nodes that a walk expands. Each costs one or two round trips, and a request may make 1,000. */
export const EXPANSIONS_MAX = 60;

/** Walks breadth first from a node, so that the nearest nodes are shown first. */
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
