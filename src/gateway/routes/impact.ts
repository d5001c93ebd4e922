import { type OpenAPIHono, z } from '@hono/zod-openapi';
import { SCOPES } from '../../define/principal.ts';
import { answerOf, ELEMENTS_MAX, type ImpactAnswer } from '../../operations/impact/answer.ts';
import { catalogGraph } from '../../operations/impact/catalog-graph.ts';
import { ELEMENT_CHARACTERS_MAX, type Resolved, resolveElement } from '../../operations/impact/elements.ts';
import { type ImpactGraph, KINDS, RELATIONS, SOURCES } from '../../operations/impact/graph.ts';
import { observeViews } from '../../operations/impact/observed-views.ts';
import { type PrincipalPorts, principalsOf } from '../../operations/impact/principals.ts';
import type { Time } from '../../platform/clock.ts';
import { Failure } from '../../platform/failure.ts';
import { parsed } from '../body.ts';
import type { AppEnv, Gateway, PortsOf } from '../context.ts';
import { inventoryOf } from '../contract/inventory.ts';
import { operationsOf } from '../contract/operations.ts';
import { deprecatedVersions } from '../deprecated-versions.ts';
import { json, keySecurity, problem } from '../openapi.ts';

const ImpactQuery = z.object({
  element: z.string().min(1).max(ELEMENT_CHARACTERS_MAX).openapi({
    description:
      'what changes: `stations.capacity`, an event type, a field of one, a feature, a view, … If several kinds have the name, `kind:name`.',
  }),
  direction: z.enum(['down', 'up']).default('down').openapi({
    description: '`down`: what depends on the element; `up`: what it depends on',
  }),
});

const How = z.enum(SOURCES).openapi({
  description:
    '`declared`: a declaration says so. `observed`: its code was run on made-up data, and was seen to do so',
});
const Relation = z.enum(RELATIONS);
const Item = z
  .object({
    name: z.string(),
    detail: z.string(),
    how: How,
    distance: z.int().openapi({ description: 'edges of the shortest way from the element' }),
    by: z
      .array(z.object({ from: z.string(), relation: Relation, how: How }))
      .openapi({ description: 'the edges that lead to it, each from a `kind:name`' }),
  })
  .openapi('ImpactItem');
const Elements = z.object(
  Object.fromEntries(KINDS.map((kind) => [kind, z.array(Item)])) as Record<
    (typeof KINDS)[number],
    z.ZodArray<typeof Item>
  >,
);
const Principals = z.object({
  seen: z
    .array(z.object({ principal: z.string(), uses: z.string(), total: z.int(), lastHour: z.int() }))
    .openapi({ description: 'requests of deprecated versions that are concerned; others are not counted' }),
  mayUse: z
    .array(
      z.object({
        principal: z.string(),
        scopes: z.array(z.enum(SCOPES)),
        lastUsedAt: z.string().nullable(),
      }),
    )
    .openapi({ description: 'keys whose scopes open a route that is concerned' }),
  unknown: z.array(z.string()),
});
const Impact = z
  .object({
    element: z.object({ kind: z.enum(KINDS), name: z.string(), detail: z.string() }),
    direction: z.enum(['down', 'up']),
    found: Elements,
    writers: z
      .array(z.object({ from: z.string(), relation: Relation, to: z.string(), how: How }))
      .openapi({ description: 'what writes into the element, and into the columns of a table' }),
    principals: Principals,
    unknown: z
      .array(z.object({ about: z.string(), reason: z.string() }))
      .openapi({ description: 'what could not be known, so that an edge may be missing' }),
    truncated: z.array(z.string()).openapi({
      description: `the lists that were cut: at most ${ELEMENTS_MAX} elements of a kind`,
    }),
  })
  .openapi('Impact');

/** Shows what a change of one element of the catalog concerns. */
export function registerImpact(
  app: OpenAPIHono<AppEnv>,
  gateway: Gateway,
  portsOf: PortsOf<PrincipalPorts>,
): void {
  app.openAPIRegistry.registerPath({
    method: 'get',
    path: '/v1/impact',
    operationId: 'getImpact',
    summary: 'Shows what a change of an element of the catalog concerns, and how each part of it is known',
    tags: ['operations'],
    security: keySecurity,
    request: { query: ImpactQuery },
    responses: {
      200: json('What is concerned, by kind.', Impact),
      404: problem('The catalog has no such element; `detail` names similar ones.'),
      409: problem('Several elements have the name; `detail` names them.'),
    },
  });
  const graphs = new Graphs(app, gateway);
  app.get('/v1/impact', gateway.authorize, async (c) => {
    const { element, direction } = parsed(ImpactQuery, c.req.query());
    const ports = portsOf(c);
    const graph = await graphs.get(ports.withTimeout);
    const id = idIn(resolveElement(element, graph, gateway.catalog), element);
    const found = answerOf(graph, id, direction);
    const principals = await principalsOf(
      graph,
      found,
      graphs.routes,
      deprecatedVersions(gateway.catalog),
      ports,
    );
    return c.json(shown(found, principals), 200, { 'cache-control': 'no-store' });
  });
}

/** The graph of an isolate. It is made when it is first asked for: that runs the catalog's code, and takes some 100 ms. */
class Graphs {
  readonly #app: Pick<OpenAPIHono<AppEnv>, 'openAPIRegistry'>;
  readonly #gateway: Gateway;
  #graph: ImpactGraph | undefined;

  constructor(app: Pick<OpenAPIHono<AppEnv>, 'openAPIRegistry'>, gateway: Gateway) {
    this.#app = app;
    this.#gateway = gateway;
  }

  /** All routes: they are registered by the time of the first request. */
  get routes() {
    return inventoryOf(operationsOf(this.#app.openAPIRegistry));
  }

  async get(withTimeout: Time['withTimeout']): Promise<ImpactGraph> {
    if (this.#graph !== undefined) return this.#graph;
    const { catalog } = this.#gateway;
    const graph = catalogGraph(catalog, this.routes, await observeViews(catalog, withTimeout));
    this.#graph = graph;
    return graph;
  }
}

/** @throws Failure `unknown_element`, `ambiguous_element` */
function idIn(resolved: Resolved, element: string): string {
  if (resolved.ok) return resolved.id;
  const { reason, near } = resolved;
  const names = near.map((name) => `"${name}"`).join(', ');
  if (reason === 'ambiguous')
    throw new Failure('ambiguous_element', `Several elements have the name "${element}": ask for ${names}.`, {
      pointer: 'element',
    });
  const similar = near.length === 0 ? '' : ` Similar names: ${names}.`;
  throw new Failure('unknown_element', `The catalog has no element "${element}".${similar}`, {
    pointer: 'element',
  });
}

function shown(found: ImpactAnswer, principals: z.output<typeof Principals>): z.output<typeof Impact> {
  const { element, direction, writers, unknown, truncated } = found;
  const items = Object.fromEntries(
    KINDS.map((kind) => [kind, found.found[kind].map((item) => ({ ...item, by: [...item.by] }))]),
  ) as z.output<typeof Elements>;
  return {
    ...{ element: { ...element }, direction, found: items, principals },
    writers: writers.map((edge) => ({ ...edge })),
    unknown: unknown.map((fact) => ({ ...fact })),
    truncated: [...truncated],
  };
}
