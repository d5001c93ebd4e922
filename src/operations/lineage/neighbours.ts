import type { Catalog } from '../../define/catalog.ts';
import { keysOf } from '../../features/fold.ts';
import { windowRunId } from '../../pipeline/lineage/runs.ts';
import {
  findEvent,
  lineageName,
  sampleEvents,
  sampleEventsOfKey,
  tablesWith,
} from '../../storage/postgres/lineage-events.ts';
import {
  newestRuns,
  readPrediction,
  readRun,
  registryRunsOf,
  runsSpanning,
  type StoredPrediction,
  type StoredRun,
  samplePredictions,
  trainingOf,
  trainingsAfter,
} from '../../storage/postgres/lineage-read.ts';
import { LINEAGE_JOBS } from '../../storage/postgres/lineage-runs.ts';
import { type LineageContext, NOTHING, publishedAs, sampled } from './context.ts';
import type { Bound, Direction, Expand, LineageNode, Neighbour, Neighbours } from './graph.ts';
import {
  datasetNode,
  eventNode,
  featureNode,
  modelNode,
  predictionNode,
  runNode,
  sourceNode,
  trainedDatasetId,
} from './nodes.ts';
import { changeRelation, RegistryDetail } from './registry-changes.ts';
import { datasetsOfJob, Sources } from './run-events.ts';
import {
  hasLearnedFrom,
  learnedNode,
  trainedDatasetNeighbours,
  trainingNeighbours,
  trainingSetNeighbours,
} from './trained.ts';
import { TrainingDetail } from './training.ts';

/** The most trainings that may have learned from an event, and the most runs that may have folded it. */
const TRAININGS_MAX = 20;
const FOLDS_MAX = 3;
const MORE_TRAININGS = { kind: 'training-set', shown: TRAININGS_MAX, total: null } as const;

/** Finds the neighbours of a node from stored lineage and, where possible, from the catalog and the tables alone. */
export function neighboursOf(ports: LineageContext): Expand {
  return async (node, direction, { bound, isRoot }) => {
    const id = node.id.slice(node.kind.length + 1);
    switch (node.kind) {
      case 'source':
        return NOTHING;
      case 'event':
        return await eventNeighbours(node, direction, ports);
      case 'feature':
        return await featureNeighbours(node, direction, bound, ports);
      case 'prediction':
        return direction === 'up' ? await madeOf(id, ports) : NOTHING;
      case 'model':
        return await modelNeighbours(node, direction, bound, ports);
      case 'training-set':
        return await trainingSetNeighbours(id, direction, bound, ports);
      case 'dataset': {
        const trained = trainedDatasetId(id);
        if (trained !== undefined) return await trainedDatasetNeighbours(trained, direction, bound, ports);
        return isRoot ? await datasetNeighbours(id, direction, ports) : NOTHING;
      }
      case 'run':
        return await runNeighbours(id, direction, bound, isRoot, ports);
    }
  };
}

async function eventNeighbours(
  node: LineageNode,
  direction: Direction,
  ports: LineageContext,
): Promise<Neighbours> {
  const { db, catalog, datasets, now } = ports;
  const event = await findEvent(db, { seq: Number(node.attributes['seq']) });
  if (event === undefined) return NOTHING;
  const recordedAt = event.recorded_at;
  if (direction === 'up') {
    const ingest = { job: 'ingest', subject: '', version: '' } as const;
    const run = await readRun(db, await windowRunId(ingest, Date.parse(recordedAt)));
    const found: Neighbour[] = [{ node: sourceNode(event.source), relation: 'sent' }];
    // The run's minute has other events, too, so the walk shows the run and does not expand it.
    if (run !== undefined) found.push({ node: runNode(run, now), relation: 'stored', isLeaf: true });
    const changed = catalog.features.find(
      ({ column, eventType }) => column !== undefined && eventType === event.type,
    );
    if (changed !== undefined)
      found.push({
        node: datasetNode(lineageName(changed.entity.table), datasets),
        ...{ relation: 'recorded-from', isLeaf: true },
      });
    return { found };
  }
  const [tables, folds, trainings] = await Promise.all([
    tablesWith(db, catalog.histories, event.seq),
    runsSpanning(db, 'fold', event.seq, secondsBefore(recordedAt), FOLDS_MAX),
    trainingsAfter(db, { seq: event.seq, recordedAt }, TRAININGS_MAX + 1),
  ]);
  const foldable = { ...event, occurredAt: Date.parse(event.occurred_at) };
  const keys = Map.groupBy(catalog.features, ({ entity }) => entity.name);
  const features = [...keys].flatMap(([entity, of]) => keysOf(of, foldable).map((key) => ({ entity, key })));
  const entities = features.map(({ entity }) => entity);
  const learned = { type: event.type, recordedAt, tables, entities };
  return {
    found: [
      ...tables.map(
        (name): Neighbour => ({ node: datasetNode(name, datasets), relation: 'stored-in', isLeaf: true }),
      ),
      ...folds.map((run): Neighbour => ({ node: runNode(run, now), relation: 'folded-by', isLeaf: true })),
      ...features.map(
        ({ entity, key }): Neighbour => ({
          node: featureNode(entity, key),
          relation: 'folded-into',
          bound: { at: recordedAt },
        }),
      ),
      ...trainings.slice(0, TRAININGS_MAX).flatMap((run): Neighbour[] => {
        const node = hasLearnedFrom(run, learned, ports) ? learnedNode(run) : undefined;
        return node === undefined ? [] : [{ node, relation: 'part-of', bound: { at: recordedAt } }];
      }),
    ],
    truncated: trainings.length > TRAININGS_MAX ? [MORE_TRAININGS] : [],
  };
}

function secondsBefore(at: string): string {
  return new Date(Date.parse(at) - 120_000).toISOString();
}

async function featureNeighbours(
  node: LineageNode,
  direction: Direction,
  { at }: Bound,
  { db, catalog, limit }: LineageContext,
): Promise<Neighbours> {
  const { entity, key } = node.attributes as { entity: string; key: string };
  if (direction === 'down') {
    const sample = await samplePredictions(db, { entity, key, since: at }, limit);
    return sampled(sample, 'prediction', (row) => ({ node: predictionNode(row), relation: 'used-by' }));
  }
  const types = catalog.features.filter((of) => of.entity.name === entity).map(({ eventType }) => eventType);
  const filter = { histories: catalog.histories, entity, key, types: [...new Set(types)], knownBy: at };
  const sample = await sampleEventsOfKey(db, filter, limit);
  return sampled(sample, 'event', (row) => ({ node: eventNode(row), relation: 'folded-into' }));
}

/** The inputs of a prediction: a version, and the features of a key as of the prediction. */
async function madeOf(id: string, ports: LineageContext): Promise<Neighbours> {
  const { db, now } = ports;
  const prediction = await readPrediction(db, id);
  if (prediction === undefined) return NOTHING;
  const { entity, key, at, features } = prediction;
  const run = await readRun(db, await predictionRunId(prediction));
  const found: Neighbour[] = [
    {
      node: modelNode(
        prediction.model,
        prediction.version,
        await publishedAs(prediction.model, prediction.version, ports),
      ),
      relation: 'answered',
      bound: { at },
    },
  ];
  if (entity !== null && key !== null)
    found.push({
      node: featureNode(entity, key, { asOf: at, values: features }),
      relation: 'used-by',
      bound: { at },
    });
  if (run !== undefined) found.push({ node: runNode(run, now), relation: 'computed', isLeaf: true });
  return { found };
}

async function predictionRunId({ model, version, at }: StoredPrediction): Promise<string> {
  return await windowRunId({ job: 'predict', subject: model, version }, Date.parse(at));
}

async function modelNeighbours(
  node: LineageNode,
  direction: Direction,
  { at }: Bound,
  { db, limit, now }: LineageContext,
): Promise<Neighbours> {
  const version = String(node.attributes['version']);
  if (direction === 'down') {
    const sample = await samplePredictions(db, { version, since: at }, limit);
    return sampled(sample, 'prediction', (row) => ({ node: predictionNode(row), relation: 'answered' }));
  }
  const model = String(node.attributes['name']);
  const [run, changes] = await Promise.all([
    trainingOf(db, version),
    registryRunsOf(db, { model, version, until: at }, limit + 1),
  ]);
  const cut = { kind: 'run', shown: limit, total: null } as const;
  const truncated = changes.length > limit ? [cut] : [];
  const changed = changes.slice(0, limit).map((change): Neighbour => {
    return { node: runNode(change, now), relation: changeRelation(change), isLeaf: true };
  });
  const trained: Neighbour[] = run === undefined ? [] : [{ node: runNode(run, now), relation: 'produced' }];
  return { found: [...trained, ...changed], truncated };
}

async function datasetNeighbours(
  name: string,
  direction: Direction,
  { db, catalog, limit, now }: LineageContext,
): Promise<Neighbours> {
  const ofModels = models(catalog);
  const subjects = { ingest: [''], fold: [''], train: ofModels, predict: ofModels, registry: ofModels };
  const jobs = LINEAGE_JOBS.flatMap((job) => subjects[job].map((subject) => ({ job, subject })));
  const side = direction === 'up' ? 'outputs' : 'inputs';
  const touching = jobs.filter((job) => datasetsOfJob(catalog, job)[side].includes(name));
  const trainings = jobs.filter(({ job }) => job === 'train' && direction === 'down');
  const [runs, trained] = await Promise.all([
    newestRuns(db, touching, limit),
    newestRuns(db, trainings, limit),
  ]);
  const read = trained.filter((run) => TrainingDetail.parse(run.detail).snapshot?.table === name);
  const relation = direction === 'up' ? 'wrote' : 'read-by';
  return { found: [...runs, ...read].map((run) => ({ node: runNode(run, now), relation, isLeaf: true })) };
}

function models(catalog: Catalog): string[] {
  return catalog.models.map(({ name }) => name);
}

async function runNeighbours(
  id: string,
  direction: Direction,
  bound: Bound,
  isRoot: boolean,
  ports: LineageContext,
): Promise<Neighbours> {
  const run = await readRun(ports.db, id);
  if (run === undefined) return NOTHING;
  if (run.job === 'train') return trainingNeighbours(run, direction, bound);
  if (run.job === 'registry') return changeNeighbours(run, direction, bound);
  return isRoot ? await windowNeighbours(run, direction, ports) : NOTHING;
}

/** The version that a change of the registry concerns, and the one that the alias named before. */
function changeNeighbours(run: StoredRun, direction: Direction, bound: Bound): Neighbours {
  const { subject, version } = run;
  const { before } = RegistryDetail.parse(run.detail);
  if (direction === 'up') {
    if (before === null) return NOTHING;
    return { found: [{ node: modelNode(subject, before), relation: 'replaced', isLeaf: true }] };
  }
  if (version === '') return NOTHING;
  return { found: [{ node: modelNode(subject, version), relation: changeRelation(run), bound }] };
}

/** The datasets and events that a minute's run read and wrote. The walk does not expand the events. */
async function windowNeighbours(
  run: StoredRun,
  direction: Direction,
  { db, catalog, datasets, limit }: LineageContext,
): Promise<Neighbours> {
  const { inputs, outputs } = datasetsOfJob(catalog, run);
  const found = (direction === 'up' ? inputs : outputs).map(
    (name): Neighbour => ({
      node: datasetNode(name, datasets),
      relation: direction === 'up' ? 'read-by' : 'wrote',
      isLeaf: true,
    }),
  );
  const asEvents = (sample: Awaited<ReturnType<typeof sampleEvents>>, relation: string): Neighbours => {
    const events = sampled(sample, 'event', (row) => ({ node: eventNode(row), relation, isLeaf: true }));
    return { found: [...found, ...events.found], truncated: events.truncated };
  };
  const { window_from: from, window_to: to, first_seq: firstSeq, last_seq: lastSeq } = run;
  if (from === null || to === null) return { found };
  if (run.job === 'ingest' && direction === 'down')
    return asEvents(await sampleEvents(db, { from, to }, limit), 'stored');
  if (run.job === 'ingest') {
    const sources = [...new Set(Sources.parse(run.detail['sources']).map(({ source }) => source))];
    return {
      found: [
        ...found,
        ...sources.map((source): Neighbour => ({ node: sourceNode(source), relation: 'sent' })),
      ],
    };
  }
  if (run.job === 'fold' && direction === 'up' && firstSeq !== null && lastSeq !== null)
    return asEvents(await sampleEvents(db, { firstSeq, lastSeq }, limit), 'folded-by');
  if (run.job !== 'predict') return { found };
  if (direction === 'up')
    return { found: [...found, { node: modelNode(run.subject, run.version), relation: 'read-by' }] };
  const sample = await samplePredictions(db, { version: run.version, since: from, before: to }, limit);
  const predictions = sampled(sample, 'prediction', (row) => ({
    node: predictionNode(row),
    relation: 'computed',
  }));
  return { found: [...found, ...predictions.found], truncated: predictions.truncated };
}
