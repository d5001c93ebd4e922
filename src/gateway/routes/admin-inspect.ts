import { type OpenAPIHono, z } from '@hono/zod-openapi';
import { purgeTags } from '../../cache/entry.ts';
import type { InspectedTier, Judgement } from '../../cache/inspection.ts';
import { type CachePolicy, TIERS } from '../../define/cache-policy.ts';
import type { Catalog } from '../../define/catalog.ts';
import { ALL_ROWS, type Holder, principalKey } from '../../define/principal.ts';
import { ownerFor } from '../../define/rows.ts';
import type { ViewDefinition, ViewRequest } from '../../define/view.ts';
import { Failure } from '../../platform/failure.ts';
import { holderOf } from '../audit/action.ts';
import { parsed } from '../body.ts';
import { keyOf, resolvePath } from '../cached-routes.ts';
import type { AppEnv, Gateway, PortsOf } from '../context.ts';
import { cachedRoutesOf } from '../model-routes.ts';
import { json, keySecurity, problem } from '../openapi.ts';
import { ownDimensionsOf } from '../partition.ts';
import { variantsOf } from '../variants.ts';

/** The entries of one key, and how to judge them. */
export interface Inspected {
  readonly key: string;
  readonly policy: CachePolicy;
  readonly grainMs: number | undefined;
  /** Tags that every entry of the key has. */
  readonly names: readonly string[];
  /** A read of the origin that tells the names of the other tags; undefined if the caller may not read the answer. */
  readonly read: { readonly view: ViewDefinition; readonly request: ViewRequest } | undefined;
}

export interface InspectionPorts {
  /** Ends within three seconds, whatever hangs. */
  readonly inspect: (what: Inspected) => Promise<{
    readonly clock: { readonly epoch: string; readonly seq: number; readonly floor: number } | null;
    readonly tiers: readonly InspectedTier[];
  }>;
}

const JUDGEMENTS = [
  ...(['valid', 'clock-unavailable', 'another-epoch', 'forgotten', 'tag-changed'] as const),
  ...(['grain-over', 'expired'] as const),
] as const satisfies readonly Judgement[];

const Question = z.object({
  path: z.string().min(1).max(4_096).openapi({
    description:
      'the address, with its query, as a reader sends it. A cursor may have its signature or not; it is not verified',
  }),
  owner: z.string().min(1).max(512).optional().openapi({
    description:
      'whose rows, for a view that a claim limits: a value of the claim, or `*` for a reader of all rows',
  }),
  principal: z.string().min(1).max(512).optional().openapi({
    description:
      'whose answer, for a view whose answers belong to one principal: `key:<id>`; by default the caller',
  }),
});
const Tag = z.object({
  tag: z.string().nullable(),
  hash: z.int(),
  changedAt: z.int().nullable(),
  isChanged: z.boolean(),
});
const Entry = z.object({
  judgement: z.enum(JUDGEMENTS),
  filledAt: z.string(),
  ageS: z.int(),
  ttlS: z.int(),
  ttlLeftS: z.int(),
  epoch: z.string(),
  stamp: z.int(),
  isNotFound: z.boolean(),
  tags: z.array(Tag),
});
const Inspection = z
  .object({
    view: z.string(),
    key: z.string(),
    partition: z
      .object({
        claim: z.string().nullable(),
        owner: z.string().nullable().openapi({ description: 'the value of the claim; null for all rows' }),
        principal: z.string().nullable(),
        description: z.string(),
      })
      .openapi({ description: 'whose answers were inspected' }),
    clock: z
      .object({ epoch: z.string(), seq: z.int(), floor: z.int() })
      .nullable()
      .openapi({ description: 'null if the clock did not answer' }),
    tiers: z.array(
      z.object({ tier: z.enum(TIERS), state: z.enum(['entry', 'none', 'unused']), entry: Entry.nullable() }),
    ),
  })
  .openapi('CacheInspection');

/** Says of each tier whether it has the answer of an address, and why that is valid or not. It shows no answer. */
export function registerInspection(
  app: OpenAPIHono<AppEnv>,
  { catalog }: Gateway,
  portsOf: PortsOf<InspectionPorts>,
): void {
  app.openAPIRegistry.registerPath({
    method: 'get',
    path: '/v1/admin/cache/inspect',
    operationId: 'inspectCache',
    summary: 'Says of each tier whether it has the answer of an address, and why that is valid or not',
    tags: ['admin'],
    security: keySecurity,
    request: { query: Question },
    responses: {
      200: json(
        "The entries without their bodies. `memory` is that of the isolate that answers this request, `colo` that of its data centre. The request's own headers choose the variant.",
        Inspection,
      ),
      404: problem('No cached route has this path.'),
      422: problem('The view has no such partition.'),
    },
  });
  app.get('/v1/admin/cache/inspect', async (c) => {
    const question = parsed(Question, c.req.query());
    const { partition, view, ...what } = inspected(catalog, question, c.req.raw, holderOf(c));
    const { clock, tiers } = await portsOf(c).inspect(what);
    const answer: z.input<typeof Inspection> = { view, key: what.key, partition, clock, tiers: shown(tiers) };
    return c.json(answer, 200, { 'cache-control': 'no-store' });
  });
}

function shown(tiers: readonly InspectedTier[]): z.input<typeof Inspection>['tiers'] {
  return tiers.map(({ tier, state, entry }) => ({
    ...{ tier, state },
    entry: entry === null ? null : { ...entry, tags: [...entry.tags] },
  }));
}

type Partition = z.output<typeof Inspection>['partition'];
type Question = z.output<typeof Question>;

/** @throws Failure `not_found`, `invalid_request`, `unprocessable` */
function inspected(
  catalog: Catalog,
  question: Question,
  http: Request,
  caller: Holder,
): Inspected & { readonly view: string; readonly partition: Partition } {
  const resolved = resolvePath(cachedRoutesOf(catalog), question.path);
  const names = purgeTags(resolved.view, resolved.key);
  const view = catalog.views.find(({ name }) => name === resolved.view);
  if (view !== undefined) return { ...ofView(view, resolved, question, http, caller), names };
  const model = catalog.models.find(({ name }) => name === resolved.view);
  if (model === undefined) throw new Error(`The catalog has no view or model "${resolved.view}".`);
  assertNone(question, ['owner', 'principal'], resolved.view);
  const { rows } = model.entity;
  const description =
    rows === undefined ? SHARED : `shared by all readers whose claim "${rows.claim}" admits to this row`;
  const partition = { claim: rows?.claim ?? null, owner: null, principal: null, description };
  return {
    ...{ view: model.name, key: resolved.key, policy: model.policy, grainMs: undefined },
    names,
    read: undefined,
    partition,
  };
}

const SHARED = 'shared by all readers';

function ofView(
  view: ViewDefinition,
  { key, input }: { readonly key: string; readonly input: Readonly<Record<string, unknown>> },
  question: Question,
  http: Request,
  caller: Holder,
): Omit<Inspected, 'names'> & { readonly view: string; readonly partition: Partition } {
  const { name, rows, takesPrincipal, policy, grainMs } = view;
  const isOwned = rows !== undefined && rows.of === undefined;
  assertNone(
    question,
    [...(isOwned ? [] : ['owner' as const]), ...(takesPrincipal ? [] : ['principal' as const])],
    name,
  );
  const asked = question.owner ?? ALL_ROWS;
  const owner = isOwned ? (asked === ALL_ROWS ? null : asked) : undefined;
  const principal = takesPrincipal ? (question.principal ?? principalKey(caller)) : undefined;
  const variant = variantsOf(view).of(http);
  const own = ownDimensionsOf(view)(principal, owner);
  const isWhole = Object.keys(variant).length === 0 && own === undefined;
  const claim = rows?.claim ?? null;
  const partition = {
    claim,
    owner: isOwned ? (owner ?? null) : (rows?.of?.(input) ?? null),
    principal: principal ?? null,
    description: describe(view, owner, principal),
  };
  // Tags name rows, so their names are for a caller who may read the answer itself.
  const mayRead =
    !takesPrincipal &&
    (view.isPublic || caller.scopes.has('data:read')) &&
    (rows === undefined || ownerFor(caller, rows.claim) === null);
  return {
    ...{ view: name, policy, grainMs, partition },
    key: isWhole ? key : keyOf({ view: name }, input, { ...variant, ...own }),
    read: mayRead ? { view, request: { input, variant, principal: undefined, owner } } : undefined,
  };
}

function describe(
  { rows }: ViewDefinition,
  owner: string | null | undefined,
  principal: string | undefined,
): string {
  const parts = [
    ...(principal === undefined ? [] : [`the answer of the principal ${principal} alone`]),
    ...(owner === undefined
      ? []
      : [
          owner === null
            ? `the answer of readers whose claim "${rows?.claim}" admits to all rows`
            : `the answer of readers with the claim "${rows?.claim}" = "${owner}"`,
        ]),
    ...(rows?.of === undefined
      ? []
      : [`shared by all readers whose claim "${rows.claim}" admits to this row`]),
  ];
  return parts.length === 0 ? SHARED : parts.join('; ');
}

/** @throws Failure `unprocessable` */
function assertNone(question: Question, names: readonly ('owner' | 'principal')[], view: string): void {
  const wrong = names.find((name) => question[name] !== undefined);
  if (wrong === undefined) return;
  throw new Failure(
    'unprocessable',
    `The answers of "${view}" do not depend on the ${wrong} of a request. Leave it out.`,
    {
      pointer: wrong,
    },
  );
}
