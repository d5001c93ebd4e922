import { canaryTag, modelTag, rolloutTag } from '../names.ts';
import type { Stage, VerdictReason } from './evidence.ts';

/** Why a rollout is where it is. `superseded`: the champion that it was compared with was replaced. */
export type MoveReason =
  | 'started'
  | 'approved'
  | 'aborted'
  | 'superseded'
  | 'record_full'
  | Exclude<VerdictReason, 'too_early'>;

/**
 * What a step of a rollout invalidates. The cached answers of the two versions have keys of their own, so a greater share
 * invalidates none of them. The end of a rollout invalidates the new version's; the entities have the champion's again,
 * which stayed valid meanwhile.
 */
export function tagsOfMove(model: string, stage: Stage): string[] {
  if (stage === 'champion') return [modelTag(model), rolloutTag(model), canaryTag(model)];
  return stage === 'rolled_back' ? [rolloutTag(model), canaryTag(model)] : [rolloutTag(model)];
}

/** Whether a rollout is under way in a stage. */
export function isUnderWay(stage: string): boolean {
  return stage === 'shadow' || stage === 'canary' || stage === 'waiting';
}
