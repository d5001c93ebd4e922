import type { Catalog } from '../../src/define/catalog.ts';
import { createApp } from '../../src/gateway/app.ts';
import { inventoryOf } from '../../src/gateway/contract/inventory.ts';
import { operationsOf } from '../../src/gateway/contract/operations.ts';
import { catalogGraph } from '../../src/operations/impact/catalog-graph.ts';
import type { RouteFacts } from '../../src/operations/impact/counted.ts';
import type { Edge, ImpactGraph } from '../../src/operations/impact/graph.ts';
import { observeViews } from '../../src/operations/impact/observed-views.ts';
import { withTimeout } from '../../src/platform/clock.ts';

/** The routes of a catalog, as the worker registers them. */
export function routesOf(catalog: Catalog): RouteFacts[] {
  const none = (): never => {
    throw new Error('No request is answered here.');
  };
  const app = createApp({ catalog, viewsOf: none, portsOf: none, countRequest: () => undefined });
  return inventoryOf(operationsOf(app.openAPIRegistry));
}

/** The graph of a catalog, as the worker makes it. */
export async function graphOf(catalog: Catalog): Promise<ImpactGraph> {
  return catalogGraph(catalog, routesOf(catalog), await observeViews(catalog, withTimeout));
}

/** The edges that a walk down from their beginning, or a walk up from their end, does not find. */
export function edgesNotFound(graph: ImpactGraph, edges: readonly Edge[]): Edge[] {
  return edges.filter(({ from, relation, to }) => {
    // The parts of a table are asked together with it.
    const isPart = graph.rootsOf(from).includes(to);
    const down = graph.walk(from, 'down').find(({ id }) => id === to);
    const up = graph.walk(to, 'up').find(({ id }) => id === from);
    const isBelow = isPart || down?.by.some((edge) => edge.from === from && edge.relation === relation);
    return !(isBelow && up?.by.some((edge) => edge.to === to && edge.relation === relation));
  });
}

/** The reads of views that Postgres shows and the graph does not have. */
export function readsNotFound(
  graph: ImpactGraph,
  changed: readonly { readonly column: string; readonly views: readonly string[] }[],
  without?: Edge,
): string[] {
  const known = new Set(
    graph.edges
      .filter((edge) => edge !== without)
      .map(({ from, relation, to }) => `${to} ${relation} ${from}`),
  );
  return changed
    .flatMap(({ column, views }) => views.map((view) => `view:${view} reads column:${column}`))
    .filter((read) => !known.has(read));
}
