import type { LineageNode } from './graph.ts';
import { trainedDatasetId } from './nodes.ts';

/** What retention has removed the bytes of: a dataset, or a version of a model. */
export interface RemovedBytes {
  readonly kind: 'dataset' | 'model';
  readonly id: string;
  /** RFC 3339. */
  readonly removedAt: string;
}

/** The nodes of a walk; those whose bytes retention has removed say when: what was known of them stays. */
export async function withRemovals<Walked extends { readonly nodes: readonly LineageNode[] }>(
  walked: Walked,
  read: (datasets: readonly string[], versions: readonly string[]) => Promise<readonly RemovedBytes[]>,
): Promise<Walked> {
  const named = walked.nodes.map(({ kind, attributes }) => {
    if (kind === 'dataset') return { kind, id: trainedDatasetId(String(attributes['name'])) } as const;
    return kind === 'model' ? ({ kind, id: String(attributes['version']) } as const) : undefined;
  });
  const ids = (of: 'dataset' | 'model') =>
    named.flatMap((one) => (one?.kind === of && one.id !== undefined ? [one.id] : []));
  const [datasets, versions] = [ids('dataset'), ids('model')];
  if (datasets.length + versions.length === 0) return walked;
  const removals = await read(datasets, versions);
  if (removals.length === 0) return walked;
  const nodes = walked.nodes.map((node, index) => {
    const of = named[index];
    const removal = removals.find(({ kind, id }) => kind === of?.kind && id === of.id);
    if (removal === undefined) return node;
    const removed = { at: removal.removedAt, by: 'retention' };
    return { ...node, attributes: { ...node.attributes, removed } };
  });
  return { ...walked, nodes };
}
