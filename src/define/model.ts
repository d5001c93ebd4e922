import type { EntityDefinition } from './entity.ts';

/** One request's rows, assembled from an entity's features: what the graph takes, and what each row stands for. */
export interface AssembledRows {
  readonly items: readonly string[];
  /** Row-major, `items.length` × the number of columns. */
  readonly rows: Float32Array;
}

/**
 * A ranking model: it scores candidate items for one entity. Its answers depend on the entity's features and
 * on the model's version alone, so that an event of one entity leaves the others' answers as they are.
 */
export interface ModelDefinition {
  readonly kind: 'model';
  readonly name: string;
  readonly description: string;
  /** Whether its ranking and predictions are answered without a key. */
  readonly isPublic: boolean;
  readonly entity: EntityDefinition;
  /** Where the entity's ranking is served: `/v1/customers/{id}/recommendations`, with one parameter, the key. */
  readonly path: `/v1/${string}`;
  /** What the items are. */
  readonly itemEntity: EntityDefinition;
  /** Names of the input's columns, in order. A model with other columns is refused. */
  readonly columns: readonly string[];
  /** Checks the artifact that is shipped beside the graph and returns what `assemble` takes. */
  readonly parseCandidates: (json: unknown) => Candidates;
}

/** The static side of a ranking model: what there is to recommend, as of its training. */
export interface Candidates {
  has(item: string): boolean;
  /** The most popular items, best first: the answer where the model cannot give one. */
  popular(limit: number): { readonly item: string; readonly score: number }[];
  /**
   * Rows for the given items, or for the candidates of this entity where none are given; `null` where nothing
   * is known of the entity that a model could go by, so that popularity is the better answer.
   */
  assemble(
    features: Readonly<Record<string, unknown>>,
    items: readonly string[] | undefined,
    now: number,
  ): AssembledRows | null;
}

/** Declares a ranking model. */
export function model({
  public: isPublic = false,
  ...declaration
}: Omit<ModelDefinition, 'kind' | 'isPublic'> & {
  /** Answers without a key. Everything is closed that does not say so. */
  public?: boolean;
}): ModelDefinition {
  return { kind: 'model', isPublic, ...declaration };
}
