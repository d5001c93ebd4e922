import type { FeatureDefinition } from '../../src/define/feature.ts';
import { answersFor, type CellRule, cellRulesOf } from '../../src/features/cell-rule.ts';
import { oldestTile } from '../../src/features/retention.ts';
import { changeState, readState } from './state.ts';

/** A slot of a feature. */
interface KeptFeature extends CellRule {
  readonly id: number;
  readonly retired: number;
}

/**
 * The features whose cells a shard keeps. A definition whose rule has changed gets a new id, so the cells of the old
 * rule are never read or added to; the next sweep deletes them.
 */
export class KeptFeatures {
  readonly #byId: ReadonlyMap<number, KeptFeature>;
  readonly #byName: ReadonlyMap<string, KeptFeature>;

  constructor(rows: readonly KeptFeature[]) {
    this.#byId = new Map(rows.map((row) => [row.id, row]));
    this.#byName = new Map(rows.filter(({ retired }) => retired === 0).map((row) => [row.name, row]));
  }

  get current(): readonly KeptFeature[] {
    return [...this.#byName.values()];
  }

  get retired(): readonly KeptFeature[] {
    return [...this.#byId.values()].filter(({ retired }) => retired === 1);
  }

  named(name: string): KeptFeature | undefined {
    return this.#byName.get(name);
  }

  nameOf(id: number): string {
    return this.#byId.get(id)?.name ?? '';
  }

  /** Whether no read needs this cell: its feature is retired, or its tile is before the longest window. */
  isExpired(id: number, bucket: number, horizon: number): boolean {
    const feature = this.#byId.get(id);
    return feature === undefined || feature.retired === 1 || bucket < oldestTile(feature, horizon);
  }
}

export function loadFeatures(sql: SqlStorage): KeptFeatures {
  return new KeptFeatures(
    sql
      .exec<{ id: number; name: string; rule: string; tileMs: number; tiles: number; retired: number }>(
        'select id, name, rule, tile_ms as "tileMs", days as tiles, retired from features',
      )
      .toArray(),
  );
}

/** Brings the kept features in line with the definitions of this release; true if it retired some. */
export function adoptDefinitions(sql: SqlStorage, definitions: readonly FeatureDefinition[]): boolean {
  const kept = loadFeatures(sql);
  const wanted = new Map(definitions.flatMap(cellRulesOf).map((rule) => [rule.name, rule]));
  let retired = 0;
  for (const feature of kept.current) {
    const rule = wanted.get(feature.name);
    if (rule !== undefined && answersFor(feature, rule)) {
      if (rule.tiles < feature.tiles)
        sql.exec('update features set days = ? where id = ?', rule.tiles, feature.id);
      wanted.delete(feature.name);
    } else {
      sql.exec('update features set retired = 1 where id = ?', feature.id);
      retired += 1;
    }
  }
  for (const { name, rule, tileMs, tiles } of wanted.values())
    sql.exec(
      'insert into features (name, rule, days, tile_ms) values (?, ?, ?, ?)',
      name,
      rule,
      tiles,
      tileMs,
    );
  const state = readState(sql);
  // The pages of an open rebuild lack what the new definitions would have made of them.
  if (state.next !== null && retired + wanted.size > 0)
    changeState(sql, state, { next: null, run: null, compared: null });
  if (retired > 0) changeState(sql, state, { swept: '' });
  return retired > 0;
}
