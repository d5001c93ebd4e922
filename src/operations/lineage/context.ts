import type { NeonHttpDatabase } from 'drizzle-orm/neon-http';
import type { Catalog } from '../../define/catalog.ts';
import type { Manifest } from '../../inference/bundle.ts';
import { COUNT_MAX } from '../../storage/postgres/lineage-read.ts';
import type { Datasets } from './datasets.ts';
import type { Neighbour, Neighbours, NodeKind } from './graph.ts';

/** What a walk reads from. */
export interface LineageContext {
  readonly db: NeonHttpDatabase;
  readonly catalog: Catalog;
  readonly datasets: Datasets;
  /** The most nodes of one kind that are shown next to a node. */
  readonly limit: number;
  /** Milliseconds since the Unix epoch. */
  readonly now: number;
  /** The manifest of a model's champion, the version that answers. */
  readonly champion: (model: string) => Promise<Manifest | undefined>;
}

export const NOTHING: Neighbours = { found: [] };

/** The registry's entry for a version, while that version is the champion. */
export async function publishedAs(
  model: string,
  version: string,
  { champion }: LineageContext,
): Promise<Readonly<Record<string, unknown>>> {
  const manifest = await champion(model);
  if (manifest?.version !== version) return {};
  const { metrics, trainedFrom } = manifest;
  return { isChampion: true, sha256: manifest.model.sha256, metrics, trainedFrom };
}

/** The entity whose features a model reads; undefined for a model that the catalog no longer has. */
export function entityOf(model: string, { catalog }: Pick<LineageContext, 'catalog'>): string | undefined {
  return catalog.models.find(({ name }) => name === model)?.entity.name;
}

/** The neighbours from a sample of rows, and how many of them are not shown. Totals stop at `COUNT_MAX`. */
export function sampled<Row>(
  { rows, total }: { readonly rows: readonly Row[]; readonly total: number },
  kind: NodeKind,
  neighbour: (row: Row) => Neighbour,
): Required<Neighbours> {
  const atLeast = total === COUNT_MAX;
  const cut = { kind, shown: rows.length, total, ...(atLeast ? { atLeast } : {}) };
  return { found: rows.map(neighbour), truncated: total > rows.length ? [cut] : [] };
}
