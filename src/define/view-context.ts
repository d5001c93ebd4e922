import type { FeatureDefinition } from './feature.ts';
import type { FeatureRow } from './feature-value.ts';
import type { KeyInput } from './key.ts';
import type { Principal } from './principal.ts';
import type { Variant, VaryDimensions } from './vary.ts';

/** `now` as an input of a view. */
export interface NowDeclaration {
  /**
   * The length of a grain of time, in whole seconds. `now` is the beginning of the grain that the answer is loaded
   * in, and the answer expires with that grain. Grains are counted from the Unix epoch.
   */
  readonly granularityS: number;
}

/** The features that a view reads, by the name of each read. */
export type FeatureReads = Readonly<Record<string, readonly FeatureDefinition[]>>;

/** Features of one entity and one key. */
export interface FeatureReadDeclaration<Input, Of = readonly FeatureDefinition[]> {
  readonly of: Of;
  /** The key of the entity, from what the request asks for. */
  readonly key: (input: Input) => KeyInput;
}

type UnionToIntersection<Union> = (Union extends unknown ? (one: Union) => void : never) extends (
  all: infer All,
) => void
  ? All
  : never;

/** What is read of some features, by their read names. */
export type RowOf<Features extends readonly FeatureDefinition[]> =
  Features[number] extends FeatureDefinition<infer Row> ? Readonly<UnionToIntersection<Row>> : FeatureRow;

type Declared<Declaration, Member> = [Declaration] extends [undefined] ? unknown : Member;

/** What `load` and `tags` are given beside the input: a member for each input that the view declares. */
export type ViewContext<Vary, Now, WithPrincipal, Reads extends FeatureReads> = Declared<
  Vary,
  { readonly variant: Vary extends VaryDimensions ? Variant<Vary> : never }
> &
  Declared<Now, { readonly now: number }> &
  Declared<WithPrincipal, { readonly principal: Principal }> &
  ([keyof Reads] extends [never]
    ? unknown
    : { readonly features: { readonly [Name in keyof Reads]: RowOf<Reads[Name]> } });

/** Windows of features end with a UTC day. */
const DAY_MS = 86_400_000;

/**
 * How long an answer holds by the clock on the wall, in milliseconds; undefined where time does not change it. Windows
 * of features move on with each UTC day, so a view that reads one lives in grains of a day at most.
 */
export function grainMsOf(
  now: NowDeclaration | undefined,
  features: readonly FeatureDefinition[],
): number | undefined {
  if (now !== undefined) return now.granularityS * 1_000;
  return features.some(({ windowsDays }) => windowsDays.length > 0) ? DAY_MS : undefined;
}
