import * as z from 'zod';
import type { Catalog } from '../../define/catalog.ts';
import { QUARANTINED } from '../../pipeline/lineage/observed.ts';
import {
  type Assertion,
  endEvent,
  type LineageRun,
  type RunDataset,
  type RunEvent,
  startEvent,
} from '../../pipeline/lineage/open-lineage.ts';
import type { LineageEventRow, StoredRun } from '../../storage/postgres/lineage-read.ts';
import type { LineageJob } from '../../storage/postgres/lineage-runs.ts';
import { type Datasets, datasetNames, LINEAGE_NAMESPACE } from './datasets.ts';
import { type LearnedDataset, TrainingDetail } from './training.ts';

/** The origins of an ingest run's events: the largest pairs of source and type. */
export const Sources = z
  .array(z.object({ source: z.string(), type: z.string(), events: z.number() }))
  .optional()
  .default([]);

/** The short names of the datasets that a job reads and writes. */
export interface JobDatasets {
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
}

/** The datasets that a job reads and writes, according to the catalog. */
export function datasetsOfJob(
  catalog: Catalog,
  { job, subject }: { readonly job: LineageJob; readonly subject: string },
): JobDatasets {
  const model = catalog.models.find(({ name }) => name === subject);
  switch (job) {
    case 'ingest': {
      const tables = [...catalog.histories, ...catalog.entities].map(({ table }) =>
        datasetNames.table(table),
      );
      return {
        inputs: catalog.events.map(({ type }) => datasetNames.eventType(type)),
        outputs: [datasetNames.events, datasetNames.quarantine, ...new Set(tables)],
      };
    }
    case 'fold': {
      const entities = new Set(catalog.features.map(({ entity }) => entity.name));
      return { inputs: [datasetNames.events], outputs: [...entities].map(datasetNames.features) };
    }
    case 'train':
    case 'registry':
      return { inputs: [], outputs: model === undefined ? [] : [datasetNames.model(model.name)] };
    case 'predict':
      if (model === undefined) return { inputs: [], outputs: [] };
      return {
        inputs: [datasetNames.features(model.entity.name), datasetNames.model(model.name)],
        outputs: [datasetNames.predictions(model.name)],
      };
  }
}

/** The job's name in OpenLineage: `ingest`, `fold`, `train.minutes`, `predict.minutes`, `registry.minutes`. */
export function jobName({ job, subject }: { readonly job: LineageJob; readonly subject: string }): string {
  return subject === '' ? job : `${job}.${subject}`;
}

/** The beginning or the end of a run as an OpenLineage event. */
export function runEventOf(row: LineageEventRow, catalog: Catalog, datasets: Datasets): RunEvent {
  const run = openLineageRun(row.run, catalog, datasets);
  return (row.isEnd ? endEvent(run) : undefined) ?? startEvent(run);
}

/** A stored run in OpenLineage's form. */
export function openLineageRun(run: StoredRun, catalog: Catalog, datasets: Datasets): LineageRun {
  const named = (names: readonly string[]) =>
    names.flatMap((name) => {
      const dataset = datasets.get(name);
      return dataset === undefined ? [] : [{ short: name, ...dataset }];
    });
  const { inputs, outputs } = datasetsOfJob(catalog, run);
  const training = run.job === 'train' ? TrainingDetail.parse(run.detail) : undefined;
  const read = [...inputs, ...(training?.snapshot === undefined ? [] : [training.snapshot.table])];
  const { state, ended_at: endedAt } = run;
  return {
    id: run.id,
    namespace: LINEAGE_NAMESPACE,
    job: jobName(run),
    processing: run.job === 'train' || run.job === 'registry' ? 'BATCH' : 'STREAMING',
    startedAt: run.started_at,
    end: state === 'RUNNING' || endedAt === null ? undefined : { state, at: endedAt, error: errorOf(run) },
    inputs: [
      ...named(read).map((dataset) => withQuality(dataset, run, training)),
      ...(training?.dataset === undefined ? [] : [learnedInput(training.dataset, training)]),
    ],
    outputs: named(outputs).map((dataset) => withRows(dataset, run)),
  };
}

function learnedInput({ id, digest, rows }: LearnedDataset, { assertions }: TrainingDetail): RunDataset {
  const name = datasetNames.trained(id);
  return { namespace: LINEAGE_NAMESPACE, name, fields: [], version: digest, rows, assertions };
}

type Named = RunDataset & { readonly short: string };

function withQuality({ short, ...dataset }: Named, run: StoredRun, training?: TrainingDetail): RunDataset {
  const { counts } = run;
  switch (run.job) {
    case 'ingest': {
      const rows = Sources.parse(run.detail['sources'])
        .filter(({ type }) => datasetNames.eventType(type) === short)
        .reduce((sum, { events }) => sum + events, 0);
      return { ...dataset, rows, assertions: rulesOf(counts) };
    }
    case 'fold':
      return { ...dataset, rows: counts['events'] ?? 0 };
    case 'train':
      return { ...dataset, rows: training?.snapshot?.rows, assertions: training?.assertions };
    case 'predict':
      return {
        ...dataset,
        rows: counts['entities'] ?? 0,
        version: short.startsWith(datasetNames.model('')) ? run.version : undefined,
      };
    case 'registry':
      return dataset;
  }
}

/**
 * The rules that all events of the minute kept. They are reported for the run as a whole, because a refused event may
 * have no type to report them under.
 */
function rulesOf(counts: StoredRun['counts']): Assertion[] {
  const broken = Object.keys(counts)
    .filter((name) => name.startsWith(QUARANTINED))
    .map((name) => ({ assertion: name.slice(QUARANTINED.length), success: false }));
  const unique = { assertion: 'unique_source_and_id', success: (counts['duplicates'] ?? 0) === 0 };
  return broken.length === 0
    ? [{ assertion: 'contract_and_rules', success: true }, unique]
    : [...broken, unique];
}

function withRows({ short, ...dataset }: Named, { job, counts, version, state }: StoredRun): RunDataset {
  const quarantined = Object.entries(counts).reduce(
    (sum, [name, by]) => sum + (name.startsWith(QUARANTINED) ? by : 0),
    0,
  );
  switch (job) {
    case 'ingest':
      if (short === datasetNames.events) return { ...dataset, rows: counts['stored'] ?? 0 };
      return short === datasetNames.quarantine ? { ...dataset, rows: quarantined } : dataset;
    case 'fold':
      return dataset;
    case 'train':
      return state === 'COMPLETE' ? { ...dataset, version } : dataset;
    case 'registry':
      return version === '' ? dataset : { ...dataset, version };
    case 'predict':
      return { ...dataset, rows: counts['predictions'] ?? 0 };
  }
}

function errorOf({ job, state, counts, detail }: StoredRun): string | undefined {
  if (state === 'COMPLETE') return undefined;
  if (job === 'train') return typeof detail['error'] === 'string' ? detail['error'] : 'It failed.';
  return `All ${counts['failures'] ?? 0} tries failed. The queue retries their messages.`;
}
