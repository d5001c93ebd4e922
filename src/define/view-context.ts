import type { FeatureDefinition } from './feature.ts';
import type { FeatureRow } from './feature-value.ts';
import { DAY_MS, NO_TILE, tiledWindow } from './feature-window.ts';
import type { KeyInput } from './key.ts';
import type { Principal } from './principal.ts';
import type { Variant, VaryDimensions } from './vary.ts';

/** `now` as an input of a view. */
export interface NowDeclaration {
  /**
   * The length of a grain of time, in whole seconds. `now` is the beginning of the grain in which the answer is loaded,
   * and the answer expires with that grain. Grains are counted from the Unix epoch.
   */
  readonly granularityS: number;
}

/** The features that a view reads, by the name of each read. */
export type FeatureReads = Readonly<Record<string, readonly FeatureDefinition[]>>;

/** Features of one entity and one key. */
export interface FeatureReadDeclaration<Input, Of = readonly FeatureDefinition[]> {
  readonly of: Of;
  /** Computes the entity's key from the request's input. */
  readonly key: (input: Input) => KeyInput;
}

type UnionToIntersection<Union> = (Union extends unknown ? (one: Union) => void : never) extends (
  all: infer All,
) => void
  ? All
  : never;

/** The values of some features, by their read names. */
export type RowOf<Features extends readonly FeatureDefinition[]> =
  Features[number] extends FeatureDefinition<infer Row> ? Readonly<UnionToIntersection<Row>> : FeatureRow;

type Declared<Declaration, Member> = [Declaration] extends [undefined] ? unknown : Member;

/** The argument of `load` and `tags` in addition to the input: a member for each input that the view declares. */
export type ViewContext<Vary, Now, WithPrincipal, Reads extends FeatureReads, OwnRows = undefined> = Declared<
  Vary,
  { readonly variant: Vary extends VaryDimensions ? Variant<Vary> : never }
> &
  Declared<Now, { readonly now: number }> &
  Declared<WithPrincipal, { readonly principal: Principal }> &
  Declared<OwnRows, { readonly owner: string | null }> &
  ([keyof Reads] extends [never]
    ? unknown
    : { readonly features: { readonly [Name in keyof Reads]: RowOf<Reads[Name]> } });

/** A feature with a time to live shows its expiry late by at most this share of it. */
const TTL_GRAINS = 8;
/** A value that changes with every moment is as of the second. */
const SECOND_MS = 1_000;
/** A decayed count changes by less than 0.3 % in this share of its half-life. */
const HALF_LIFE_GRAINS = 256;

/**
 * How long an answer stays valid as time passes, in milliseconds; undefined if time does not change it. Feature windows
 * move with each of their tiles, so a view that reads a feature over days has grains of a day at most.
 */
export function grainMsOf(
  now: NowDeclaration | undefined,
  features: readonly FeatureDefinition[],
): number | undefined {
  if (now !== undefined) return now.granularityS * 1_000;
  const grains = features.flatMap(grainsOfFeature);
  return grains.length === 0 ? undefined : Math.max(SECOND_MS, Math.floor(Math.min(...grains)));
}

function grainsOfFeature({
  aggregate,
  windowsDays,
  windows,
  ttlMs,
  halfLifeMs,
}: FeatureDefinition): number[] {
  const tiles = windows.flatMap((window) => tiledWindow(window)?.tileMs ?? []);
  return [
    ...(windowsDays.length > 0 ? [DAY_MS] : []),
    ...tiles.filter((tileMs) => tileMs !== NO_TILE),
    ...(ttlMs === null ? [] : [ttlMs / TTL_GRAINS]),
    ...(aggregate === 'decayed' ? [halfLifeMs / HALF_LIFE_GRAINS] : []),
    ...(aggregate === 'since_last' ? [SECOND_MS] : []),
  ];
}
