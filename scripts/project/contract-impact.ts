import type { Catalog } from '../../src/define/catalog.ts';
import { catalogGraph } from '../../src/operations/impact/catalog-graph.ts';
import { changedFields, concernOf } from '../../src/operations/impact/contract-changes.ts';
import { observeViews } from '../../src/operations/impact/observed-views.ts';
import type { Contract } from '../../src/pipeline/contracts/releases.ts';
import { withTimeout } from '../../src/platform/clock.ts';

/** What each changed field of a contract concerns, a line for each. */
export async function concernsOf(catalog: Catalog, older: Contract, newer: Contract): Promise<string[]> {
  const event = catalog.eventTypes.get(newer.type)?.name ?? newer.type;
  const fields = changedFields(older.schema, newer.schema);
  if (fields.length === 0) return [];
  const graph = catalogGraph(catalog, [], await observeViews(catalog, withTimeout));
  return fields.map((field) => concernOf(graph, event, field));
}
