import type { NeonHttpDatabase } from 'drizzle-orm/neon-http';
import * as z from 'zod';
import { type CachePolicy, cachePolicy } from './cache-policy.ts';
import type { EntityDefinition } from './entity.ts';
import type { FeatureDefinition } from './feature.ts';
import type { FeatureRow } from './feature-value.ts';
import type { KeyInput } from './key.ts';
import type { Principal } from './principal.ts';
import type { Tag } from './tag.ts';
import type { Variant, VaryDimensions } from './vary.ts';
import {
  type FeatureReadDeclaration,
  type FeatureReads,
  grainMsOf,
  type NowDeclaration,
  type ViewContext,
} from './view-context.ts';

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

/** What an answer is loaded for. */
export interface ViewRequest {
  /** As `params` and `query` parsed it. */
  readonly input: unknown;
  /** A value for each dimension that the view varies on. */
  readonly variant: Variant;
  /** Of a view that takes the principal; undefined for any other. */
  readonly principal: Principal | undefined;
}

/** A request with what was read for it beforehand. */
export interface ViewLoad extends ViewRequest {
  /** Milliseconds since the Unix epoch; the beginning of a grain where the view has grains. */
  readonly now: number;
  /** By the names under which the view declares them. */
  readonly features: Readonly<Record<string, FeatureRow>>;
}

/** Features of one key that a view reads. */
export interface ViewFeatureRead {
  readonly name: string;
  readonly entity: EntityDefinition;
  readonly features: readonly FeatureDefinition[];
  readonly key: (input: unknown) => KeyInput;
}

export interface ViewDefinition {
  readonly kind: 'view';
  readonly name: string;
  /** With parameters in braces: `/v1/stations/{id}`. */
  readonly path: string;
  readonly description: string;
  /** Whether it answers without a key. */
  readonly isPublic: boolean;
  readonly params: z.ZodObject;
  readonly query: z.ZodObject;
  readonly response: z.ZodType;
  readonly policy: CachePolicy;
  /** What its answers vary on beside their path and query. */
  readonly vary: VaryDimensions;
  /** Whether its answers depend on who asks, and so belong to one principal each. */
  readonly takesPrincipal: boolean;
  /** The grain of time that an answer holds in, in milliseconds; undefined where time does not change it. */
  readonly grainMs: number | undefined;
  readonly featureReads: readonly ViewFeatureRead[];
  /** Reads the origin. */
  readonly load: (db: Database, request: ViewLoad) => Promise<Loaded>;
}

/**
 * Declares a view: a route, its query, what it depends on, and how it may be cached. The route, its OpenAPI
 * entry, its cache keys and its invalidation follow from this alone.
 *
 * @throws Error for a read of no features.
 */
export function view<
  Params extends z.ZodRawShape,
  Query extends z.ZodRawShape,
  Response extends z.ZodType,
  Found extends z.input<Response>,
  Vary extends VaryDimensions | undefined = undefined,
  Now extends NowDeclaration | undefined = undefined,
  WithPrincipal extends true | undefined = undefined,
  const Reads extends FeatureReads = Record<never, never>,
>(declaration: {
  name: string;
  path: `/v1/${string}`;
  description: string;
  /** Answers without a key. Everything is closed that does not say so. */
  public?: boolean;
  params?: Params;
  query?: Query;
  response: Response;
  cache?: Partial<CachePolicy>;
  vary?: Vary;
  /** Gives `load` the time. Use it as a lower bound (`occurredAt > now - 24 h`): what is newer than it counts, too. */
  now?: Now;
  /** Gives `load` who asks. The answer is that principal's alone, also in the cache. */
  principal?: WithPrincipal;
  /** Features that are read before `load`, each under a name. Their tags are added to those of `tags`. */
  features?: {
    readonly [Name in keyof Reads]: FeatureReadDeclaration<
      z.output<z.ZodObject<Params>> & z.output<z.ZodObject<Query>>,
      Reads[Name]
    >;
  };
  load: (
    db: Database,
    input: z.output<z.ZodObject<Params>> & z.output<z.ZodObject<Query>>,
    context: ViewContext<Vary, Now, WithPrincipal, Reads>,
  ) => Promise<Found | null>;
  /**
   * `found` is what `load` returned, before `response` made the answer of it; `null` where nothing was found: name
   * what would make it appear.
   */
  tags: (
    input: z.output<z.ZodObject<Params>> & z.output<z.ZodObject<Query>>,
    found: NoInfer<Found> | null,
    context: ViewContext<Vary, Now, WithPrincipal, Reads>,
  ) => readonly Tag[];
}): ViewDefinition {
  type Input = z.output<z.ZodObject<Params>> & z.output<z.ZodObject<Query>>;
  const { name, path, description, response, vary, now } = declaration;
  const takesPrincipal = declaration.principal === true;
  const featureReads = Object.entries<FeatureReadDeclaration<Input>>(declaration.features ?? {}).map(
    ([read, { of, key }]) =>
      // Its input is what this view's own schemas made of the request.
      featureRead(name, read, of, (input) => key(input as Input)),
  );
  return {
    kind: 'view',
    name,
    path,
    description,
    isPublic: declaration.public === true,
    params: z.object(declaration.params ?? ({} as Params)),
    query: z.object(declaration.query ?? ({} as Query)),
    response,
    policy: cachePolicy(declaration.cache),
    vary: vary ?? {},
    takesPrincipal,
    grainMs: grainMsOf(
      now,
      featureReads.flatMap(({ features }) => features),
    ),
    featureReads,
    load: async (db, request) => {
      // The gateway has parsed it by this view's own schemas. To parse it again would apply their transforms twice.
      const input = request.input as Input;
      // Only declared members: what is not declared is not in the cache key, so the answer must not depend on it.
      const context = {
        ...(vary === undefined ? {} : { variant: request.variant }),
        ...(now === undefined ? {} : { now: request.now }),
        ...(takesPrincipal ? { principal: request.principal } : {}),
        ...(declaration.features === undefined ? {} : { features: request.features }),
      } as ViewContext<Vary, Now, WithPrincipal, Reads>;
      const found = await declaration.load(db, input, context);
      const tags = declaration.tags(input, found, context);
      return { value: found === null ? null : response.parse(found), tags, storable: true };
    },
  };
}

function featureRead(
  view: string,
  name: string,
  features: readonly FeatureDefinition[],
  key: ViewFeatureRead['key'],
): ViewFeatureRead {
  const [first] = features;
  if (first === undefined)
    throw new Error(`The view "${view}" reads no features as "${name}". Name at least one, or leave it out.`);
  return { name, entity: first.entity, features, key };
}
