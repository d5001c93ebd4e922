import { hashedFraction, hashText } from '../../platform/random.ts';

/** Which version answers for an entity. */
export type Arm = 'champion' | 'canary';

/**
 * The version that answers for an entity during a rollout. It depends on the entity's key and on the rollout alone, so it
 * stays the same from request to request, in each isolate; an entity of a small share is one of each greater share too.
 *
 * @param rollout its id: another rollout takes other entities first.
 * @param share of the entities that the new version answers for, in percent.
 */
export function armOf(rollout: string, share: number, key: string): Arm {
  return hashedFraction(hashText(rollout), key) * 100 < share ? 'canary' : 'champion';
}
