import type { Catalog } from '../../define/catalog.ts';
import { referencesOf } from '../../define/model.ts';
import { withEarlierVersions } from '../../pipeline/contracts/versions.ts';
import { sampleEvents, sampleEventsOfHistory } from '../../storage/postgres/lineage-events.ts';
import { readRun, type StoredRun, trainingsWithDataset } from '../../storage/postgres/lineage-read.ts';
import { entityOf, type LineageContext, NOTHING, sampled } from './context.ts';
import { datasetNames } from './datasets.ts';
import type { Bound, Direction, LineageNode, Neighbour, Neighbours } from './graph.ts';
import {
  datasetNode,
  eventNode,
  modelNode,
  runNode,
  sourceNode,
  trainedDatasetNode,
  trainingSetNode,
} from './nodes.ts';
import { type LearnedDataset, TrainingDetail } from './training.ts';

/** The trainings that used one dataset: those that are shown. */
const TRAININGS_MAX = 20;

/** An event, as far as a training may have learned from it. */
interface LearnedEvent {
  readonly type: string;
  /** RFC 3339. */
  readonly recordedAt: string;
  /** The history tables that have a row of it. */
  readonly tables: readonly string[];
  /** The entities whose features count it. */
  readonly entities: readonly string[];
}

/** The event types that decide the rows of a model's dataset: those of its label and of its features, in all versions. */
export function typesLearned(catalog: Pick<Catalog, 'models' | 'eventTypes'>, model: string): string[] {
  const definition = catalog.models.find(({ name }) => name === model);
  const { dataset } = definition ?? {};
  if (definition === undefined || dataset === undefined) return [];
  const features = [...referencesOf(definition), ...Object.values(dataset.itemFeatures)];
  const types = [dataset.label.eventType, ...features.map(({ feature }) => feature.eventType)];
  return withEarlierVersions(catalog.eventTypes, [...new Set(types)]).sort();
}

/**
 * Whether a training may have learned from an event. Of a dataset it is known as of when it was made and which types
 * count, so an event of an entity that had no row in it is included as well.
 */
export function hasLearnedFrom(
  { subject, detail }: Pick<StoredRun, 'subject' | 'detail'>,
  { type, recordedAt, tables, entities }: LearnedEvent,
  { catalog }: Pick<LineageContext, 'catalog'>,
): boolean {
  const { snapshot, dataset } = TrainingDetail.parse(detail);
  if (dataset !== undefined)
    return recordedAt <= dataset.asOf && typesOf(dataset, subject, catalog).includes(type);
  return (
    snapshot !== undefined &&
    tables.includes(snapshot.table) &&
    recordedAt <= snapshot.asOf &&
    entities.some((entity) => entity === entityOf(subject, { catalog }))
  );
}

function typesOf(dataset: LearnedDataset, model: string, catalog: Catalog): readonly string[] {
  return dataset.types.length > 0 ? dataset.types : typesLearned(catalog, model);
}

/** What a training learned from, as a node: its dataset, or the rows of a table that its trainer read. */
export function learnedNode(run: StoredRun): LineageNode | undefined {
  const { snapshot, dataset } = TrainingDetail.parse(run.detail);
  if (dataset !== undefined) return trainedDatasetNode(dataset);
  return snapshot === undefined ? undefined : trainingSetNode(run, snapshot);
}

export function trainingNeighbours(run: StoredRun, direction: Direction, bound: Bound): Neighbours {
  if (direction === 'up') {
    const node = learnedNode(run);
    return node === undefined ? NOTHING : { found: [{ node, relation: 'trained' }] };
  }
  if (run.state !== 'COMPLETE') return NOTHING;
  const { sha256 } = TrainingDetail.parse(run.detail);
  return { found: [{ node: modelNode(run.subject, run.version, { sha256 }), relation: 'produced', bound }] };
}

export async function trainingSetNeighbours(
  runId: string,
  direction: Direction,
  bound: Bound,
  ports: LineageContext,
): Promise<Neighbours> {
  const { db, catalog, datasets, limit, now } = ports;
  const run = await readRun(db, runId);
  if (run === undefined) return NOTHING;
  if (direction === 'down') return { found: [{ node: runNode(run, now), relation: 'trained', bound }] };
  const { snapshot } = TrainingDetail.parse(run.detail);
  if (snapshot === undefined) return NOTHING;
  const history = catalog.histories.find((of) => datasetNames.table(of.table) === snapshot.table);
  const { firstSeq, lastSeq, asOf: knownBy, rows: total } = snapshot;
  const range = { firstSeq, lastSeq, knownBy, owner: entityOf(run.subject, ports) };
  const rows = history === undefined ? [] : await sampleEventsOfHistory(db, history, range, limit);
  const events = sampled({ rows, total }, 'event', (row) => ({
    node: eventNode(row),
    relation: 'part-of',
    // A training set has thousands of events, so the walk does not expand them. A caller can start a walk at one.
    isLeaf: true,
  }));
  const sources = [...new Set(snapshot.sources.map(({ source }) => source))].slice(0, limit);
  return {
    found: [
      { node: datasetNode(snapshot.table, datasets), relation: 'read-as', isLeaf: true },
      ...sources.map((source): Neighbour => ({ node: sourceNode(source), relation: 'contributed' })),
      ...events.found,
    ],
    truncated: events.truncated,
  };
}

/** Up: the newest events that may be in a dataset. Down: the trainings that used it. */
export async function trainedDatasetNeighbours(
  id: string,
  direction: Direction,
  bound: Bound,
  { db, catalog, limit, now }: LineageContext,
): Promise<Neighbours> {
  const runs = await trainingsWithDataset(db, id, TRAININGS_MAX);
  if (direction === 'down')
    return { found: runs.map((run) => ({ node: runNode(run, now), relation: 'trained', bound })) };
  const [run] = runs;
  const { dataset } = TrainingDetail.parse(run?.detail ?? {});
  if (run === undefined || dataset === undefined) return NOTHING;
  const types = typesOf(dataset, run.subject, catalog);
  const events = await sampleEvents(db, { types, knownBy: dataset.asOf }, limit);
  return sampled(events, 'event', (row) => ({ node: eventNode(row), relation: 'part-of', isLeaf: true }));
}

/** The node of a dataset that a training used; undefined if none did. */
export async function findTrainedDataset(
  id: string,
  { db }: Pick<LineageContext, 'db'>,
): Promise<LineageNode | undefined> {
  const [run] = await trainingsWithDataset(db, id, 1);
  return run === undefined ? undefined : learnedNode(run);
}
