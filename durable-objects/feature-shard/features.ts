import type { FeatureDefinition } from '../../src/define/feature.ts';
import { answersFor, type CellRule, cellRulesOf, isPacked, versionOf } from '../../src/features/cell-rule.ts';
import { type OldVersion, readableUntil, shapeText } from '../../src/features/old-versions.ts';
import { oldestTile } from '../../src/features/retention.ts';
import { featureOfSlot } from '../../src/features/slots.ts';
import { packOf } from './packs.ts';
import { changeState, readState } from './state.ts';

/** Values of the column `retired`. The cells of a `GONE` feature are deleted by the next sweep. */
const CURRENT = 0;
const GONE = 1;
/** Replaced, and still read by its version. */
const OLD = 2;

/** A row of the table `features`: a slot of a feature. */
interface FeatureRow extends CellRule {
  readonly id: number;
  readonly retired: number;
  /** The layer that is filled from history; null once the feature is served. */
  readonly layer: number | null;
  /** Of the feature's version; empty for one of a release that did not record it. */
  readonly digest: string;
  readonly shape: string;
  /** When the version was replaced, in milliseconds since the Unix epoch; null unless it is kept. */
  readonly replacedAt: number | null;
}

export interface KeptFeature extends FeatureRow {
  /** The pack that has its cells; null if each of them is a row of its own. */
  readonly pack: number | null;
}

/**
 * The features whose cells a shard keeps. A definition whose rule has changed gets new ids, so the cells of the old rule
 * are never added to. They are read by the old version's name while it is kept; after that a sweep deletes them.
 */
export class KeptFeatures {
  readonly #byId: ReadonlyMap<number, KeptFeature>;
  readonly #byName: ReadonlyMap<string, KeptFeature>;

  constructor(rows: readonly FeatureRow[]) {
    const kept = rows.map((row) => ({ ...row, pack: isPacked(row) ? packOf(row) : null }));
    this.#byId = new Map(kept.map((row) => [row.id, row]));
    this.#byName = new Map(kept.filter(({ retired }) => retired === CURRENT).map((row) => [row.name, row]));
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
    return [...this.#byId.values()].filter(({ retired }) => retired === GONE);
  }

  /** The slots of replaced versions that are kept, whether their time is over or not. */
  get old(): readonly KeptFeature[] {
    return [...this.#byId.values()].filter(({ retired }) => retired === OLD);
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
    return feature !== undefined && feature.retired === CURRENT && feature.pack !== null;
  }

  /** Whether no read needs this cell: its feature is gone, or its tile is before the longest window. */
  isExpired(id: number, bucket: number, horizon: number): boolean {
    const feature = this.#byId.get(id);
    if (feature === undefined || feature.retired === GONE) return true;
    // The windows of a replaced version end when it was replaced, so its tiles do not expire one by one.
    return feature.retired === CURRENT && bucket < oldestTile(feature, horizon);
  }
}

export function loadFeatures(sql: SqlStorage): KeptFeatures {
  return new KeptFeatures(
    sql
      .exec<{ [Column in keyof FeatureRow]: FeatureRow[Column] }>(
        `select id, name, rule, code, tile_ms as "tileMs", days as tiles, retired, layer, digest, shape,
           replaced_at as "replacedAt" from features`,
      )
      .toArray(),
  );
}

/**
 * Brings the kept features in line with the definitions of this release; true if it retired some. New and changed ones
 * begin without cells in a layer of their own, and are not served until a backfill has filled them.
 *
 * @param replacedAt the moment of this call: versions that were whole are kept from then on. Without it none is kept.
 */
export function adoptDefinitions(
  sql: SqlStorage,
  definitions: readonly FeatureDefinition[],
  replacedAt?: number,
): boolean {
  const kept = loadFeatures(sql);
  const isFirst = readState(sql).legacy === 1 && kept.current.length === 0;
  const byFeature = Map.groupBy(kept.current, ({ name }) => featureOfSlot(name));
  const added: FeatureDefinition[] = [];
  let isShorter = false;
  let isRetiring = false;
  for (const definition of definitions) {
    const before = byFeature.get(definition.name) ?? [];
    const rules = cellRulesOf(definition);
    const answered = rules.every((rule) => before.some((one) => answersFor(one, rule)));
    if (!answered) {
      added.push(definition);
      continue;
    }
    byFeature.delete(definition.name);
    const { digest } = versionOf(definition);
    const shape = shapeText(definition);
    for (const row of before) {
      const rule = rules.find(({ name }) => name === row.name);
      if (rule === undefined) {
        sql.exec('update features set retired = ? where id = ?', GONE, row.id);
        isRetiring = true;
      } else if (rule.tiles < row.tiles || isOther(row, { code: rule.code, digest, shape }))
        sql.exec(
          'update features set days = ?, code = ?, digest = ?, shape = ? where id = ?',
          ...[rule.tiles, rule.code, digest, shape, row.id],
        );
      isShorter ||= rule !== undefined && rule.tiles < row.tiles;
    }
  }
  // What is left is replaced or not declared any more.
  for (const [feature, rows] of byFeature) retire(sql, kept, { feature, rows, replacedAt });
  isRetiring ||= byFeature.size > 0;
  if (added.length > 0) addDefinitions(sql, added, isFirst);
  closeLayers(sql);
  // A shorter window makes older cells expire. Earlier sweeps did not look for those, and a comparison may have counted them.
  if (isShorter) changeState(sql, readState(sql), { cleaned: 0, compared: null });
  const state = readState(sql);
  // The pages of an open rebuild lack what the new definitions would have made of them.
  if (state.next !== null && (isRetiring || added.length > 0))
    changeState(sql, state, { next: null, run: null, compared: null });
  if (isRetiring || (isShorter && state.swept !== null)) changeState(sql, state, { swept: '' });
  return isRetiring;
}

function isOther(row: FeatureRow, now: Pick<FeatureRow, 'code' | 'digest' | 'shape'>): boolean {
  return row.code !== now.code || row.digest !== now.digest || row.shape !== now.shape;
}

function addDefinitions(sql: SqlStorage, definitions: readonly FeatureDefinition[], isFirst: boolean): void {
  // The first schema recorded no features, and its cells are those of the present ones.
  const layer = isFirst ? null : newGeneration(sql);
  if (layer !== null) sql.exec('insert into layers (layer) values (?)', layer);
  for (const definition of definitions) {
    const { digest } = versionOf(definition);
    const shape = shapeText(definition);
    for (const { name, rule, code, tileMs, tiles } of cellRulesOf(definition))
      sql.exec(
        'insert into features (name, rule, code, days, tile_ms, layer, digest, shape) values (?, ?, ?, ?, ?, ?, ?, ?)',
        ...[name, rule, code, tiles, tileMs, layer, digest, shape],
      );
  }
}

/**
 * Retires the slots of a feature. A version that was whole is kept, in the place of an earlier one, so that a feature has
 * at most twice its cells. One that was still being filled is not: a part must not pass for the whole.
 */
function retire(
  sql: SqlStorage,
  kept: KeptFeatures,
  retiring: {
    readonly feature: string;
    readonly rows: readonly KeptFeature[];
    readonly replacedAt: number | undefined;
  },
): void {
  const { feature, rows, replacedAt } = retiring;
  const isWhole = replacedAt !== undefined && rows.every((row) => row.layer === null && row.digest !== '');
  if (isWhole)
    endOld(
      sql,
      kept.old.filter(({ name }) => featureOfSlot(name) === feature),
    );
  for (const { id } of rows)
    sql.exec(
      'update features set retired = ?, replaced_at = ? where id = ?',
      ...[isWhole ? OLD : GONE, isWhole ? replacedAt : null, id],
    );
}

/** Ends the keeping of old versions whose time is over at `now`; true if there are any. A sweep then deletes their cells. */
export function endOldVersions(sql: SqlStorage, kept: KeptFeatures, now: number): boolean {
  const over = kept.old.filter(({ replacedAt }) => now >= readableUntil(replacedAt ?? 0));
  endOld(sql, over);
  return over.length > 0;
}

function endOld(sql: SqlStorage, rows: readonly KeptFeature[]): void {
  for (const { id } of rows)
    sql.exec('update features set retired = ?, replaced_at = null where id = ?', GONE, id);
}

/** The replaced versions that are read as of `now`. */
export function oldVersions(kept: KeptFeatures, now: number): OldVersion[] {
  const rows = kept.old.filter(({ replacedAt }) => now < readableUntil(replacedAt ?? 0));
  const byDigest = new Map(
    rows.map(({ name, digest, replacedAt }) => [
      digest,
      { feature: featureOfSlot(name), digest, replacedAt: replacedAt ?? 0 },
    ]),
  );
  return [...byDigest.values()];
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
