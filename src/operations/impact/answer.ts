import type { Direction, Edge, EdgeSource, ElementKind, Found, ImpactGraph, Unknown } from './graph.ts';
import { idOf, KINDS } from './graph.ts';

/** The most elements of one kind, edges of one element, and unknown facts of an answer. */
export const ELEMENTS_MAX = 200;
export const EDGES_MAX = 20;
export const UNKNOWN_MAX = 100;

export interface ImpactItem {
  readonly name: string;
  readonly detail: string;
  readonly how: EdgeSource;
  readonly distance: number;
  readonly by: readonly { readonly from: string; readonly relation: string; readonly how: EdgeSource }[];
}

/** What a change of an element concerns, or what the element depends on. */
export interface ImpactAnswer {
  readonly element: { readonly kind: ElementKind; readonly name: string; readonly detail: string };
  readonly direction: Direction;
  readonly found: Readonly<Record<ElementKind, readonly ImpactItem[]>>;
  /** What writes into the element: its code has to follow a change, and nothing else that depends on it has. */
  readonly writers: readonly Edge[];
  readonly unknown: readonly Unknown[];
  /** What was left out, as `kind`, `edges`, `writers` or `unknown`. */
  readonly truncated: readonly string[];
}

const OUTSIDE = 'Programs that read the database by themselves, without Millrace, are not known.';

/** @param id of a node of the graph. */
export function answerOf(graph: ImpactGraph, id: string, direction: Direction): ImpactAnswer {
  const element = graph.nodes.get(id);
  if (element === undefined) throw new RangeError(`The graph has no "${id}".`);
  const truncated = new Set<string>();
  const walked = graph.walk(id, direction);
  const found = Object.fromEntries(
    KINDS.map((kind) => [
      kind,
      cut(
        walked.filter((one) => graph.nodes.get(one.id)?.kind === kind),
        ELEMENTS_MAX,
        kind,
        truncated,
      ).map((one) => itemOf(graph, one, direction, truncated)),
    ]),
  ) as Record<ElementKind, ImpactItem[]>;
  const unknown = [...(holdsData(element.kind) ? [{ about: id, reason: OUTSIDE }] : []), ...graph.unknown];
  return {
    element,
    direction,
    found,
    writers: cut(writersOf(graph, id), ELEMENTS_MAX, 'writers', truncated),
    unknown: cut(unknown, UNKNOWN_MAX, 'unknown', truncated),
    truncated: [...truncated],
  };
}

/** The routes at which an answer's elements are served, and those that take what its writers write, as `route:name`. */
export function routesIn(graph: ImpactGraph, { found, writers }: ImpactAnswer): Set<string> {
  const written = writers.flatMap(({ from }) => [from, ...graph.at(from, 'down').map(({ to }) => to)]);
  const served = found.route.map(({ name }) => idOf('route', name));
  return new Set([...served, ...written.filter((id) => graph.nodes.get(id)?.kind === 'route')]);
}

function itemOf(graph: ImpactGraph, found: Found, direction: Direction, truncated: Set<string>): ImpactItem {
  const { name, detail } = graph.nodes.get(found.id) ?? { name: found.id, detail: '' };
  const by = cut(found.by, EDGES_MAX, 'edges', truncated);
  return {
    ...{ name, detail, how: found.how, distance: found.distance },
    by: by.map(({ from, to, relation, how }) => ({ from: direction === 'down' ? from : to, relation, how })),
  };
}

/** The edges by which an element or its parts are written. */
function writersOf(graph: ImpactGraph, id: string): Edge[] {
  return graph
    .rootsOf(id)
    .flatMap((root) => graph.at(root, 'up').filter(({ relation }) => relation === 'written by'));
}

function holdsData(kind: ElementKind): boolean {
  return kind === 'table' || kind === 'column' || kind === 'entity';
}

function cut<Item>(
  items: readonly Item[],
  most: number,
  name: string,
  truncated: Set<string>,
): readonly Item[] {
  if (items.length > most) truncated.add(name);
  return items.slice(0, most);
}
