import type { NeonHttpDatabase } from 'drizzle-orm/neon-http';
import * as z from 'zod';
import { type CachePolicy, cachePolicy } from './cache-policy.ts';
import type { Tag } from './tag.ts';
import type { Variant, VaryDimensions } from './vary.ts';

/** The database as a view's query sees it. */
export type Database = NeonHttpDatabase;

/** A moment of the tag clock: `seq` counts within its epoch. */
export interface ClockMoment {
  readonly epoch: string;
  readonly seq: number;
}

/** An answer and what it depends on. `value: null` means that the thing does not exist, which is cached too. */
export interface Loaded {
  readonly value: unknown;
  readonly tags: readonly string[];
  /** False for an answer that only stands in for a better one. */
  readonly storable: boolean;
  /**
   * Every change that the value reflects has been invalidated at this moment or before, so a token for the answer
   * has to name at least it. Absent where the moment of the mirror says enough; `null` where it could not be told:
   * then the answer has no token.
   */
  readonly asOf?: ClockMoment | null;
}

export interface ViewDefinition {
  readonly kind: 'view';
  readonly name: string;
  /** With parameters in braces: `/v1/products/{sku}`. */
  readonly path: string;
  readonly description: string;
  readonly params: z.ZodObject;
  readonly query: z.ZodObject;
  readonly response: z.ZodType;
  readonly policy: CachePolicy;
  /** What its answers vary on beside their path and query. */
  readonly vary: VaryDimensions;
  /** Reads the origin. `input` has been parsed by `params` and `query`; `variant` has a value for each dimension. */
  readonly load: (db: Database, input: unknown, variant: Variant) => Promise<Loaded>;
}

/**
 * Declares a view: a route, its query, what it depends on, and how it may be cached. The route, its OpenAPI
 * entry, its cache keys and its invalidation follow from this alone.
 */
export function view<
  Params extends z.ZodRawShape,
  Query extends z.ZodRawShape,
  Response extends z.ZodType,
  Vary extends VaryDimensions = Record<never, never>,
>(declaration: {
  name: string;
  path: `/v1/${string}`;
  description: string;
  params?: Params;
  query?: Query;
  response: Response;
  cache?: Partial<CachePolicy>;
  vary?: Vary;
  load: (
    db: Database,
    input: z.output<z.ZodObject<Params>> & z.output<z.ZodObject<Query>>,
    variant: Variant<Vary>,
  ) => Promise<z.input<Response> | null>;
  /** `answer` is `null` where nothing was found: name what would make it appear. */
  tags: (
    input: z.output<z.ZodObject<Params>> & z.output<z.ZodObject<Query>>,
    answer: z.output<Response> | null,
    variant: Variant<Vary>,
  ) => readonly Tag[];
}): ViewDefinition {
  const params = z.object(declaration.params ?? ({} as Params));
  const query = z.object(declaration.query ?? ({} as Query));
  return {
    kind: 'view',
    name: declaration.name,
    path: declaration.path,
    description: declaration.description,
    params,
    query,
    response: declaration.response,
    policy: cachePolicy(declaration.cache),
    vary: declaration.vary ?? {},
    load: async (db, raw, requested) => {
      const input = { ...params.parse(raw), ...query.parse(raw) };
      // The gateway has a value of each dimension's own set, which `Variant` can say of a declared view alone.
      const variant = requested as Variant<Vary>;
      const found = await declaration.load(db, input, variant);
      const answer = found === null ? null : declaration.response.parse(found);
      return { value: answer, tags: declaration.tags(input, answer, variant), storable: true };
    },
  };
}
