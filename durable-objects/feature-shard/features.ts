import type { FeatureDefinition } from '../../src/define/feature.ts';
import { answersFor, type CellRule, cellRulesOf, isPacked } from '../../src/features/cell-rule.ts';
import { oldestTile } from '../../src/features/retention.ts';
import { featureOfSlot } from '../../src/features/slots.ts';
import { packOf } from './packs.ts';
import { changeState, readState } from './state.ts';

/** A row of the table `features`: a slot of a feature. */
interface FeatureRow extends CellRule {
  readonly id: number;
  readonly retired: number;
  /** The layer that is filled from history; null once the feature is served. */
  readonly layer: number | null;
}

interface KeptFeature extends FeatureRow {
  /** The pack that has its cells; null if each of them is a row of its own. */
  readonly pack: number | null;
}

/**
 * The features whose cells a shard keeps. A definition whose rule has changed gets a new id, so the cells of the old
 * rule are never read or added to; the next sweep deletes them.
 */
export class KeptFeatures {
  readonly #byId: ReadonlyMap<number, KeptFeature>;
  readonly #byName: ReadonlyMap<string, KeptFeature>;

  constructor(rows: readonly FeatureRow[]) {
    const kept = rows.map((row) => ({ ...row, pack: isPacked(row) ? packOf(row) : null }));
    this.#byId = new Map(kept.map((row) => [row.id, row]));
    this.#byName = new Map(kept.filter(({ retired }) => retired === 0).map((row) => [row.name, row]));
  }

  get current(): readonly KeptFeature[] {
    return [...this.#byName.values()];
  }

  get served(): readonly KeptFeature[] {
    return this.current.filter(({ layer }) => layer === null);
  }

  /** The layers that are filled. */
  get layers(): readonly number[] {
    return [...new Set(this.current.flatMap(({ layer }) => layer ?? []))];
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

  /** Whether the cells of a feature that is not retired belong in packs. */
  isCurrentPacked(id: number): boolean {
    const feature = this.#byId.get(id);
    return feature !== undefined && feature.retired === 0 && feature.pack !== null;
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
      .exec<{ [Column in keyof FeatureRow]: FeatureRow[Column] }>(
        'select id, name, rule, code, tile_ms as "tileMs", days as tiles, retired, layer from features',
      )
      .toArray(),
  );
}

/**
 * Brings the kept features in line with the definitions of this release; true if it retired some. New and changed ones
 * begin without cells in a layer of their own, and are not served until a backfill has filled them.
 */
export function adoptDefinitions(sql: SqlStorage, definitions: readonly FeatureDefinition[]): boolean {
  const kept = loadFeatures(sql);
  const wanted = new Map(definitions.flatMap(cellRulesOf).map((rule) => [rule.name, rule]));
  const isFirst = readState(sql).legacy === 1 && kept.current.length === 0;
  let retired = 0;
  let isShorter = false;
  for (const feature of kept.current) {
    const rule = wanted.get(feature.name);
    if (rule !== undefined && answersFor(feature, rule)) {
      if (rule.tiles < feature.tiles || rule.code !== feature.code)
        sql.exec('update features set days = ?, code = ? where id = ?', rule.tiles, rule.code, feature.id);
      isShorter ||= rule.tiles < feature.tiles;
      wanted.delete(feature.name);
    } else {
      sql.exec('update features set retired = 1 where id = ?', feature.id);
      retired += 1;
    }
  }
  if (wanted.size > 0) {
    // The first schema recorded no features, and its cells are those of the present ones.
    const layer = isFirst ? null : newGeneration(sql);
    if (layer !== null) sql.exec('insert into layers (layer) values (?)', layer);
    for (const { name, rule, code, tileMs, tiles } of wanted.values())
      sql.exec(
        'insert into features (name, rule, code, days, tile_ms, layer) values (?, ?, ?, ?, ?, ?)',
        ...[name, rule, code, tiles, tileMs, layer],
      );
  }
  closeLayers(sql);
  // A shorter window makes older cells expire. Earlier sweeps did not look for those, and a comparison may have counted them.
  if (isShorter) changeState(sql, readState(sql), { cleaned: 0, compared: null });
  const state = readState(sql);
  // The pages of an open rebuild lack what the new definitions would have made of them.
  if (state.next !== null && retired + wanted.size > 0)
    changeState(sql, state, { next: null, run: null, compared: null });
  if (retired > 0 || (isShorter && state.swept !== null)) changeState(sql, state, { swept: '' });
  return retired > 0;
}

/** Opens a backfill of the features that are not served yet, and returns their names. */
export function openLayers(sql: SqlStorage, run: string): string[] {
  sql.exec('update layers set run = ? where run is not ?', run, run);
  const waiting = loadFeatures(sql).current.filter(({ layer }) => layer !== null);
  return [...new Set(waiting.map(({ name }) => featureOfSlot(name)))];
}

/**
 * Serves those of these features that the backfill has filled; false if they are being filled, but not by this one. Their
 * cells stay where they are.
 */
export function serveFilled(sql: SqlStorage, run: string, features: readonly string[]): boolean {
  const waiting = loadFeatures(sql).current.filter(
    ({ name, layer }) => layer !== null && features.includes(featureOfSlot(name)),
  );
  const filled = new Set(
    sql
      .exec<{ layer: number }>('select layer from layers where run = ?', run)
      .toArray()
      .map(({ layer }) => layer),
  );
  if (waiting.some(({ layer }) => layer !== null && !filled.has(layer))) return false;
  for (const { id } of waiting) sql.exec('update features set layer = null where id = ?', id);
  closeLayers(sql);
  return true;
}

/** Serves all features, after a rebuild has filled them. */
export function serveAll(sql: SqlStorage): void {
  sql.exec('update features set layer = null');
  closeLayers(sql);
}

export function newGeneration(sql: SqlStorage): number {
  return sql.exec<{ generation: number }>('insert into generations default values returning generation').one()
    .generation;
}

/** Closes layers without features. Their numbers are a stale generation then, and are deleted in steps. */
function closeLayers(sql: SqlStorage): void {
  sql.exec(
    'delete from layers where layer not in (select layer from features where layer is not null and retired = 0)',
  );
}
