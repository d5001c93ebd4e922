import type { DriftWatchesPorts } from '../../durable-objects/drift-watches/object.ts';
import type { Catalog } from '../define/catalog.ts';
import type { ModelDefinition } from '../define/model.ts';
import type { DriftRoutePorts } from '../gateway/routes/admin-drift.ts';
import type { ObservedRows } from '../inference/observed-rows.ts';
import type { PredictPorts } from '../inference/predict.ts';
import { sleep, systemNow } from '../platform/clock.ts';
import { calling } from '../platform/failure.ts';
import { r2Profiles } from '../storage/drift-profiles.ts';
import { DriftProfile } from '../training/drift/profile.ts';
import type { Env } from './env.ts';
import type { BoundIsolate } from './isolate.ts';
import { driftWatches, trainingRuns } from './objects.ts';

/** Who a run says that it was begun by. */
const OBJECT = 'system:drift';
const RETRY_S = 5;

/** The ports of the object that watches the rows of a model: the profiles in R2, and the object that trains. */
export function driftWatchesPorts(env: Env, catalog: Pick<Catalog, 'models'>): DriftWatchesPorts {
  return {
    profile: async (model, version) => {
      const text = await r2Profiles(env.MODELS).get(model, version);
      return text === undefined ? undefined : DriftProfile.parse(JSON.parse(text));
    },
    trainsOnDrift: (model) =>
      catalog.models.some(({ name, retraining }) => name === model && retraining.onDrift),
    train: async (model) => {
      const { run, why } = await trainingRuns(env).begin(model, 'drift', OBJECT);
      return { run: run?.id ?? null, why };
    },
  };
}

/** Takes answered rows of the models that are trained here; no others have profiles. */
export function driftServing(
  { env, isolate }: BoundIsolate,
  keepAlive: (work: Promise<unknown>) => void,
): PredictPorts['watched'] {
  const ports = {
    ...{ now: systemNow, pause: sleep, keepAlive },
    send: (model: string, rows: ObservedRows) => driftWatches(env, model).observe(model, rows),
  };
  return (definition, version, row) => {
    if (isTrainedHere(definition)) isolate.observedRows.saw(definition.name, version, row, ports);
  };
}

function isTrainedHere({ dataset, training }: ModelDefinition): boolean {
  return dataset !== undefined && training !== undefined;
}

/** The ports of the route that shows drifts. */
export function driftRoutePorts({ env }: BoundIsolate): DriftRoutePorts {
  return {
    report: (model) =>
      calling(
        () => driftWatches(env, model).report(),
        'statistics_unavailable',
        'The object that watches the model does not answer.',
        RETRY_S,
      ),
  };
}
