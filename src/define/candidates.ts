/** An item that an event of an entity named. */
export interface ItemEvent {
  readonly item: string;
  /** When it happened, in milliseconds since the Unix epoch. */
  readonly at: number;
}

/** The events of one entity that named an item, the oldest first; those of one moment in the order of their items. */
export interface EntityItems {
  readonly key: string;
  readonly events: readonly ItemEvent[];
}

/**
 * Makes what `parseCandidates` of a ranking takes, as of a moment. The same history gives the same value.
 *
 * @param history what was known of each entity before the moment, in the order of their keys; it can be read once.
 * @param asOf milliseconds since the Unix epoch.
 * @returns a value of JSON.
 */
export type MakeCandidates = (history: Iterable<EntityItems>, asOf: number) => unknown;

/** The rows of one request, assembled from an entity's features: the graph's input, and the item of each row. */
export interface AssembledRows {
  readonly items: readonly string[];
  /** Row-major, `items.length` × the number of columns. */
  readonly rows: Float32Array;
}

/** The static data of a ranking model: the items that it can recommend, as of its training. */
export interface Candidates<Features = Readonly<Record<string, unknown>>> {
  has(item: string): boolean;
  /** The group that `diversity` counts an item in, such as its category; undefined for none. */
  groupOf?(item: string): string | undefined;
  /** The most popular items, best first: the answer if the model cannot rank. */
  popular(limit: number): { readonly item: string; readonly score: number }[];
  /**
   * Whether the entity has taken none of the items, as far as its features say. The evaluation of a version tells whether
   * the model or popularity answers such entities, and `assemble` has to make rows for them to let the model try.
   *
   * @param now milliseconds since the Unix epoch.
   */
  isNew?(features: Features, now: number): boolean;
  /**
   * Rows for the given items, or without items for the candidates of this entity. `null` if the features give the model
   * nothing to rank by, so that popularity is the better answer.
   *
   * @param now milliseconds since the Unix epoch.
   */
  assemble(features: Features, items: readonly string[] | undefined, now: number): AssembledRows | null;
}
