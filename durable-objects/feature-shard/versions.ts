import { type FeatureShape, readNames } from '../../src/define/feature.ts';
import type { FeatureRow } from '../../src/define/feature-value.ts';
import {
  parseVersioned,
  readableUntil,
  shapeFrom,
  type VersionedName,
} from '../../src/features/old-versions.ts';
import { notReady, readRow, withinAge } from '../../src/features/read.ts';
import { endOfTiles } from '../../src/features/slots.ts';
import { cellsOfKey } from './cells.ts';
import type { KeptFeature, KeptFeatures } from './features.ts';
import type { ShardState } from './state.ts';

/** A version that a read asks for. */
interface FoundVersion {
  readonly shape: FeatureShape;
  readonly slots: readonly KeptFeature[];
  /** When it was replaced; null for the version of this release. */
  readonly replacedAt: number | null;
  readonly names: readonly { readonly asked: string; readonly readName: string }[];
}

export interface FoundVersions {
  readonly found: readonly FoundVersion[];
  /** The names that are those of no version that is kept. */
  readonly unknown: readonly string[];
}

/** The versions of these names: of this release, or replaced and still read as of `now`. */
export function findVersions(kept: KeptFeatures, names: readonly string[], now: number): FoundVersions {
  const old = kept.old.filter(({ replacedAt }) => now < readableUntil(replacedAt ?? 0));
  const unknown: string[] = [];
  const found = new Map<string, FoundVersion>();
  for (const asked of names) {
    const name = parseVersioned(asked);
    const slots =
      name === undefined ? [] : [kept.current, old].map((of) => slotsOfVersion(of, name)).find(isAny);
    const [first] = slots ?? [];
    if (name === undefined || slots === undefined || first === undefined) {
      unknown.push(asked);
      continue;
    }
    const before = found.get(first.digest);
    const own = { asked, readName: name.readName };
    found.set(first.digest, {
      shape: shapeFrom(first.shape),
      slots,
      replacedAt: first.replacedAt,
      names: [...(before?.names ?? []), own],
    });
  }
  return { found: [...found.values()], unknown };
}

function slotsOfVersion(of: readonly KeptFeature[], { readName, digits }: VersionedName): KeptFeature[] {
  return of.filter(
    ({ digest, shape }) => digest.startsWith(digits) && readNames(shapeFrom(shape)).includes(readName),
  );
}

function isAny(slots: readonly KeptFeature[]): boolean {
  return slots.length > 0;
}

/**
 * The values of versions under the names that were asked for, in the order of the keys. The windows of a replaced version
 * end when it was replaced; its time to live counts from the present.
 */
export function readVersionsFrom(
  sql: SqlStorage,
  { served, unpacked }: ShardState,
  features: KeptFeatures,
  asked: { readonly versions: FoundVersions; readonly keys: readonly string[]; readonly now: number },
): { readonly rows: FeatureRow[]; readonly unknown: readonly string[]; readonly until: number } {
  const { versions, keys, now } = asked;
  const context = { features, isUnpacked: unpacked !== null };
  let until = Number.POSITIVE_INFINITY;
  const rows = keys.map((key) => {
    const row: Record<string, FeatureRow[string]> = {};
    for (const { shape, slots, replacedAt, names } of versions.found) {
      const isReady = slots.every(({ layer }) => layer === null);
      const at = replacedAt ?? now;
      const values = isReady
        ? readRow([shape], cellsOfKey(sql, served, key, { ...context, of: slots, now: at }), at)
        : notReady(shape);
      until = Math.min(until, endOf(shape, replacedAt, now));
      for (const { asked: name, readName } of names) {
        const value = values[readName];
        if (value === undefined) continue;
        const { ttlMs } = shape;
        if (ttlMs !== null && value.eventAt !== null && value.status !== 'OUTSIDE_MAX_AGE')
          until = Math.min(until, value.eventAt + ttlMs + 1);
        const aged = ttlMs === null ? value : withinAge(value, ttlMs, now);
        row[name] = replacedAt === null ? aged : { ...aged, frozenAt: replacedAt };
      }
    }
    return row;
  });
  return { rows, unknown: versions.unknown, until };
}

/** Until when no value of the version changes without an event, but for its time to live. */
function endOf(shape: FeatureShape, replacedAt: number | null, now: number): number {
  if (replacedAt !== null) return readableUntil(replacedAt);
  return shape.aggregate === 'since_last' ? now : endOfTiles([shape], now);
}
