import { findEvent } from '../../storage/postgres/lineage-events.ts';
import {
  readPrediction,
  readRun,
  registryRunsOf,
  samplePredictions,
  trainingOf,
  trainingOfGraph,
} from '../../storage/postgres/lineage-read.ts';
import { type LineageContext, publishedAs } from './context.ts';
import type { LineageNode } from './graph.ts';
import {
  datasetNode,
  eventNode,
  featureNode,
  modelNode,
  predictionNode,
  runNode,
  trainedDatasetId,
} from './nodes.ts';
import { findTrainedDataset } from './trained.ts';
import { TrainingDetail } from './training.ts';

/** Kinds of nodes at which a walk may begin. */
export const ROOT_KINDS = ['event', 'run', 'dataset', 'feature', 'model', 'prediction'] as const;
export type RootKind = (typeof ROOT_KINDS)[number];

/** The node at which a walk begins: an id of its kind; for an event, its number or its source and id. */
export type RootName =
  | { readonly kind: RootKind; readonly id: string }
  | { readonly kind: 'event'; readonly source: string; readonly id: string };

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
/** Event numbers stay well below the largest safe integer. */
const SEQ = /^\d{1,15}$/;

/** The node with this name, or undefined if lineage has no record of it. */
export async function findRoot(name: RootName, ports: LineageContext): Promise<LineageNode | undefined> {
  const { db, now } = ports;
  if ('source' in name) {
    const event = await findEvent(db, { source: name.source, id: name.id });
    return event === undefined ? undefined : eventNode(event);
  }
  const { kind, id } = name;
  switch (kind) {
    case 'event': {
      const event = SEQ.test(id) ? await findEvent(db, { seq: Number(id) }) : undefined;
      return event === undefined ? undefined : eventNode(event);
    }
    case 'run': {
      const run = UUID.test(id) ? await readRun(db, id) : undefined;
      return run === undefined ? undefined : runNode(run, now);
    }
    case 'dataset': {
      const trained = trainedDatasetId(id);
      if (trained !== undefined) return await findTrainedDataset(trained, ports);
      return ports.datasets.has(id) ? datasetNode(id, ports.datasets) : undefined;
    }
    case 'feature':
      return featureOf(id, ports);
    case 'model':
      return await modelOf(id.toLowerCase(), ports);
    case 'prediction': {
      const prediction = UUID.test(id) ? await readPrediction(db, id) : undefined;
      return prediction === undefined ? undefined : predictionNode(prediction);
    }
  }
}

function featureOf(id: string, { catalog }: LineageContext): LineageNode | undefined {
  const [entity = '', ...key] = id.split(':');
  const isKnown = catalog.features.some((definition) => definition.entity.name === entity);
  return isKnown && key.length > 0 ? featureNode(entity, key.join(':')) : undefined;
}

/**
 * A model by its version, or by the SHA-256 of its graph. If no training of it is recorded, a published, registered or used
 * version counts.
 */
async function modelOf(id: string, ports: LineageContext): Promise<LineageNode | undefined> {
  const { db, catalog } = ports;
  const isVersion = /^[0-9a-f]{12}$/.test(id);
  if (!isVersion && !/^[0-9a-f]{64}$/.test(id)) return undefined;
  const run = isVersion ? await trainingOf(db, id) : await trainingOfGraph(db, id);
  if (run !== undefined) {
    const { sha256 } = TrainingDetail.parse(run.detail);
    const published = await publishedAs(run.subject, run.version, ports);
    return modelNode(run.subject, run.version, { sha256, ...published });
  }
  for (const { name } of catalog.models) {
    const manifest = await ports.champion(name);
    if (manifest !== undefined && (manifest.version === id || manifest.model.sha256 === id))
      return modelNode(name, manifest.version, await publishedAs(name, manifest.version, ports));
  }
  if (!isVersion) return undefined;
  for (const { name } of catalog.models) {
    const changes = await registryRunsOf(db, { model: name, version: id, until: undefined }, 1);
    if (changes.length > 0) return modelNode(name, id);
  }
  const { rows } = await samplePredictions(db, { version: id, since: undefined }, 1);
  return rows[0] === undefined ? undefined : modelNode(rows[0].model, id);
}
