import type { NeonHttpDatabase } from 'drizzle-orm/neon-http';
import * as z from 'zod';
import { type CachePolicy, cachePolicy } from './cache-policy.ts';

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
  /** Reads the origin. `input` has been parsed by `params` and `query`. */
  readonly load: (db: Database, input: unknown) => Promise<Loaded>;
}

/**
 * Declares a view: a route, its query, what it depends on, and how it may be cached. The route, its OpenAPI
 * entry, its cache keys and its invalidation follow from this alone.
 */
export function view<
  Params extends z.ZodRawShape,
  Query extends z.ZodRawShape,
  Response extends z.ZodType,
>(declaration: {
  name: string;
  path: `/v1/${string}`;
  description: string;
  params?: Params;
  query?: Query;
  response: Response;
  cache?: Partial<CachePolicy>;
  load: (
    db: Database,
    input: z.output<z.ZodObject<Params>> & z.output<z.ZodObject<Query>>,
  ) => Promise<z.input<Response> | null>;
  /** `answer` is `null` where nothing was found: name what would make it appear. */
  tags: (
    input: z.output<z.ZodObject<Params>> & z.output<z.ZodObject<Query>>,
    answer: z.output<Response> | null,
  ) => readonly string[];
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
    load: async (db, raw) => {
      const input = { ...params.parse(raw), ...query.parse(raw) };
      const found = await declaration.load(db, input);
      const answer = found === null ? null : declaration.response.parse(found);
      return { value: answer, tags: declaration.tags(input, answer), storable: true };
    },
  };
}
