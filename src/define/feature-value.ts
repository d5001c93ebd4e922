/** An item of an `items` feature. */
export interface ItemCount {
  readonly item: string;
  readonly count: number;
  /** Milliseconds since the Unix epoch. */
  readonly lastAt: number;
}

/**
 * - `PRESENT`: events have contributed, and there is a value;
 * - `NULL_VALUE`: events have contributed, but none of them has a value in the window, as for a mean of no numbers;
 * - `NOT_FOUND`: no event has contributed, within the longest window. A count is then 0, and any other value null;
 * - `OUTSIDE_MAX_AGE`: the newest event is older than the feature's time to live, or than the request allows. The value
 *   is null;
 * - `NOT_READY`: the feature is new or was changed, and is being built from history. The value is null.
 */
export type FeatureStatus = 'PRESENT' | 'NULL_VALUE' | 'NOT_FOUND' | 'OUTSIDE_MAX_AGE' | 'NOT_READY';

/** A value of a `most_frequent` feature. */
export interface Frequency {
  readonly item: string;
  readonly count: number;
}

/** The value of one feature of one key. */
export interface FeatureValue<
  Value = number | string | boolean | null | readonly ItemCount[] | readonly Frequency[],
> {
  readonly value: Value;
  readonly status: FeatureStatus;
  /** When the newest event of the longest window happened, milliseconds since the Unix epoch. */
  readonly eventAt: number | null;
  /**
   * For a version of a feature that was replaced: when it was, in milliseconds since the Unix epoch. Its windows end
   * there, and later events do not count.
   */
  readonly frozenAt?: number;
}

/** The features of one key by their read names. The read name of a windowed feature is `<name>_<days>d`. */
export type FeatureRow = Readonly<Record<string, FeatureValue>>;

/** The read names of a feature with windows of these lengths. A feature without windows has its own name. */
export type WindowedRow<Name extends string, Days extends readonly number[], Value> = {
  readonly [Read in Days extends readonly [] ? Name : `${Name}_${Days[number]}d`]: FeatureValue<Value>;
};
