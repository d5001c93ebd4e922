import type { NeonHttpDatabase } from 'drizzle-orm/neon-http';
import * as z from 'zod';
import { jsonPointer } from '../platform/failure.ts';
import { type CachePolicy, cachePolicy } from './cache-policy.ts';
import type { EntityDefinition } from './entity.ts';
import type { FeatureDefinition } from './feature.ts';
import type { FeatureRow } from './feature-value.ts';
import type { KeyInput, KeyPart } from './key.ts';
import { DeclarationMistake, defining } from './mistake.ts';
import type { Principal } from './principal.ts';
import type { ViewRowsDefinition } from './rows.ts';
import type { Tag } from './tag.ts';
import type { Variant, VaryDimensions } from './vary.ts';
import type { RouteDeprecation } from './version.ts';
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

/** An answer and its dependencies. `value: null` means that the thing does not exist, which is cached too. */
export interface Loaded {
  readonly value: unknown;
  readonly tags: readonly string[];
  /** False for an answer that only substitutes a better one. */
  readonly storable: boolean;
  /** True if an entry of the cache that has become stale is the better answer. Such an answer is not storable. */
  readonly isDegraded?: boolean;
  /**
   * Every change that the value reflects was invalidated at or before this moment, so a token for the answer must be at
   * least this moment. Absent if the mirror's moment is sufficient. `null` if it could not be determined: the answer
   * then has no token.
   */
  readonly asOf?: ClockMoment | null;
}

/** The request for which an answer is loaded. */
export interface ViewRequest {
  /** The output of `params` and `query`. */
  readonly input: unknown;
  /** A value for each dimension that the view varies on. */
  readonly variant: Variant;
  /** Defined only for a view that takes the principal. */
  readonly principal: Principal | undefined;
  /** Defined only for a view with `ownRows`: whose rows to read; null for all. */
  readonly owner?: string | null | undefined;
}

/** A request with the data that was read for it beforehand. */
export interface ViewLoad extends ViewRequest {
  /** Milliseconds since the Unix epoch; the beginning of a grain where the view has grains. */
  readonly now: number;
  /** By the names that the view declares. */
  readonly features: Readonly<Record<string, FeatureRow>>;
}

/** Features of one key that a view reads. */
export interface ViewFeatureRead {
  readonly name: string;
  readonly entity: EntityDefinition;
  readonly features: readonly FeatureDefinition[];
  readonly key: (input: unknown) => KeyInput;
}

/** The announced end of an earlier version of a view. */
export interface Replaced extends RouteDeprecation {
  /** The path of the current version, with parameters in braces. */
  readonly by: string;
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
  /** For an earlier version: its announced end, and the path of the current version. */
  readonly replaced: Replaced | undefined;
  /** Who answers for it, for the inventory of the API. */
  readonly owner: string | undefined;
  readonly policy: CachePolicy;
  /** The dimensions on which its answers depend, in addition to path and query. */
  readonly vary: VaryDimensions;
  /** Whether its answers depend on the principal, so that each belongs to one principal. */
  readonly takesPrincipal: boolean;
  /** How claims limit the rows that it shows; undefined if they do not. */
  readonly rows: ViewRowsDefinition | undefined;
  /** The grain of time within which an answer is valid, in milliseconds; undefined if time does not change it. */
  readonly grainMs: number | undefined;
  readonly featureReads: readonly ViewFeatureRead[];
  /** Reads the origin. */
  readonly load: (db: Database, request: ViewLoad) => Promise<Loaded>;
}

/** A view with the types of its schemas. */
export interface View<Params extends z.ZodRawShape, Query extends z.ZodRawShape, Response extends z.ZodType>
  extends ViewDefinition {
  readonly params: z.ZodObject<Params>;
  readonly query: z.ZodObject<Query>;
  readonly response: Response;
}

/**
 * Declares a view: a route, its query, its dependencies, and its cache policy. The route, its OpenAPI entry, its cache
 * keys and its invalidation are derived from this declaration alone.
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
  OwnRows extends string | undefined = undefined,
>(declaration: {
  name: string;
  /** The number is the version of the resource. There is no `/v2`: it belongs to the Open Inference Protocol. */
  path: `/v${number}/${string}`;
  description: string;
  /** Who answers for it, for the inventory of the API: a team, or an address. */
  owner?: string;
  /** Makes the view readable without a key. Without this declaration it requires the key. */
  public?: boolean;
  params?: Params;
  query?: Query;
  response: Response;
  cache?: Partial<CachePolicy>;
  vary?: Vary;
  /**
   * Passes the time to `load`. Use it as a lower bound (`occurredAt > now - 24 h`), so that rows newer than `now` are
   * included.
   */
  now?: Now;
  /** Passes the principal to `load`. The answer then belongs to that principal alone, also in the cache. */
  principal?: WithPrincipal;
  /**
   * Limits readers to the rows of one owner: the value of their claim has to equal what `of` returns for the request.
   * All readers who may read an answer share it in the cache.
   */
  rows?: {
    readonly claim: string;
    readonly of: (input: z.output<z.ZodObject<Params>> & z.output<z.ZodObject<Query>>) => KeyPart;
  };
  /**
   * The claim that limits rows where the request does not say whose they are. Passes its value to `load` as `owner`;
   * null for a reader of all rows. The answer belongs to the readers with that value alone, also in the cache.
   */
  ownRows?: OwnRows;
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
    context: ViewContext<Vary, Now, WithPrincipal, Reads, OwnRows>,
  ) => Promise<Found | null>;
  /**
   * `found` is the result of `load`, before `response` converted it; `null` if nothing was found. For `null`, return
   * the tag whose invalidation would make the thing appear.
   */
  tags: (
    input: z.output<z.ZodObject<Params>> & z.output<z.ZodObject<Query>>,
    found: NoInfer<Found> | null,
    context: ViewContext<Vary, Now, WithPrincipal, Reads, OwnRows>,
  ) => readonly Tag[];
}): View<Params, Query, Response> {
  return defining<View<Params, Query, Response>>({ kind: 'view', name: declaration.name }, () => {
    type Input = z.output<z.ZodObject<Params>> & z.output<z.ZodObject<Query>>;
    const { name, path, description, response, vary, now } = declaration;
    const takesPrincipal = declaration.principal === true;
    const featureReads = Object.entries<FeatureReadDeclaration<Input>>(declaration.features ?? {}).map(
      ([read, { of, key }]) =>
        // The input is the output of this view's own schemas.
        featureRead(read, of, (input) => key(input as Input)),
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
      replaced: undefined,
      owner: declaration.owner,
      policy: cachePolicy(declaration.cache),
      vary: vary ?? {},
      takesPrincipal,
      rows: rowsOf<Input>(declaration),
      grainMs: grainMsOf(
        now,
        featureReads.flatMap(({ features }) => features),
      ),
      featureReads,
      load: async (db, request) => {
        // The gateway has parsed the input by this view's own schemas. Parsing it again would apply their transforms
        // twice.
        const input = request.input as Input;
        // Only declared members. The cache key omits undeclared inputs, so the answer must not depend on them.
        const context = {
          ...(vary === undefined ? {} : { variant: request.variant }),
          ...(now === undefined ? {} : { now: request.now }),
          ...(takesPrincipal ? { principal: request.principal } : {}),
          ...(declaration.ownRows === undefined ? {} : { owner: ownerIn(request) }),
          ...(declaration.features === undefined ? {} : { features: request.features }),
        } as ViewContext<Vary, Now, WithPrincipal, Reads, OwnRows>;
        const found = await declaration.load(db, input, context);
        const tags = declaration.tags(input, found, context);
        return { value: found === null ? null : parseAnswer(response, found), tags, storable: true };
      },
    };
  });
}

function rowsOf<Input>({
  rows,
  ownRows,
}: {
  readonly rows?: { readonly claim: string; readonly of: (input: Input) => KeyPart };
  readonly ownRows?: string | undefined;
}): ViewRowsDefinition | undefined {
  if (rows !== undefined && ownRows !== undefined)
    throw new DeclarationMistake(
      'It declares both `rows` and `ownRows`.',
      'Keep `rows` if the request says whose rows they are, and `ownRows` if only the reader does.',
    );
  if (ownRows !== undefined) return { claim: ownRows, of: undefined };
  // The input is the output of this view's own schemas.
  return rows === undefined
    ? undefined
    : { claim: rows.claim, of: (input) => String(rows.of(input as Input)) };
}

/** @throws TypeError for a request that does not say whose rows it reads: it must not read all of them. */
function ownerIn({ owner }: ViewRequest): string | null {
  if (owner === undefined) throw new TypeError('A view with `ownRows` was loaded without an owner.');
  return owner;
}

function featureRead(
  name: string,
  features: readonly FeatureDefinition[],
  key: ViewFeatureRead['key'],
): ViewFeatureRead {
  const [first] = features;
  if (first === undefined)
    throw new DeclarationMistake(
      `It reads no features under the name "${name}".`,
      'Name at least one feature, or leave the entry out.',
    );
  return { name, entity: first.entity, features, key };
}

/** A view found something that its own response schema refuses, such as a NaN that another application wrote. */
export class AnswerMismatch extends Error {
  override readonly name = 'AnswerMismatch';
  /** JSON Pointer into the answer. Names that the schema does not declare, such as keys of a record, are `…`. */
  readonly pointer: string;

  constructor(response: z.ZodType, issue: Pick<z.core.$ZodIssue, 'path' | 'message'>) {
    const pointer = jsonPointer(declaredPath(response, issue.path));
    super(`The answer does not fit its response schema at "${pointer}": ${issue.message}`);
    this.pointer = pointer;
  }
}

/** @throws AnswerMismatch */
export function parseAnswer(response: z.ZodType, found: unknown): unknown {
  const parsed = response.safeParse(found);
  if (parsed.success) return parsed.data;
  const [issue = { path: [], message: 'The schema refuses it.' }] = parsed.error.issues;
  throw new AnswerMismatch(response, issue);
}

function declaredPath(response: unknown, path: readonly PropertyKey[]): PropertyKey[] {
  let at = response;
  return path.map((step) => {
    while (at instanceof z.ZodOptional || at instanceof z.ZodNullable) at = at.unwrap();
    const isList = at instanceof z.ZodArray && typeof step === 'number';
    const isDeclared = at instanceof z.ZodObject && Object.hasOwn(at.shape, step);
    if (at instanceof z.ZodArray && isList) at = at.element;
    else at = at instanceof z.ZodObject && isDeclared ? at.shape[String(step)] : undefined;
    return isList || isDeclared ? step : '…';
  });
}
