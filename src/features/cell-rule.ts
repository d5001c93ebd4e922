import type { FeatureDefinition } from '../define/feature.ts';
import { longestWindow } from './retention.ts';

/** By what rule a feature's cells were made. Cells of another rule are not the feature's. */
export interface CellRule {
  readonly name: string;
  /** The parts of the definition that decide what a cell contains. */
  readonly rule: string;
  /** The longest window for which cells are kept, in days; 0 for a feature without windows. */
  readonly days: number;
}

/**
 * The rule of a definition. It cannot tell what the functions `key`, `value` and `item` compute: a bundler renames
 * their text with every release. After a change of one of them, the features have to be rebuilt. A new version of the
 * event type is the same rule, because earlier events are converted to the current version before they are folded.
 */
export function cellRuleOf(definition: FeatureDefinition): CellRule {
  const { name, aggregate, eventType } = definition;
  const days = longestWindow(definition);
  const rule = [aggregate, eventType.replace(/\.v\d+$/, ''), days === 0 ? 'all time' : 'by day'];
  return { name, rule: rule.join(', '), days };
}

/** Whether cells of the rule `kept` can answer for the rule `wanted`. A longer window needs days that are gone. */
export function answersFor(kept: CellRule, wanted: CellRule): boolean {
  return kept.name === wanted.name && kept.rule === wanted.rule && wanted.days <= kept.days;
}
