import type { Exploration } from '../../define/feedback.ts';
import { hashedFraction, hashText, seededRandom, shuffledIndices } from '../../platform/random.ts';

/**
 * Whether an answer is logged. It depends on the id of the prediction alone, so both versions of a rollout, and explored
 * answers, are logged as often as others.
 *
 * @param share of the answers that are logged, 0 to 1.
 */
export function isLogged(share: number, predictionId: string): boolean {
  return hashedFraction(hashText('logged'), predictionId) < share;
}

/** The seed of an answer that explores; undefined for one that does not. It depends on the id of the prediction alone. */
export function exploringSeed({ share }: Exploration, predictionId: string): number | undefined {
  if (hashedFraction(hashText('explored'), predictionId) >= share) return undefined;
  return hashText(predictionId);
}

/** Some of the items, each with the same probability, in random order. */
export function drawn<Item>(pool: readonly Item[], limit: number, seed: number): Item[] {
  const order = shuffledIndices(pool.length, seededRandom(seed));
  return Array.from(order.subarray(0, limit)).flatMap((at) => pool[at] ?? []);
}
