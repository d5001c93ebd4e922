/** What of a deployment depends on what: a graph of everything that the catalog declares. Pure. */

export const KINDS = [
  'table',
  'column',
  'entity',
  'event',
  'field',
  'rule',
  'feature',
  'model',
  'tag',
  'view',
  'route',
  'objective',
  'alert',
  'metric',
  'dashboard',
] as const;
export type ElementKind = (typeof KINDS)[number];

/** `declared`: a declaration says so. `observed`: its code was run on made-up data, and was seen to do so. */
export const SOURCES = ['declared', 'observed'] as const;
export type EdgeSource = (typeof SOURCES)[number];

export interface Node {
  readonly kind: ElementKind;
  /** Unique within its kind. */
  readonly name: string;
  /** What a reader may want to know of it, as a sentence or a path; empty for nothing. */
  readonly detail: string;
}

/** `to` depends on `from`, so a change of `from` concerns `to`. */
export interface Edge {
  /** `kind:name`. */
  readonly from: string;
  /** What `to` does with `from`: a view `reads` a column. */
  readonly relation: Relation;
  readonly to: string;
  readonly how: EdgeSource;
}

/** Relations between declarations. What writes values into a column changes none of them. */
const STRUCTURAL = ['part of', 'keyed by', 'built on'] as const;
export const RELATIONS = [
  ...STRUCTURAL,
  'written by',
  'reads',
  'counts',
  'checks',
  'learns from',
  'invalidated by',
  /** A cached answer is read again after its tag was invalidated. */
  'refilled by',
  'serves',
  'measures',
  'alerts on',
  'shows',
] as const;
export type Relation = (typeof RELATIONS)[number];

/** What could not be known of an element. */
export interface Unknown {
  /** `kind:name`. */
  readonly about: string;
  readonly reason: string;
}

export function idOf(kind: ElementKind, name: string): string {
  return `${kind}:${name}`;
}

/** An element that a walk has reached. */
export interface Found {
  readonly id: string;
  /** `observed` if each way to it has an edge that was observed. */
  readonly how: EdgeSource;
  /** The number of edges of the shortest way. */
  readonly distance: number;
  /** The edges of the walk that lead to it. */
  readonly by: readonly Edge[];
}

export type Direction = 'down' | 'up';

export class ImpactGraph {
  readonly #nodes = new Map<string, Node>();
  readonly #edges = new Map<string, Edge>();
  readonly #down = new Map<string, Edge[]>();
  readonly #up = new Map<string, Edge[]>();
  readonly unknown: Unknown[] = [];

  get nodes(): ReadonlyMap<string, Node> {
    return this.#nodes;
  }

  get edges(): readonly Edge[] {
    return [...this.#edges.values()];
  }

  /** Adds a node, or keeps the one that is there. @returns its id. */
  node(kind: ElementKind, name: string, detail = ''): string {
    const id = idOf(kind, name);
    if (!this.#nodes.has(id)) this.#nodes.set(id, { kind, name, detail });
    return id;
  }

  /** Adds an edge. One that is declared replaces the same one that was observed. */
  edge(from: string, relation: Relation, to: string, how: EdgeSource = 'declared'): void {
    if (!this.#nodes.has(from) || !this.#nodes.has(to))
      throw new RangeError(`An edge leads from "${from}" to "${to}", and one of them is not there.`);
    const key = JSON.stringify([from, relation, to]);
    const known = this.#edges.get(key);
    if (known !== undefined && (known.how === 'declared' || how === 'observed')) return;
    const edge: Edge = { from, relation, to, how };
    this.#edges.set(key, edge);
    place(this.#down, from, edge);
    place(this.#up, to, edge);
  }

  note(about: string, reason: string): void {
    this.unknown.push({ about, reason });
  }

  /** The edges that leave a node, or that lead to it. */
  at(id: string, direction: Direction): readonly Edge[] {
    return (direction === 'down' ? this.#down : this.#up).get(id) ?? [];
  }

  /** The parts of an element, and the element: what is asked of a table is asked of its columns, too. */
  rootsOf(id: string): string[] {
    const parts = this.at(id, 'down').flatMap(({ relation, to }) => (relation === 'part of' ? [to] : []));
    return [id, ...parts];
  }

  /**
   * Everything that depends on an element (`down`), or that it depends on (`up`), the nearest first. A walk down follows
   * what its root writes, and from there the values alone: a field that is stored in a key does not concern all that is
   * declared over the key. A walk up ends at what writes.
   */
  walk(root: string, direction: Direction): Found[] {
    const roots = this.rootsOf(root);
    const follows = direction === 'down' ? this.#followsDown(roots) : () => true;
    const declared = this.#reached(roots, direction, (edge) => edge.how === 'declared' && follows(edge));
    const all = this.#reached(roots, direction, follows);
    const isIn = (edge: Edge) => all.has(direction === 'down' ? edge.from : edge.to) && follows(edge);
    return [...all]
      .filter(([id]) => !roots.includes(id))
      .map(([id, distance]) => ({
        ...{ id, distance, how: declared.has(id) ? ('declared' as const) : ('observed' as const) },
        by: this.at(id, direction === 'down' ? 'up' : 'down').filter(isIn),
      }))
      .sort((a, b) => a.distance - b.distance);
  }

  #followsDown(roots: readonly string[]): (edge: Edge) => boolean {
    const declarations = this.#reached(roots, 'down', isStructural);
    return (edge) =>
      isStructural(edge)
        ? declarations.has(edge.from)
        : edge.relation !== 'written by' || roots.includes(edge.from);
  }

  #reached(
    roots: readonly string[],
    direction: Direction,
    follows: (edge: Edge) => boolean,
  ): Map<string, number> {
    const reached = new Map(roots.map((id) => [id, 0]));
    const ends = new Set<string>();
    const open = [...roots];
    for (const id of open) {
      if (ends.has(id)) continue;
      for (const edge of this.at(id, direction)) {
        const next = direction === 'down' ? edge.to : edge.from;
        if (!follows(edge)) continue;
        const isEnd = direction === 'up' && edge.relation === 'written by';
        const isNew = !reached.has(next);
        if (!isNew && !(ends.has(next) && !isEnd)) continue;
        if (isNew) reached.set(next, (reached.get(id) ?? 0) + 1);
        if (isEnd) ends.add(next);
        else {
          ends.delete(next);
          open.push(next);
        }
      }
    }
    return reached;
  }
}

function isStructural({ relation }: Edge): boolean {
  return STRUCTURAL.some((one) => one === relation);
}

function place(index: Map<string, Edge[]>, id: string, edge: Edge): void {
  const known = index.get(id) ?? [];
  index.set(id, [
    ...known.filter(
      (other) => other.from !== edge.from || other.to !== edge.to || other.relation !== edge.relation,
    ),
    edge,
  ]);
}
