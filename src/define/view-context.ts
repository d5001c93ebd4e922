import type { FeatureDefinition } from './feature.ts';
import type { FeatureRow } from './feature-value.ts';
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

/** Windows of features end with a UTC day. */
const DAY_MS = 86_400_000;

/**
 * How long an answer stays valid as time passes, in milliseconds; undefined if time does not change it. Feature windows
 * move with each UTC day, so a view that reads a windowed feature has grains of a day at most.
 */
export function grainMsOf(
  now: NowDeclaration | undefined,
  features: readonly FeatureDefinition[],
): number | undefined {
  if (now !== undefined) return now.granularityS * 1_000;
  return features.some(({ windowsDays }) => windowsDays.length > 0) ? DAY_MS : undefined;
}
