/**
 * What a run of a training takes at once in an isolate of 128 MiB. A set of 2,000,000 values takes 8 MB as columns, twice
 * while they are put in order, and 2 MB as bins of trees; a row takes about 50 bytes beside them; a file is there while it
 * is read, and a row group of it as numbers, with at most 10,000 rows. All of these are estimates.
 */
export const RUN_LIMITS = {
  /** Rows of training and validation together, and rows of the test. */
  rowsMax: 200_000,
  cellsMax: 2_000_000,
  fileBytesMax: 16 * 1024 * 1024,
  /** Events that name an item, of which a ranking's candidates are made: about 30 bytes each. */
  itemEventsMax: 1_000_000,
} as const;
