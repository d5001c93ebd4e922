import type { FeatureDefinition } from '../define/feature.ts';
import { NO_TILE } from '../define/feature-window.ts';
import { BUCKET_MS } from './retention.ts';
import { type Slot, slotsOf } from './slots.ts';

/** By what rule the cells of a feature's slot were made. Cells of another rule are not the slot's. */
export interface CellRule {
  /** The name of the slot. */
  readonly name: string;
  /** The parts of the definition that decide what a cell contains. */
  readonly rule: string;
  /** The width of the tiles; a feature without windows has one tile of no width. */
  readonly tileMs: number;
  /** The longest window for which cells are kept, in tiles; 0 for a feature without windows. */
  readonly tiles: number;
}

/**
 * The rules of a definition, one for each of its slots. They cannot tell what the functions `key`, `value` and `item` compute: a bundler renames
 * their text with every release. After a change of one of them, the features have to be rebuilt. A new version of the
 * event type is the same rule, because earlier events are converted to the current version before they are folded.
 */
export function cellRulesOf(definition: FeatureDefinition): CellRule[] {
  return slotsOf(definition).map((slot) => {
    const { name, tileMs, tiles } = slot;
    return { name, rule: ruleOf(definition, slot), tileMs, tiles };
  });
}

function ruleOf(definition: FeatureDefinition, { tileMs }: Slot): string {
  const { aggregate, eventType, windows, numbers, halfLifeMs } = definition;
  const tile = tileMs === NO_TILE ? 'all time' : tileMs === BUCKET_MS ? 'by day' : `by ${tileMs} ms`;
  const rule = [aggregate, eventType.replace(/\.v\d+$/, ''), tile];
  // A count has the same cells whichever way its windows are declared; an aggregate of values has a state as well.
  if (windows.length > 0 && aggregate !== 'count')
    rule.push(`of ${typeof numbers === 'object' ? `${numbers.decimals} decimals` : numbers}`);
  if (halfLifeMs > 0) rule.push(`half-life ${halfLifeMs} ms`);
  return rule.join(', ');
}

/** Whether cells of the rule `kept` can answer for the rule `wanted`. A longer window needs tiles that are gone. */
export function answersFor(kept: CellRule, wanted: CellRule): boolean {
  return kept.name === wanted.name && kept.rule === wanted.rule && wanted.tiles <= kept.tiles;
}
