import type { NeonHttpDatabase } from 'drizzle-orm/neon-http';
import * as z from 'zod';

/** The database as a view's query sees it. */
export type Database = NeonHttpDatabase;

/** What a reader is promised when it asks for nothing else; see docs/coherence.md. */
export const CONSISTENCY_LEVELS = ['strong', 'bounded'] as const;
export type ConsistencyLevel = (typeof CONSISTENCY_LEVELS)[number];

export interface CachePolicy {
  readonly level: ConsistencyLevel;
  /** How long an entry may be served at most, in seconds, however valid its tags are. */
  readonly ttlS: number;
  /** Greatest age of the clock's mirror for `bounded` reads, in milliseconds. */
  readonly boundMs: number;
  /** What answers while the clock is out of reach: the origin (correct, slower) or the entry, marked unverified. */
  readonly whenUnverified: 'origin' | 'stale';
  /** How long a stale entry may stand in for a failing origin, in seconds; 0 for never. */
  readonly staleIfErrorS: number;
}

export const DEFAULT_CACHE_POLICY: CachePolicy = {
  level: 'bounded',
  ttlS: 300,
  boundMs: 2_000,
  whenUnverified: 'origin',
  staleIfErrorS: 3_600,
};

/** An answer and what it depends on. `value: null` means that the thing does not exist, which is cached too. */
export interface Loaded {
  readonly value: unknown;
  readonly tags: readonly string[];
  /** False for an answer that only stands in for a better one. */
  readonly storable: boolean;
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
    policy: { ...DEFAULT_CACHE_POLICY, ...declaration.cache },
    load: async (db, raw) => {
      const input = { ...params.parse(raw), ...query.parse(raw) };
      const found = await declaration.load(db, input);
      const answer = found === null ? null : declaration.response.parse(found);
      return { value: answer, tags: declaration.tags(input, answer), storable: true };
    },
  };
}
