import type { ModelDefinition } from '../../define/model.ts';
import type { Loaded } from '../../define/view.ts';
import { Failure } from '../../platform/failure.ts';
import { log } from '../../platform/logger.ts';
import type { DegradedReason } from '../degraded.ts';
import type { ServedDraft } from '../feedback/record.ts';
import { canaryTag } from '../names.ts';
import { RuntimeSwitchedOff } from '../phase.ts';
import type { PredictPorts } from '../predict.ts';
import type { RecommendPorts } from '../recommend.ts';
import type { Champion, ServedRollout } from '../registry.ts';
import { type Arm, armOf } from './assignment.ts';
import type { Outcome } from './observed.ts';

/** How long an answer may take to leave before its shadow is computed, in milliseconds. */
const ANSWER_LEAVES_MS = 20;

/** The reasons of a degradation that the version is answerable for. The others would have befallen any version. */
const OF_VERSION: readonly DegradedReason[] = ['model_unavailable', 'model_failed', 'deadline_exceeded'];

type AskPorts = PredictPorts & RecommendPorts;

export interface RolloutPorts {
  /** Counts how a request went, without waiting and without failing. */
  readonly saw: (model: string, rollout: string, arm: Arm, outcome: Outcome) => void;
  readonly pause: (ms: number) => Promise<void>;
  /** Takes one of the places of an isolate for shadows; false if all are taken. */
  readonly beginShadow: () => boolean;
  readonly endShadow: () => void;
}

/** A request that a rollout decides the version of. */
export interface RolloutRequest {
  readonly definition: ModelDefinition;
  readonly key: string;
  /** Answers by the version that `champion` of the ports names. `isShadow`: the answer is only compared. */
  readonly ask: (ports: AskPorts, isShadow: boolean) => Promise<Loaded>;
}

/** The version of an answer, as its cache key names it: empty for the champion's. */
export type ArmVariant = Readonly<Record<string, string>>;

/** The part of a cache key that keeps the answers of the new version apart from those of the champion. */
export function variantOf(rollout: ServedRollout | undefined, key: string): ArmVariant {
  if (rollout === undefined || armOf(rollout.id, rollout.share, key) === 'champion') return {};
  return { rollout: rollout.id, version: rollout.manifest.version };
}

/**
 * Answers by the version that the rollout gives the entity. What does not wait follows after the answer: its measurement,
 * and in the shadow stage the answer of the new version on the same features, which nobody gets.
 *
 * An isolate that does not have the new version in memory yet loads it behind an answer of the champion, so no request waits for the load or fails by
 * it.
 *
 * @param variant of the cache key under which the answer will be kept; an answer of the other version is not kept.
 * @throws what `ask` throws.
 */
export async function answerInRollout(
  { definition, key, ask }: RolloutRequest,
  ports: AskPorts,
  rollouts: RolloutPorts,
  variant: ArmVariant,
): Promise<Loaded> {
  const startedAt = ports.now();
  const features = replaying(ports.features);
  let served: Served | undefined;
  const champion = async () => {
    const found = await ports.champion();
    served = found === null ? undefined : versionFor(definition, found, key, ports, rollouts);
    return served?.champion ?? found;
  };
  const { drafted } = ports;
  const draftedInArm: AskPorts['drafted'] =
    drafted === undefined ? undefined : (draft) => drafted({ ...draft, rollout: armIn(served) });
  const measured = (outcome: Outcome | undefined): void => {
    if (served?.rollout === undefined || outcome === undefined) return;
    const { rollout, arm } = served;
    if (rollout.isShadow) shadow({ definition, ask, outcome, rollout }, { ...ports, features }, rollouts);
    else if (served.isCounted) rollouts.saw(definition.name, rollout.id, arm, outcome);
  };
  try {
    const answering = { ...ports, champion, features: features.recording, drafted: draftedInArm };
    const loaded = await ask(answering, false);
    ports.keepAlive(
      rollouts.pause(0).then(() => measured(outcomeOf(definition, loaded, ports.now() - startedAt))),
    );
    return keptApart(definition, loaded, served, variant);
  } catch (error) {
    if (isOfVersion(error)) measured({ isError: true, isSlow: false, score: undefined });
    throw error;
  }
}

/** Whether a version is answerable for a failure: not if a switch keeps it from running. */
function isOfVersion(error: unknown): boolean {
  return (
    error instanceof Failure && error.code === 'model_unavailable' && !(error instanceof RuntimeSwitchedOff)
  );
}

/** What the log has of the rollout; null where nobody's answer depends on it, or the champion stands in. */
function armIn(served: Served | undefined): NonNullable<ServedDraft['rollout']> | null {
  if (served?.rollout === undefined || served.rollout.isShadow || !served.isCounted) return null;
  const { id, share } = served.rollout;
  return { id, share, arm: served.arm };
}

/** The version that answers a request. */
interface Served {
  /** As the ports of a prediction give it: the version that answers, and the one that stands in. */
  readonly champion: Champion;
  readonly arm: Arm;
  /** False while the champion answers because the new version is not in memory yet. */
  readonly isCounted: boolean;
  readonly rollout: ServedRollout | undefined;
}

function versionFor(
  { name }: ModelDefinition,
  champion: Champion,
  key: string,
  ports: AskPorts,
  rollouts: RolloutPorts,
): Served {
  const { rollout } = champion;
  if (rollout === undefined || armOf(rollout.id, rollout.share, key) === 'champion')
    return { champion, arm: 'champion', isCounted: true, rollout };
  if (ports.loaded(rollout.manifest) !== undefined) {
    const canary = { manifest: rollout.manifest, previous: champion.manifest, isCurrent: champion.isCurrent };
    return { champion: canary, arm: 'canary', isCounted: true, rollout };
  }
  const loading = ports.load(rollout.manifest).catch((error: unknown) => {
    if (error instanceof RuntimeSwitchedOff) return;
    const message = 'The new version of a rollout cannot be loaded; the champion answers.';
    log('warn', message, { 'event.action': 'rollout', 'millrace.model.name': name }, error);
    rollouts.saw(name, rollout.id, 'canary', { isError: true, isSlow: false, score: undefined });
  });
  ports.keepAlive(loading);
  return { champion, arm: 'champion', isCounted: false, rollout };
}

/** The answer, with the tag by which the end of the rollout invalidates it; not to be kept under a key of the other version. */
function keptApart(
  { name }: ModelDefinition,
  loaded: Loaded,
  served: Served | undefined,
  variant: ArmVariant,
): Loaded {
  const isOfCanary = served?.arm === 'canary';
  const version = isOfCanary ? served.rollout?.manifest.version : undefined;
  const isUnderItsKey = variant['version'] === version;
  return {
    ...loaded,
    tags: isOfCanary ? [...loaded.tags, canaryTag(name)] : loaded.tags,
    storable: loaded.storable !== false && isUnderItsKey,
  };
}

interface Shadow {
  readonly definition: ModelDefinition;
  readonly ask: RolloutRequest['ask'];
  /** How the champion's own answer went. */
  readonly outcome: Outcome;
  readonly rollout: ServedRollout;
}

/** Compares the answer of the new version with the champion's, after the champion's has left. */
function shadow(
  { definition, ask, outcome, rollout }: Shadow,
  { features, ...ports }: Omit<AskPorts, 'features'> & { readonly features: ReturnType<typeof replaying> },
  rollouts: RolloutPorts,
): void {
  if (!rollouts.beginShadow()) return;
  const { manifest, id } = rollout;
  const compare = async () => {
    await rollouts.pause(ANSWER_LEAVES_MS);
    let other: Outcome | undefined;
    try {
      await ports.load(manifest);
      const startedAt = ports.now();
      const loaded = await ask(
        {
          ...ports,
          features: features.replay,
          champion: async () => ({ manifest, previous: null, isCurrent: true }),
          predicted: () => undefined,
          drafted: undefined,
          watched: () => undefined,
          deadline: { within: (work) => work },
        },
        true,
      );
      await rollouts.pause(0);
      other = outcomeOf(definition, loaded, ports.now() - startedAt);
    } catch (error) {
      const fields = { 'event.action': 'rollout', 'millrace.model.name': definition.name };
      if (!(error instanceof RuntimeSwitchedOff)) {
        log('warn', 'The new version of a rollout failed in the shadow.', fields, error);
        other = { isError: true, isSlow: false, score: undefined };
      }
    } finally {
      rollouts.endShadow();
    }
    if (other === undefined) return;
    rollouts.saw(definition.name, id, 'champion', outcome);
    rollouts.saw(definition.name, id, 'canary', other);
  };
  ports.keepAlive(compare());
}

/** How a request went; undefined if something went wrong that no version is answerable for. */
function outcomeOf(definition: ModelDefinition, { value }: Loaded, tookMs: number): Outcome | undefined {
  const answer: Readonly<Record<string, unknown>> = { ...(typeof value === 'object' ? value : {}) };
  const { degraded } = answer;
  const isError = OF_VERSION.some((reason) => reason === degraded);
  if (degraded !== undefined && !isError) return undefined;
  const isSlow = tookMs > (definition.rollout?.slowMs ?? Number.POSITIVE_INFINITY);
  return { isError, isSlow, score: answer['source'] === 'model' ? scoreOf(definition, answer) : undefined };
}

/** The number that an answer is compared by: a regression's value, the first item's score, the answered class's probability. */
function scoreOf(definition: ModelDefinition, answer: Readonly<Record<string, unknown>>): number | undefined {
  const number = (value: unknown) => (typeof value === 'number' ? value : undefined);
  if (definition.task === 'regression') return number(answer['value']);
  if (definition.task === 'ranking') {
    const [first]: unknown[] = Array.isArray(answer['items']) ? answer['items'] : [];
    return typeof first === 'object' && first !== null ? number(Reflect.get(first, 'score')) : undefined;
  }
  const label = answer['label'];
  const byClass = answer['probabilities'] ?? answer['scores'];
  if (typeof byClass === 'object' && byClass !== null) return number(Reflect.get(byClass, String(label)));
  return definition.classes.findIndex((of) => String(of) === String(label));
}

/** Features that are kept for the time of a request, so that a shadow sees what the answer was made of. */
function replaying(features: AskPorts['features']) {
  const answers = new Map<string, ReturnType<AskPorts['features']>>();
  const keyOf = (...[entity, keys]: Parameters<AskPorts['features']>) => JSON.stringify([entity, keys]);
  const recording: AskPorts['features'] = (...asked) => {
    const answer = features(...asked);
    answers.set(keyOf(...asked), answer);
    return answer;
  };
  const replay: AskPorts['features'] = (...asked) => answers.get(keyOf(...asked)) ?? features(...asked);
  return { recording, replay };
}
