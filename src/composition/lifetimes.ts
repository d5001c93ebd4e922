import { judgedForS, keepForS } from '../cache/freshness.ts';
import type { CachePolicy } from '../define/cache-policy.ts';
import type { Catalog } from '../define/catalog.ts';
import { CHAMPION_POLICY } from '../inference/champion-policy.ts';

type Cached = Pick<Catalog, 'views' | 'models'>;

function policiesOf({ views, models }: Cached): CachePolicy[] {
  return [...[...views, ...models].map(({ policy }) => policy), CHAMPION_POLICY];
}

/** How long the shared tiers keep an entry that may still be served, in seconds. */
export function longestKeptS(catalog: Cached): number {
  return Math.max(...policiesOf(catalog).map(keepForS));
}

/** How long the clock remembers changes: the longest time that an entry is served as valid, in seconds. */
export function longestJudgedS(catalog: Cached): number {
  return Math.max(...policiesOf(catalog).map(judgedForS));
}
