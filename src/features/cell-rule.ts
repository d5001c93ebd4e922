import type { FeatureDefinition } from '../define/feature.ts';
import { NO_TILE } from '../define/feature-window.ts';
import { sha256HexNow } from '../platform/digest.ts';
import { BUCKET_MS } from './retention.ts';
import { type Slot, slotsOf } from './slots.ts';

/** By what rule the cells of a feature's slot were made. Cells of another rule are not the slot's. */
export interface CellRule {
  /** The name of the slot. */
  readonly name: string;
  /** The parts of the definition that decide what a cell contains, but for its functions. */
  readonly rule: string;
  /** A digest of the functions' text or declared version; empty for cells of a release that did not record it. */
  readonly code: string;
  /** The width of the tiles; a feature without windows has one tile of no width. */
  readonly tileMs: number;
  /** The longest window for which cells are kept, in tiles; 0 for a feature without windows. */
  readonly tiles: number;
}

/** Hexadecimal digits of the digest of the functions. Cells of two releases are told apart, not of all the world. */
const CODE_DIGITS = 16;

/**
 * The rules of a definition, one for each of its slots. A new version of the event type is the same rule, because earlier
 * events are converted to the current version before they are folded.
 */
export function cellRulesOf(definition: FeatureDefinition): CellRule[] {
  const code = sha256HexNow(definition.code).slice(0, CODE_DIGITS);
  return slotsOf(definition).map((slot) => {
    const { name, tileMs, tiles } = slot;
    return { name, rule: ruleOf(definition, slot), code, tileMs, tiles };
  });
}

/** A feature's definition as it is known to the database. */
export interface FeatureVersion {
  readonly entity: string;
  readonly feature: string;
  /** SHA-256, in hexadecimal, of all parts of the definition that decide what its cells contain. */
  readonly digest: string;
}

/** The version that a definition is. Two definitions with one digest have the same cells. */
export function versionOf(definition: FeatureDefinition): FeatureVersion {
  const entity = definition.entity.name;
  const rules = cellRulesOf(definition).map(({ rule, tileMs, tiles }) => [rule, tileMs, tiles]);
  const digest = sha256HexNow(JSON.stringify([entity, definition.name, rules, definition.code]));
  return { entity, feature: definition.name, digest };
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

/**
 * Whether cells of a rule share rows with cells of other rules. A key has any number of items, and the states of frequent
 * values have many kilobytes: their cells stay alone, so that a shared row is short.
 */
export function isPacked({ rule }: Pick<CellRule, 'rule'>): boolean {
  const [aggregate] = rule.split(', ');
  return aggregate !== 'items' && aggregate !== 'most_frequent';
}

/** Whether cells of the rule `kept` can answer for the rule `wanted`. A longer window needs tiles that are gone. */
export function answersFor(kept: CellRule, wanted: CellRule): boolean {
  const isSameCode = kept.code === '' || kept.code === wanted.code;
  return isSameCode && kept.name === wanted.name && kept.rule === wanted.rule && wanted.tiles <= kept.tiles;
}
