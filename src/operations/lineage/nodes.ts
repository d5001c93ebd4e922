import type { StoredEvent } from '../../storage/postgres/lineage-events.ts';
import type { StoredPrediction, StoredRun } from '../../storage/postgres/lineage-read.ts';
import { type Datasets, datasetNames, LINEAGE_NAMESPACE } from './datasets.ts';
import type { LineageNode } from './graph.ts';
import { jobName } from './run-events.ts';
import { type LearnedDataset, type Snapshot, TrainingDetail } from './training.ts';

/** Nodes of the lineage graph: their names and their known facts. */

export function sourceNode(source: string): LineageNode {
  return { id: `source:${source}`, kind: 'source', attributes: { source } };
}

export function eventNode(event: StoredEvent): LineageNode {
  const { seq, source, id, type, occurred_at: time, recorded_at: recordedAt } = event;
  return { id: `event:${seq}`, kind: 'event', attributes: { seq, source, id, type, time, recordedAt } };
}

/** @param name the short name. A dataset that the catalog no longer has becomes a node without an OpenLineage name. */
export function datasetNode(name: string, datasets: Datasets): LineageNode {
  const known = datasets.get(name);
  const node = { id: `dataset:${name}`, kind: 'dataset', attributes: { name } } as const;
  return known === undefined
    ? node
    : { ...node, openLineage: { namespace: known.namespace, name: known.name } };
}

export function featureNode(
  entity: string,
  key: string,
  attributes: Readonly<Record<string, unknown>> = {},
): LineageNode {
  return {
    id: `feature:${entity}:${key}`,
    kind: 'feature',
    openLineage: { namespace: LINEAGE_NAMESPACE, name: datasetNames.features(entity) },
    attributes: { entity, key, ...attributes },
  };
}

/** @param now milliseconds since the Unix epoch: a run that did not end in time is shown as overdue. */
export function runNode(run: StoredRun, now: number): LineageNode {
  const { id, state, started_at: startedAt, ended_at: endedAt, counts } = run;
  const isOverdue = state === 'RUNNING' && Date.parse(run.due_at) <= now;
  const codeVersion = run.job === 'train' ? TrainingDetail.parse(run.detail).codeVersion : undefined;
  return {
    id: `run:${id}`,
    kind: 'run',
    openLineage: { runId: id, job: { namespace: LINEAGE_NAMESPACE, name: jobName(run) } },
    attributes: {
      job: jobName(run),
      state,
      ...(isOverdue ? { overdue: true } : {}),
      startedAt,
      endedAt,
      ...(run.window_from === null ? {} : { from: run.window_from, to: run.window_to }),
      ...(run.version === '' ? {} : { version: run.version }),
      counts,
      ...(codeVersion === undefined ? {} : { codeVersion }),
      ...(run.job === 'registry' ? { change: run.detail } : {}),
      ...(typeof run.detail['error'] === 'string' ? { error: run.detail['error'] } : {}),
    },
  };
}

export function trainingSetNode(run: StoredRun, snapshot: Snapshot): LineageNode {
  return { id: `training-set:${run.id}`, kind: 'training-set', attributes: { runId: run.id, ...snapshot } };
}

/** Short names of the datasets that trainings used; no table, event type or entity has a name like these. */
const TRAINED = /^datasets\.(?<id>[0-9a-f]{32})$/;

/** The id of a dataset that was made for trainings, from the short name of its node; undefined for another dataset. */
export function trainedDatasetId(name: string): string | undefined {
  return TRAINED.exec(name)?.groups?.['id'];
}

export function trainedDatasetNode(dataset: LearnedDataset): LineageNode {
  const name = datasetNames.trained(dataset.id);
  return {
    id: `dataset:${name}`,
    kind: 'dataset',
    openLineage: { namespace: LINEAGE_NAMESPACE, name },
    attributes: { name, ...dataset },
  };
}

export function modelNode(
  name: string,
  version: string,
  attributes: Readonly<Record<string, unknown>> = {},
): LineageNode {
  return {
    id: `model:${version}`,
    kind: 'model',
    openLineage: { namespace: LINEAGE_NAMESPACE, name: datasetNames.model(name) },
    attributes: { name, version, ...attributes },
  };
}

export function predictionNode(prediction: StoredPrediction): LineageNode {
  const { id, at, model, version, entity, key, items, source, degraded } = prediction;
  return {
    id: `prediction:${id}`,
    kind: 'prediction',
    openLineage: { namespace: LINEAGE_NAMESPACE, name: datasetNames.predictions(model) },
    attributes: {
      id,
      at,
      model: { name: model, version },
      ...(entity === null ? {} : { entity, key }),
      items,
      source,
      ...(degraded === null ? {} : { degraded }),
    },
  };
}
