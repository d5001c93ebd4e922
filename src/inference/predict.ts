import type { ModelDefinition, PredictionModel } from '../define/model.ts';
import type { Loaded } from '../define/view.ts';
import { answerTags } from '../features/groups.ts';
import type { FeatureRow, ReadFeatures } from '../features/shards.ts';
import type { LineageFacts } from '../pipeline/lineage/recorder.ts';
import { type Deadline, DeadlinePassed } from '../platform/deadline.ts';
import { Failure } from '../platform/failure.ts';
import { log } from '../platform/logger.ts';
import { type Answer, answerOf, fallbackOf } from './answer.ts';
import { isBroken } from './broken.ts';
import type { Manifest } from './bundle.ts';
import { type DegradedReason, type Maker, orFailure } from './degraded.ts';
import { type Explained, type ExplainPorts, explain } from './explain/explanation.ts';
import { featuresPart, type Included, unexplained } from './explain/include.ts';
import type { ServedDraft } from './feedback/record.ts';
import type { LoadedModel } from './loaded-models.ts';
import { modelTag } from './names.ts';
import { type ObservedRow, SCORE } from './observed-rows.ts';
import { inferenceIsOff, isBySwitch, loadReason, RuntimeSwitchedOff } from './phase.ts';
import { predictionFacts } from './prediction.ts';
import { type Champion, unpublished } from './registry.ts';
import {
  assertRequestFits,
  featuresOf,
  isReady,
  numbersOf,
  type RequestValues,
  rowOf,
  usedFeatures,
} from './row.ts';

export interface PredictPorts {
  /** The champion; null if no version has been published. */
  readonly champion: () => Promise<Champion | null>;
  /** @throws Failure `model_unavailable`. */
  readonly load: (manifest: Manifest) => Promise<LoadedModel>;
  /** The version if it can run at once. */
  readonly loaded: (manifest: Manifest) => LoadedModel | undefined;
  readonly features: ReadFeatures;
  /** Whether the phase is switched off, so that no model may answer; absent where it never is. */
  readonly isOff?: (() => boolean) | undefined;
  readonly now: () => number;
  readonly newId: () => string;
  /** Records the prediction for its lineage, without waiting and without failing. */
  readonly predicted: (facts: LineageFacts) => void;
  /** Takes what the log of served predictions has of an answer. */
  readonly drafted?: ((draft: ServedDraft) => void) | undefined;
  /** Takes a row that a version answered for the watch for drift, without waiting and without failing. */
  readonly watched: (model: ModelDefinition, version: string, row: () => ObservedRow) => void;
  /** When something else answers in place of work that takes longer. */
  readonly deadline: Pick<Deadline, 'within'>;
  /** Keeps work running after its request has ended. */
  readonly keepAlive: (promise: Promise<unknown>) => void;
  readonly explaining: ExplainPorts;
}

/** What is to be predicted. */
export interface PredictionRequest {
  readonly key: string;
  readonly request: RequestValues;
  /** The prefix of a request field's name in a problem's pointer. */
  readonly pointerPrefix: string;
  /** What the answer has to contain beside the prediction. */
  readonly include: readonly Included[];
}

/** An answer, what made it, and why it is not the champion's on the features of now. */
interface Outcome {
  readonly answer: Answer;
  readonly source: Maker | 'fallback';
  readonly degraded: DegradedReason | undefined;
  /** The version that made the answer or whose fallback it is, as far as it is known. */
  readonly manifest: Manifest | null;
  /** The champion, if it made the answer. */
  readonly model?: LoadedModel;
}

/** What an answer is made of, as far as it is known. */
interface Parts {
  manifest: Manifest | null;
  previous: Manifest | null;
  /** Whether the manifest is known to be the champion's now. */
  isCurrent: boolean;
  /** Undefined until it has been read. */
  row: FeatureRow | Failure | undefined;
}

/**
 * Predicts for one entity. The answer depends on the entity's features and on the champion. If the champion cannot answer
 * in time, the version before it answers, then the fallback. Such an answer is marked `degraded` and must not be stored,
 * nor an answer of a version that may no longer be the champion.
 *
 * @throws Failure `invalid_request`; without a fallback `features_unavailable`, and `model_unavailable` if no version can
 *   answer.
 */
export async function predict(
  definition: PredictionModel,
  { key, request, pointerPrefix, include }: PredictionRequest,
  ports: PredictPorts,
): Promise<Loaded> {
  assertRequestFits(definition, request, pointerPrefix);
  const entity = definition.entity.name;
  const now = ports.now();
  const known: Parts = { manifest: null, previous: null, isCurrent: true, row: undefined };
  const asked = { definition, key, request, now };
  const work = compute(asked, known, ports);
  const made = await inTime(asked, work, known, ports);
  const { answer, source, manifest } = made;
  // Late work must not change what is recorded of this answer.
  const { isCurrent, row } = { ...known };
  const degraded = made.degraded ?? (isCurrent ? undefined : 'model_unverified');
  const read = row instanceof Failure ? undefined : row;
  const explanation = include.includes('contributions')
    ? await explained(asked, made, read, ports)
    : undefined;
  const predictionId = ports.newId();
  if (manifest !== null) {
    const subject = { entity, key, features: read ?? {} };
    const outcome = { items: 1, source, degraded } as const;
    ports.predicted(predictionFacts({ id: predictionId, at: now, manifest, subject, outcome }));
  }
  ports.drafted?.({
    ...{ id: predictionId, at: now, model: definition.name, version: manifest?.version ?? null, entity, key },
    ...{ source, degraded: degraded ?? null, items: null, answer, input: request, explored: null },
    features: source === 'fallback' || read === undefined ? undefined : read,
  });
  if (source === 'model' && degraded === undefined && manifest !== null && read !== undefined)
    ports.watched(definition, manifest.version, () => observedRow(asked, read, answer));
  return {
    value: {
      key,
      ...answer,
      model: { name: definition.name, version: manifest?.version ?? null },
      predictionId,
      source,
      ...(degraded === undefined ? {} : { degraded }),
      ...(include.includes('features') ? featuresPart(source === 'fallback' ? undefined : read, now) : {}),
      ...(explanation === undefined ? {} : { explanation }),
    },
    tags: [...answerTags(entity, key, featuresOf(definition)), modelTag(definition.name)],
    // An answer whose explanation came too late is not kept: the next request may have the time.
    storable: degraded === undefined && explanation?.status !== 'unavailable',
    // A stale answer is no better than that of a version which may have been replaced.
    isDegraded: made.degraded !== undefined && !isBySwitch(made.degraded),
  };
}

/** The row of an answer, with the number that the answer is compared by as its last column. */
function observedRow({ definition, request, now }: Asked, features: FeatureRow, answer: Answer): ObservedRow {
  const numbers = numbersOf(definition, features, request, now);
  return {
    columns: [...numbers.map(([name]) => name), SCORE],
    values: [...numbers.map(([, value]) => value), scoreOf(definition, answer)],
  };
}

/** A regression's value, or the probability of a classification's second class; NaN if the answer has neither. */
function scoreOf(definition: PredictionModel, answer: Answer): number {
  if (definition.task === 'regression') {
    const { value } = answer;
    return typeof value === 'number' ? value : Number.NaN;
  }
  const { probabilities } = answer;
  const [, second] = definition.classes;
  const likely: unknown =
    typeof probabilities === 'object' && probabilities !== null
      ? Reflect.get(probabilities, String(second))
      : undefined;
  return typeof likely === 'number' ? likely : Number.NaN;
}

/**
 * The explanation of the champion's answer, within what is left of the deadline. Another answer has none: the features of
 * now did not make the fallback, and the version before is no longer the model that the client asked for.
 *
 * @throws Failure `not_explainable`, `rate_limited`
 */
async function explained(
  { definition, request, now }: Asked,
  { answer, degraded, model }: Outcome,
  row: FeatureRow | undefined,
  { deadline, explaining }: PredictPorts,
): Promise<Explained> {
  if (model === undefined || row === undefined) return unexplained(degraded ?? 'model_unavailable');
  const { graph } = model;
  const rowFrom = (features: FeatureRow) => rowOf(definition, graph.inputs, features, request, now);
  const asked = { definition, graph, answer, actual: rowFrom(row), baseline: rowFrom({}) };
  let isWanted = true;
  try {
    return await deadline.within(explain(asked, explaining, () => isWanted));
  } catch (error) {
    isWanted = false;
    if (error instanceof DeadlinePassed) return unexplained('deadline_exceeded');
    if (error instanceof Failure && error.code !== 'model_unavailable') throw error;
    log('error', 'An answer could not be explained.', { 'event.action': 'explain' }, error);
    return unexplained('model_failed');
  }
}

/** A prediction that is being made. */
interface Asked {
  readonly definition: PredictionModel;
  readonly key: string;
  readonly request: RequestValues;
  readonly now: number;
}

/**
 * The outcome of the work. After the deadline the version before answers if it is in memory, else the fallback. Without
 * either the work is waited for.
 */
async function inTime(
  asked: Asked,
  work: Promise<Outcome>,
  known: Parts,
  ports: PredictPorts,
): Promise<Outcome> {
  try {
    return await ports.deadline.within(work);
  } catch (error) {
    if (!(error instanceof DeadlinePassed)) throw error;
    const { manifest, previous } = known;
    const isOff = ports.isOff?.() === true;
    const degraded = isOff ? 'phase_off' : 'deadline_exceeded';
    const model = previous === null || isOff ? undefined : ports.loaded(previous);
    const answer = await previousAnswer(asked, known.row, async () => model);
    const fallback = fallbackOf(asked.definition, manifest);
    if (answer === undefined && fallback === undefined) return await work;
    // The model is loaded then, and the next request finds it in memory.
    ports.keepAlive(work.catch(() => undefined));
    if (answer !== undefined) return { answer, source: 'previous', degraded, manifest: previous };
    return { answer: fallback ?? {}, source: 'fallback', degraded, manifest };
  }
}

/** The answer of the version before the champion; undefined if it cannot answer. */
async function previousAnswer(
  { definition, request, now }: Asked,
  row: Parts['row'],
  model: () => Promise<LoadedModel | undefined>,
): Promise<Answer | undefined> {
  if (row === undefined || row instanceof Failure || !isReady(row)) return undefined;
  try {
    const loaded = await model();
    return loaded && (await answerBy(definition, loaded, row, request, now));
  } catch (error) {
    log('warn', 'The version before cannot answer either.', { 'event.action': 'predict' }, error);
    return undefined;
  }
}

async function answerBy(
  definition: PredictionModel,
  { graph }: LoadedModel,
  row: FeatureRow,
  request: RequestValues,
  now: number,
): Promise<Answer> {
  return answerOf(definition, await graph.run(rowOf(definition, graph.inputs, row, request, now)));
}

/** The features of the key; none while no model may use them. */
async function featuresUnlessOff(
  { entity }: PredictionModel,
  key: string,
  now: number,
  { isOff, features }: Pick<PredictPorts, 'isOff' | 'features'>,
): Promise<readonly FeatureRow[]> {
  return isOff?.() === true ? [] : await features(entity.name, [key], now);
}

/** Reads what the model needs, and runs it. It notes what it has read in `known`. */
async function compute(asked: Asked, known: Parts, ports: PredictPorts): Promise<Outcome> {
  const { definition, key, now } = asked;
  const [champion, row] = await Promise.all([
    orFailure(ports.champion(), 'model_unavailable').then((read) => {
      if (read instanceof Failure || read === null) return read;
      known.manifest = read.manifest;
      known.previous = read.previous;
      known.isCurrent = read.isCurrent;
      return read.manifest;
    }),
    orFailure(featuresUnlessOff(definition, key, now, ports), 'features_unavailable').then((read) => {
      const used = read instanceof Failure ? read : usedFeatures(definition, read[0] ?? {});
      known.row = used;
      return used;
    }),
  ]);
  return await outcomeOf(asked, champion, row, known, ports);
}

async function outcomeOf(
  asked: Asked,
  manifest: Manifest | null | Failure,
  row: FeatureRow | Failure,
  { previous }: Parts,
  ports: PredictPorts,
): Promise<Outcome> {
  const { definition, request, now } = asked;
  if (ports.isOff?.() === true) {
    const known = manifest instanceof Failure ? null : manifest;
    const fallback = fallbackOf(definition, known);
    if (fallback === undefined) throw inferenceIsOff();
    return { answer: fallback, source: 'fallback', degraded: 'phase_off', manifest: known };
  }
  const standIn = async (degraded: DegradedReason, failure: Failure): Promise<Outcome> => {
    const known = manifest instanceof Failure ? null : manifest;
    // A store that does not answer keeps the version before from being loaded as well.
    const get = degraded === 'model_failed' || isBroken(failure) ? ports.load : ports.loaded;
    const load = async () => (previous === null ? undefined : await get(previous));
    const answer = await previousAnswer(asked, row, load);
    const fallback = fallbackOf(definition, known);
    if (answer === undefined && fallback === undefined) throw failure;
    const what = answer === undefined ? 'the fallback' : 'the version before';
    const message = `A model or its features cannot be used; ${what} answers.` as const;
    log('warn', message, { 'event.action': 'predict', 'event.reason': degraded }, failure);
    if (answer !== undefined) return { answer, source: 'previous', degraded, manifest: previous };
    return { answer: fallback ?? {}, source: 'fallback', degraded, manifest: known };
  };
  if (row instanceof Failure) return await standIn('features_unavailable', row);
  if (manifest instanceof Failure) return await standIn('model_unavailable', manifest);
  if (manifest === null) return await standIn('model_unavailable', unpublished(definition.name));
  // After the version: who has published none should hear that first.
  if (!isReady(row)) return await standIn('features_not_ready', notReadyFailure());
  let model: LoadedModel;
  try {
    model = await ports.load(manifest);
  } catch (error) {
    if (error instanceof Failure && error.code === 'model_unavailable')
      return await standIn(loadReason(error), error);
    throw error;
  }
  try {
    const answer = await answerBy(definition, model, row, request, now);
    return { answer, source: 'model', degraded: undefined, manifest, model };
  } catch (error) {
    if (error instanceof RuntimeSwitchedOff) return await standIn('phase_degraded', error);
    const failure = new Failure('model_unavailable', 'The model failed.', { retryAfterS: 5, cause: error });
    return await standIn('model_failed', failure);
  }
}

function notReadyFailure(): Failure {
  const detail = 'A feature that the model uses is being built from history. Try again later.';
  return new Failure('features_unavailable', detail, { retryAfterS: 30 });
}
