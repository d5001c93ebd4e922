/** An item of an `items` feature. */
export interface ItemCount {
  readonly item: string;
  readonly count: number;
  /** Milliseconds since the Unix epoch. */
  readonly lastAt: number;
}

export type FeatureStatus = 'PRESENT' | 'NOT_FOUND';

/** The stored value of one feature of one key. */
export interface FeatureValue<Value = number | null | readonly ItemCount[]> {
  readonly value: Value;
  /**
   * `NOT_FOUND`: no event has contributed to it, within its longest window if it has windows. A count is then 0, and a
   * time is null.
   */
  readonly status: FeatureStatus;
  /** When the newest event of the longest window happened, milliseconds since the Unix epoch. */
  readonly eventAt: number | null;
}

/** The features of one key by their read names. The read name of a windowed feature is `<name>_<days>d`. */
export type FeatureRow = Readonly<Record<string, FeatureValue>>;

/** The read names of a feature with windows of these lengths. A feature without windows has its own name. */
export type WindowedRow<Name extends string, Days extends readonly number[], Value> = {
  readonly [Read in Days extends readonly [] ? Name : `${Name}_${Days[number]}d`]: FeatureValue<Value>;
};
