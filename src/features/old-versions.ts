import type { FeatureShape } from '../define/feature.ts';
import { DAY_MS } from '../define/feature-window.ts';

/**
 * The rules of reading a version of a feature by its digest: `spent_7d@0123456789ab`. A release that changes a feature
 * replaces its version. The shards keep the cells of the replaced one for some days, together with what reading them needs
 * (`FeatureShape`). Its functions are gone, so no event is folded into it any more: its values are those of the moment when
 * it was replaced.
 */

/** The hexadecimal digits of the digest that name a version. */
export const VERSION_DIGITS = 12;

/** How long the cells of a replaced version are kept, in milliseconds. A feature has at most one such version. */
export const OLD_VERSION_MS = 7 * DAY_MS;

const VERSIONED = new RegExp(`^([^@]+)@([0-9a-f]{${VERSION_DIGITS}})$`);

/** A read name with the digits of a version. */
export interface VersionedName {
  readonly readName: string;
  /** The first digits of the version's digest. */
  readonly digits: string;
}

/** Whether a name of a read asks for a version. No feature has a name with "@". */
export function isVersioned(name: string): boolean {
  return name.includes('@');
}

/** The parts of `<read name>@<12 hexadecimal digits>`; undefined for any other text. */
export function parseVersioned(name: string): VersionedName | undefined {
  const [, readName, digits] = VERSIONED.exec(name) ?? [];
  return readName === undefined || digits === undefined ? undefined : { readName, digits };
}

/** What a read appends to a name for this version. */
export function digitsOf(digest: string): string {
  return digest.slice(0, VERSION_DIGITS);
}

/** The moment from which a version that was replaced at `replacedAt` is not read any more. */
export function readableUntil(replacedAt: number): number {
  return replacedAt + OLD_VERSION_MS;
}

/** The text that is kept with a version, and from which `shapeFrom` makes its shape again. */
export function shapeText(definition: FeatureShape): string {
  const { name, aggregate, windowsDays, windows, numbers, halfLifeMs, ttlMs, limit } = definition;
  const shape: FeatureShape = { name, aggregate, windowsDays, windows, numbers, halfLifeMs, ttlMs, limit };
  return JSON.stringify(shape);
}

/** @param text of `shapeText`. */
export function shapeFrom(text: string): FeatureShape {
  return JSON.parse(text) as FeatureShape;
}

/** A replaced version that a shard keeps. */
export interface OldVersion {
  readonly feature: string;
  readonly digest: string;
  /** When the shard took over the release that replaced it, in milliseconds since the Unix epoch. */
  readonly replacedAt: number;
}
