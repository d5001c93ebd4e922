import * as z from 'zod';
import { DatasetManifest } from '../../src/training/datasets/manifest.ts';

/** As `npm run cli -- datasets pull` writes it: the dataset, with the manifest of its files. */
const Pulled = z.object({ manifest: DatasetManifest });

/**
 * What a version's manifest says of the dataset that it was trained on: its id, its digest, and the rows to train with.
 *
 * @param pulled the JSON of the `manifest.json` that `datasets pull` wrote.
 * @param model the name of the version's model.
 * @throws Error if it is no manifest of a dataset, or one of another model.
 */
export function datasetOrigin(pulled: unknown, model: string): Record<string, unknown> {
  const parsed = Pulled.safeParse(pulled);
  if (!parsed.success) throw new Error(`That is no manifest of a dataset: ${z.prettifyError(parsed.error)}`);
  const { id, digest, rows, spec } = parsed.data.manifest;
  if (spec.model !== model) throw new Error(`The dataset is one of the model "${spec.model}".`);
  return { dataset: id, datasetDigest: digest, rows: rows.train };
}
