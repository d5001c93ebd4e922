import type { DatasetsPorts } from '../../durable-objects/datasets/object.ts';
import type { Catalog } from '../define/catalog.ts';
import type { GatewayPorts } from '../gateway/app.ts';
import { qualityReportOf } from '../operations/quality/report.ts';
import { type QualityCounts, WINDOW_NAMES } from '../pipeline/quality/windows.ts';
import { systemNow } from '../platform/clock.ts';
import { calling } from '../platform/failure.ts';
import { VERSION } from '../platform/version.ts';
import { r2Datasets } from '../storage/dataset-files.ts';
import { connect } from '../storage/postgres/connect.ts';
import { DatasetBuilder } from '../training/datasets/build.ts';
import { DATASET_LIMITS } from '../training/datasets/limits.ts';
import { DatasetManifest } from '../training/datasets/manifest.ts';
import { databaseTarget } from './config.ts';
import type { Env } from './env.ts';
import { historyOf } from './history.ts';
import type { BoundIsolate } from './isolate.ts';
import { datasets } from './objects.ts';

const RETRY_S = 5;

/** The ports of the object that makes datasets: history, and R2. */
export function datasetsPorts(
  env: Pick<Env, 'DATABASE_URL' | 'DATABASE_ENDPOINT' | 'DATABASE_REGION' | 'MODELS'>,
  catalog: Catalog,
): DatasetsPorts {
  const files = r2Datasets(env.MODELS);
  let builder: DatasetBuilder | undefined;
  return {
    // Created with the first step and not with the object: with a wrong configuration, the constructor would throw.
    builder: () => {
      builder ??= new DatasetBuilder({
        ...{ models: catalog.models, limits: DATASET_LIMITS, codeVersion: VERSION, put: files.put },
        history: historyOf(connect(databaseTarget(env)), catalog),
      });
      return builder;
    },
    removeFiles: files.removeSome,
  };
}

/** The ports of the routes of datasets. */
export function datasetRoutePorts(
  { env, isolate: { catalog } }: BoundIsolate,
  counts: () => Promise<QualityCounts>,
): GatewayPorts['datasets'] {
  const asking = <T>(ask: () => Promise<T>) =>
    calling(ask, 'datasets_unavailable', 'The object that makes datasets does not answer.', RETRY_S);
  const object = () => datasets(env);
  return {
    now: systemNow,
    begin: async (spec) => {
      const quality = await qualityNow(catalog, spec.model, counts);
      return (await asking(() => object().begin(spec, JSON.stringify(quality)))) ?? undefined;
    },
    list: () => asking(() => object().list()),
    read: async (id) => {
      const found = await asking(() => object().read(id));
      if (found === null) return undefined;
      const { report, manifest } = found;
      return { report, manifest: manifest === null ? null : DatasetManifest.parse(JSON.parse(manifest)) };
    },
    remove: (id) => asking(() => object().remove(id)),
    open: (id, file, range) =>
      calling(
        () => r2Datasets(env.MODELS).open(id, file, range),
        'datasets_unavailable',
        'The store of the files does not answer.',
        RETRY_S,
      ),
  };
}

/** The scores of the label's event type; null if they are not known. A dataset can be made without them. */
export async function qualityNow(
  catalog: Catalog,
  model: string,
  counts: () => Promise<QualityCounts>,
): Promise<unknown> {
  const type = catalog.models.find(({ name }) => name === model)?.dataset?.label.eventType;
  if (type === undefined) return null;
  try {
    return qualityReportOf(await counts(), catalog.eventTypes, { type, windows: WINDOW_NAMES });
  } catch {
    return null;
  }
}
