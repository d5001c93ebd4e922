/** What a dataset may be. A larger one is refused with `dataset_too_large`. */
export const DATASET_LIMITS = {
  /** Entities with a label event. The object keeps a row for each. */
  keysMax: 1_000_000,
  /** Items with a label event. All are in memory while rows are made: about 10 MB. */
  itemsMax: 50_000,
  /** Moments at which rows are made. */
  momentsMax: 1_000,
  /** Parts, each of which reads the history of the label and of the features once. */
  partsMax: 1_000,
  /** Rows of one part. A part is made in memory. */
  partRowsMax: 100_000,
  /** Values of one part: rows times columns. */
  partValuesMax: 4_000_000,
  /** Label events of one part. */
  partTouchesMax: 100_000,
  /** Cells of features that a part holds while it goes through history: some 300 bytes each. */
  partCellsMax: 150_000,
} as const;
export type DatasetLimits = { readonly [Name in keyof typeof DATASET_LIMITS]: number };

/** Rows of a row group: a reader needs one in memory. */
export const ROW_GROUP_ROWS = 10_000;
