import type { PredictionModel } from '../define/model.ts';
import type { Loaded } from '../define/view.ts';
import { type FeatureRow, featureTag, readFeatures, readyTag, type ShardPort } from '../features/shards.ts';
import type { LineageFacts } from '../pipeline/lineage/recorder.ts';
import { type Deadline, DeadlinePassed } from '../platform/deadline.ts';
import { Failure } from '../platform/failure.ts';
import { log } from '../platform/logger.ts';
import { type Answer, answerOf, fallbackOf } from './answer.ts';
import type { Manifest } from './bundle.ts';
import type { LoadedModel } from './loaded-models.ts';
import { predictionFacts } from './prediction.ts';
import { type Champion, modelTag, unpublished } from './registry.ts';
import { assertRequestFits, isReady, type RequestValues, rowOf, usedFeatures } from './row.ts';

export interface PredictPorts {
  /** The champion; null if no version has been published. */
  readonly champion: () => Promise<Champion | null>;
  /** @throws Failure `model_unavailable`. */
  readonly load: (manifest: Manifest) => Promise<LoadedModel>;
  readonly shards: Pick<ShardPort, 'read'>;
  readonly now: () => number;
  readonly newId: () => string;
  /** Records the prediction for its lineage, without waiting and without failing. */
  readonly predicted: (facts: LineageFacts) => void;
  /** When the fallback answers in place of work that takes longer. */
  readonly deadline: Pick<Deadline, 'within'>;
  /** Keeps work running after its request has ended. */
  readonly keepAlive: (promise: Promise<unknown>) => void;
}

/** What is to be predicted. */
export interface PredictionRequest {
  readonly key: string;
  readonly request: RequestValues;
  /** The prefix of a request field's name in a problem's pointer. */
  readonly pointerPrefix: string;
}

/** The reason why the fallback answers. */
export type PredictionDegraded =
  | 'features_unavailable'
  | 'features_not_ready'
  | 'model_unavailable'
  | 'model_failed'
  | 'deadline_exceeded';

type Outcome = { readonly answer: Answer; readonly degraded: PredictionDegraded | undefined };

/** What an answer is made of, as far as it is known. */
interface Parts {
  manifest: Manifest | null;
  /** Whether the manifest is known to be the champion's now. */
  isCurrent: boolean;
  row: FeatureRow | Failure;
}

/**
 * Predicts for one entity. The answer depends on the entity's features and on the champion. An answer of the fallback
 * is marked `degraded` and must not be stored, nor an answer of a version that may no longer be the champion.
 *
 * @throws Failure `invalid_request`; without a fallback `features_unavailable`, and `model_unavailable` if no version can
 *   answer.
 */
export async function predict(
  definition: PredictionModel,
  { key, request, pointerPrefix }: PredictionRequest,
  ports: PredictPorts,
): Promise<Loaded> {
  assertRequestFits(definition, request, pointerPrefix);
  const entity = definition.entity.name;
  const now = ports.now();
  const known: Parts = { manifest: null, isCurrent: true, row: {} };
  const work = compute(definition, { key, request, now }, known, ports);
  const { answer, degraded } = await inTime(definition, work, known, ports);
  // Late work must not change what is recorded of this answer.
  const { manifest, isCurrent, row } = { ...known };
  const predictionId = ports.newId();
  const source = degraded === undefined ? 'model' : 'fallback';
  if (manifest !== null) {
    const subject = { entity, key, features: row instanceof Failure ? {} : row };
    const outcome = { items: 1, source, degraded } as const;
    ports.predicted(predictionFacts({ id: predictionId, at: now, manifest, subject, outcome }));
  }
  return {
    value: {
      key,
      ...answer,
      model: { name: definition.name, version: manifest?.version ?? null },
      predictionId,
      source,
      ...(degraded === undefined ? {} : { degraded }),
    },
    tags: [featureTag(entity, key), readyTag(entity), modelTag(definition.name)],
    storable: degraded === undefined && isCurrent,
  };
}

/** The outcome of the work, or after the deadline the fallback. Without a fallback the work is waited for. */
async function inTime(
  definition: PredictionModel,
  work: Promise<Outcome>,
  known: Parts,
  { deadline, keepAlive }: PredictPorts,
): Promise<Outcome> {
  try {
    return await deadline.within(work);
  } catch (error) {
    if (!(error instanceof DeadlinePassed)) throw error;
    const answer = fallbackOf(definition, known.manifest);
    if (answer === undefined) return await work;
    // The model is loaded then, and the next request finds it in memory.
    keepAlive(work.catch(() => undefined));
    return { answer, degraded: 'deadline_exceeded' };
  }
}

/** Reads what the model needs, and runs it. It notes what it has read in `known`. */
async function compute(
  definition: PredictionModel,
  { key, request, now }: { key: string; request: RequestValues; now: number },
  known: Parts,
  ports: PredictPorts,
): Promise<Outcome> {
  const [champion, row] = await Promise.all([
    orFailure(ports.champion(), 'model_unavailable').then((read) => {
      if (read instanceof Failure || read === null) return read;
      known.manifest = read.manifest;
      known.isCurrent = read.isCurrent;
      return read.manifest;
    }),
    orFailure(readFeatures(definition.entity.name, [key], now, ports.shards), 'features_unavailable').then(
      (read) => {
        known.row = read instanceof Failure ? read : usedFeatures(definition, read[0] ?? {});
        return known.row;
      },
    ),
  ]);
  return await outcomeOf(definition, champion, { row, request, now }, ports);
}

/** The result, or the failure of this code: a fallback may answer then. */
async function orFailure<T>(
  reading: Promise<T>,
  code: 'features_unavailable' | 'model_unavailable',
): Promise<T | Failure> {
  try {
    return await reading;
  } catch (error) {
    if (error instanceof Failure && error.code === code) return error;
    throw error;
  }
}

async function outcomeOf(
  definition: PredictionModel,
  manifest: Manifest | null | Failure,
  { row, request, now }: { row: FeatureRow | Failure; request: RequestValues; now: number },
  ports: PredictPorts,
): Promise<Outcome> {
  const standIn = (degraded: PredictionDegraded, failure: Failure): Outcome => {
    const answer = fallbackOf(definition, manifest instanceof Failure ? null : manifest);
    if (answer === undefined) throw failure;
    log(
      'warn',
      'A model or its features cannot be used; the fallback answers.',
      { 'event.action': 'predict', degraded },
      failure,
    );
    return { answer, degraded };
  };
  if (row instanceof Failure) return standIn('features_unavailable', row);
  if (manifest instanceof Failure) return standIn('model_unavailable', manifest);
  if (manifest === null) return standIn('model_unavailable', unpublished(definition.name));
  // After the version: who has published none should hear that first.
  if (!isReady(row)) return standIn('features_not_ready', notReadyFailure());
  let model: LoadedModel;
  try {
    model = await ports.load(manifest);
  } catch (error) {
    if (error instanceof Failure && error.code === 'model_unavailable') return standIn(error.code, error);
    throw error;
  }
  try {
    const outputs = await model.graph.run(rowOf(definition, model.graph.inputs, row, request, now));
    return { answer: answerOf(definition, outputs), degraded: undefined };
  } catch (error) {
    const failure = new Failure('model_unavailable', 'The model failed.', { retryAfterS: 5, cause: error });
    return standIn('model_failed', failure);
  }
}

function notReadyFailure(): Failure {
  const detail = 'A feature that the model uses is being built from history. Try again later.';
  return new Failure('features_unavailable', detail, { retryAfterS: 30 });
}
