import type { Candidates } from '../define/candidates.ts';
import type { ItemExclusion, Recommending } from '../define/recommending.ts';
import type { FeatureRow } from '../features/shards.ts';

const DAY_MS = 86_400_000;

/** Which candidates an answer may have. */
export interface Selection {
  readonly excluded: ReadonlySet<string>;
  /** The group of an item; undefined for an item that is in none. */
  readonly groupOf: (item: string) => string | undefined;
  /** The most items of one group. */
  readonly ofGroupMax: number;
}

/** Every item may be in the answer: of a request that names its items. */
export const WHOLE: Selection = {
  excluded: new Set(),
  groupOf: () => undefined,
  ofGroupMax: Number.POSITIVE_INFINITY,
};

/**
 * What a ranking declares about the items of its answers.
 *
 * @param features the entity's; a feature that is missing excludes nothing.
 * @param now milliseconds since the Unix epoch.
 */
export function selectionOf(
  { exclude, diversity }: Recommending,
  { groupOf }: Pick<Candidates, 'groupOf'>,
  features: FeatureRow,
  now: number,
): Selection {
  return {
    excluded: exclude === undefined ? WHOLE.excluded : excludedBy(exclude, features, now),
    groupOf: groupOf ?? WHOLE.groupOf,
    ofGroupMax: diversity?.max ?? Number.POSITIVE_INFINITY,
  };
}

function excludedBy(
  { items: { readName, read }, withinDays }: ItemExclusion,
  features: FeatureRow,
  now: number,
): ReadonlySet<string> {
  const lately = read(features[readName]?.value ?? null, now).filter(
    ({ lastAt }) => now - lastAt <= withinDays * DAY_MS,
  );
  return new Set(lately.map(({ item }) => item));
}

/**
 * The first items that may be in the answer, in their order: none that is excluded, and of each group the first ones.
 *
 * @param ranked best first.
 * @param limit the most items.
 */
export function selected<Ranked extends { readonly item: string }>(
  ranked: readonly Ranked[],
  { excluded, groupOf, ofGroupMax }: Selection,
  limit: number,
): Ranked[] {
  const taken: Ranked[] = [];
  const ofGroup = new Map<string, number>();
  for (const one of ranked) {
    if (taken.length >= limit) break;
    if (excluded.has(one.item)) continue;
    const group = groupOf(one.item);
    const count = group === undefined ? 0 : (ofGroup.get(group) ?? 0);
    if (count >= ofGroupMax) continue;
    if (group !== undefined) ofGroup.set(group, count + 1);
    taken.push(one);
  }
  return taken;
}
