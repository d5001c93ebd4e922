import type { TrainingRunsPorts } from '../../durable-objects/training-runs/object.ts';
import type { Catalog } from '../define/catalog.ts';
import type { ModelDefinition } from '../define/model.ts';
import { principalName } from '../define/principal.ts';
import type { GatewayPorts } from '../gateway/app.ts';
import { artifactKey } from '../inference/names.ts';
import { parseManifest } from '../inference/registry.ts';
import { typesLearned } from '../operations/lineage/trained.ts';
import { reportTraining, type TrainingReport } from '../operations/lineage/training.ts';
import { lowestQuality } from '../operations/quality/lowest.ts';
import { QUALITY_GATE } from '../operations/quality/report.ts';
import { withEarlierVersions } from '../pipeline/contracts/versions.ts';
import { totalLag } from '../pipeline/kafka/report.ts';
import { sleep, systemNow } from '../platform/clock.ts';
import { calling, Failure } from '../platform/failure.ts';
import { callPeer } from '../platform/peer.ts';
import { VERSION } from '../platform/version.ts';
import { r2Datasets } from '../storage/dataset-files.ts';
import { r2Profiles } from '../storage/drift-profiles.ts';
import { guarded } from '../storage/postgres/connect.ts';
import { endTraining, startTraining } from '../storage/postgres/lineage-runs.ts';
import { countPending } from '../storage/postgres/outbox.ts';
import { countByReason, DEAD_LETTER } from '../storage/postgres/quarantine.ts';
import { countAfter, newestSeq, rangeOfTypes } from '../storage/postgres/training-history.ts';
import { r2Training } from '../storage/training-files.ts';
import { DatasetManifest } from '../training/datasets/manifest.ts';
import { RANKING_MOMENTS_MAX } from '../training/rankings/moments.ts';
import type { KeptName, RunnerPorts, TrainedVersion } from '../training/runs/ports.ts';
import { TRAINER, type TrainingRun } from '../training/runs/run.ts';
import { TrainingRunner } from '../training/runs/runner.ts';
import { qualityNow } from './datasets.ts';
import type { Env } from './env.ts';
import { historyOf } from './history.ts';
import { type BoundIsolate, Isolate } from './isolate.ts';
import { kafkaReport } from './kafka.ts';
import { modelRegistryPorts } from './models.ts';
import { datasets, qualityWindow, trainingRuns } from './objects.ts';
import { traceTraining } from './traced-training.ts';

/** Who registers versions and changes aliases for a run. */
const FILE_MS = 60_000;
const MOMENTS = Array.from({ length: RANKING_MOMENTS_MAX }, (_, place) => place);
const KEPT: readonly KeptName[] = [
  ...(['checkpoint', 'model', 'candidates'] as const),
  ...MOMENTS.flatMap((place) => [`candidates-${place}`, `repeats-${place}`] as const),
];
const RETRY_S = 5;

/** The ports of the object that trains models. It has an isolate of its own: a training evicts no model that answers. */
export function trainingRunsPorts(env: Env, catalog: Catalog, keepAlive: KeepAlive): TrainingRunsPorts {
  let made: BoundIsolate | undefined;
  let runner: TrainingRunner | undefined;
  // Created with the first use and not with the object: with a wrong configuration, the constructor would throw.
  const bound = () => {
    made ??= new Isolate(catalog).of(env);
    return made;
  };
  const typesOf = ({ dataset }: ModelDefinition) =>
    withEarlierVersions(catalog.eventTypes, dataset === undefined ? [] : [dataset.label.eventType]);
  return {
    models: catalog.models,
    runner: () => {
      runner ??= new TrainingRunner(runnerPorts(bound(), keepAlive));
      return runner;
    },
    newestSeq: () => guarded(() => newestSeq(bound().db)),
    labelEvents: (model, after, max) => guarded(() => countAfter(bound().db, typesOf(model), after, max)),
    removed: () => ({ dataset: (id) => datasets(env).remove(id), kept: keptIn(env).remove }),
  };
}

type KeepAlive = (work: Promise<unknown>) => void;

function runnerPorts(bound: BoundIsolate, keepAlive: KeepAlive): RunnerPorts {
  const { env, isolate, registry } = bound;
  const { catalog } = isolate;
  const counts = () => qualityWindow(env).counts();
  return {
    ...{ models: catalog.models, now: systemNow, pause: () => sleep(0), codeVersion: VERSION },
    measure: (definition, asOf) => figuresOf(bound, definition, asOf),
    datasets: {
      begin: async (spec) => {
        const quality = JSON.stringify(await qualityNow(catalog, spec.model, counts));
        return await datasets(env).begin(spec, quality);
      },
      read: async (id) => {
        const found = await datasets(env).read(id);
        if (found === null) return null;
        const { report, manifest } = found;
        return { report, manifest: manifest === null ? null : DatasetManifest.parse(JSON.parse(manifest)) };
      },
      remove: (id) => datasets(env).remove(id),
      file: async (id, name) => {
        const body = await r2Datasets(env.MODELS).open(id, name);
        if (body === undefined) return undefined;
        return new Uint8Array(await callPeer('artifacts', FILE_MS, () => new Response(body).arrayBuffer()));
      },
    },
    kept: keptIn(env),
    keepProfile: (profile) =>
      r2Profiles(env.MODELS).put(profile.model, profile.version, JSON.stringify(profile)),
    history: historyOf(bound.db, catalog),
    runtime: { load: (bytes) => registry.loadGraph(Uint8Array.from(bytes)) },
    load: registry.loadGraph,
    registry: registryPorts(bound, keepAlive),
    lineage: {
      began: (run) => report(bound, run, { state: 'START' }),
      ended: async (run, version) => {
        await report(bound, run, endOf(catalog, run, version));
        await traceTraining(bound.tracing, bound.db, run, version, keepAlive);
      },
    },
  };
}

function keptIn(env: Pick<Env, 'MODELS'>): RunnerPorts['kept'] {
  const files = r2Training(env.MODELS);
  return { put: files.put, get: files.get, remove: (run) => files.remove(run, KEPT) };
}

/** What the gates are judged by. */
async function figuresOf(
  { env, db, isolate: { catalog } }: BoundIsolate,
  { dataset }: ModelDefinition,
  asOf: number,
): ReturnType<RunnerPorts['measure']> {
  const types = withEarlierVersions(
    catalog.eventTypes,
    dataset === undefined ? [] : [dataset.label.eventType],
  );
  const [letters, waitingChanges, history, counts, partitions] = await Promise.all([
    guarded(() => countByReason(db, undefined)),
    guarded(() => countPending(db)),
    guarded(() => rangeOfTypes(db, types, asOf)),
    qualityWindow(env).counts(),
    kafkaReport(env),
  ]);
  return {
    ...{ deadLetters: letters[DEAD_LETTER] ?? 0, waitingChanges, history, qualityMin: QUALITY_GATE },
    kafkaLag: totalLag(partitions),
    quality: lowestQuality(counts, catalog.eventTypes),
  };
}

function registryPorts(bound: BoundIsolate, keepAlive: KeepAlive): RunnerPorts['registry'] {
  const { registry } = bound;
  const ports = modelRegistryPorts(bound, keepAlive);
  return {
    champion: async (model) => {
      const manifest = (await registry.champion(model))?.manifest;
      return manifest == null ? undefined : parseManifest(model, JSON.parse(manifest));
    },
    artifact: (sha256) => registry.store.get(artifactKey(sha256)),
    register: async (definition, bundle) => {
      const measured = await ports.check(definition, bundle);
      const { manifest, card = '' } = bundle;
      const { name: model, version } = manifest;
      await ports.register({ model, version, manifest: JSON.stringify(manifest), card, measured }, TRAINER);
    },
    challenge: async (model, version) => {
      const { current } = await ports.previous(model, 'challenger');
      if (current === version) return true;
      const target = { model, alias: 'challenger', version, expected: current, reason: 'set' } as const;
      return (await ports.point(target, TRAINER)) !== undefined;
    },
  };
}

async function report({ db }: BoundIsolate, run: TrainingRun, said: TrainingReport): Promise<void> {
  const ports = {
    start: (start: Parameters<typeof startTraining>[1]) => startTraining(db, start),
    end: (end: Parameters<typeof endTraining>[1]) => endTraining(db, end),
    now: systemNow,
  };
  try {
    await guarded(() => reportTraining(run.lineage ?? run.id, run.model, said, ports));
  } catch (error) {
    // A sweep has ended a run that took more than a day: lineage keeps the first end.
    if (!(error instanceof Failure && error.code === 'run_ended')) throw error;
  }
}

function endOf(catalog: Catalog, run: TrainingRun, made: TrainedVersion | undefined): TrainingReport {
  const startedAt = new Date(run.begunMs).toISOString();
  const assertions = run.gates.map(({ gate, holds }) => ({ assertion: gate, success: holds }));
  if (made !== undefined) {
    const { dataset: used, asOf, model } = run;
    const [rows, types] = [made.trainingRows, typesLearned(catalog, model)];
    const dataset =
      used?.digest == null
        ? undefined
        : { id: used.id, digest: used.digest, asOf: new Date(asOf).toISOString(), rows, types };
    return { state: 'COMPLETE', startedAt, ...made, dataset, codeVersion: VERSION, assertions };
  }
  const error = `${run.failure?.code}: ${run.failure?.detail}`.slice(0, 1_000);
  return { state: run.state === 'failed' ? 'FAIL' : 'ABORT', startedAt, error, assertions };
}

/** The ports of the routes of training runs. */
export function trainingRoutePorts({ env }: BoundIsolate): GatewayPorts['training'] {
  const asking = <T>(ask: () => Promise<T>) =>
    calling(ask, 'training_unavailable', 'The object that trains models does not answer.', RETRY_S);
  const object = () => trainingRuns(env);
  return {
    begin: (model, reason, by) => asking(() => object().begin(model, reason, principalName(by))),
    list: (model, limit) => asking(() => object().list(model, limit)),
    read: (id) => asking(() => object().read(id)),
    cancel: (id, by) => asking(() => object().cancel(id, principalName(by))),
    resume: (id) => asking(() => object().resume(id)),
  };
}
